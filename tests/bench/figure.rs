//! One figure: its rounds, its floor, its bar.

use serde_json::{Value, json};

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// At least so many times the floor.
    TimesFloor(f64),
    /// At most so many times the floor.
    AtMostTimesFloor(f64),
    /// At most so much more than the floor, to the hundredth.
    OverFloor(f64),
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// One a round.
    ours: Vec<f64>,
    floor: Vec<f64>,
    bar: Option<Bar>,
    pub(crate) note: String,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            unit,
            ours,
            floor: Vec::new(),
            bar: None,
            note: String::new(),
        }
    }

    pub(crate) fn floor(mut self, floor: &[f64]) -> Self {
        self.floor = floor.to_vec();
        self
    }

    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(crate) fn middle(&self) -> (f64, Option<f64>) {
        let floor = (!self.floor.is_empty()).then(|| median(&self.floor));
        (median(&self.ours), floor)
    }

    /// What is compared with the bar, the bar, and whether it is met.
    pub(crate) fn verdict(&self) -> (String, String, Option<bool>) {
        let (ours, floor) = self.middle();
        let ratio = floor.map(|floor| ours / floor);
        let (compared, bar, met) = match (self.bar, floor) {
            (Some(Bar::AtLeast(least)), _) => {
                (number(ours), format!("≥ {}", number(least)), ours >= least)
            }
            (Some(Bar::AtMost(most)), _) => {
                (number(ours), format!("≤ {}", number(most)), ours <= most)
            }
            (Some(Bar::Below(limit)), _) => {
                (number(ours), format!("< {}", number(limit)), ours < limit)
            }
            (Some(Bar::OverFloor(most)), Some(floor)) => (
                format!("floor {:+.2}", ours - floor),
                format!("≤ floor + {}", number(most)),
                ((ours - floor) * 100.0).round() / 100.0 <= most,
            ),
            (Some(Bar::TimesFloor(least)), Some(floor)) => (
                format!("{:.2} ×", ours / floor),
                format!("≥ {least} ×"),
                ours >= least * floor,
            ),
            (Some(Bar::AtMostTimesFloor(most)), Some(floor)) => (
                format!("{:.2} ×", ours / floor),
                format!("≤ {most} ×"),
                ours <= most * floor,
            ),
            _ => {
                let compared = ratio.map(|ratio| format!("{ratio:.2} ×"));
                return (compared.unwrap_or_default(), String::new(), None);
            }
        };
        (compared, bar, Some(met))
    }

    pub(crate) fn json(&self) -> Value {
        let (ours, floor) = self.middle();
        let (compared, bar, met) = self.verdict();
        json!({
            "figure": self.name, "unit": self.unit, "ours": ours, "floor": floor, "compared": compared, "bar": bar,
            "met": met, "rounds": self.ours, "floor_rounds": self.floor, "note": self.note,
        })
    }
}

/// The verdict.
pub(crate) fn word(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// The middle one; the mean of both where there are two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

/// So many per cent of the values are at most this (nearest rank).
pub(crate) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(f64::NAN)
}

/// A number for people: three digits or so, thousands apart.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
