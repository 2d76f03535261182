//! Points in time as JSON APIs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `at` in UTC to the second, `2021-02-25T15:02:10Z` (RFC 3339, section 5.6). What lies before 1970 is 1970.
pub fn format(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads `2021-02-25T15:02:10.123Z`, or with an offset such as `+02:00` in the place of `Z` (RFC 3339, section 5.6), from
/// 1970 on. A leap second is the one after it.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = (text.get(..10)?, text.get(11..19)?);
    let number = |text: &str| -> Option<u64> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let triple = |text: &str, divider: u8, at: [usize; 2]| -> Option<[u64; 3]> {
        let is_divided = at.iter().all(|at| text.as_bytes()[*at] == divider);
        let parts = [&text[..at[0]], &text[at[0] + 1..at[1]], &text[at[1] + 1..]];
        let [a, b, c] = parts.map(number);
        is_divided.then_some([a?, b?, c?])
    };
    if !text.is_ascii() || !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let [year, month, day] = triple(date, b'-', [4, 7])?;
    let [hour, minute, second] = triple(time, b':', [2, 5])?;
    let is_valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let days = days(year, month, day);
    if !is_valid || civil(days) != (year, month, day) {
        return None;
    }
    let (fraction, offset) = match text[19..].strip_prefix('.') {
        Some(rest) => {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (fraction, offset) = rest.split_at(digits);
            let is_some = (1..=9).contains(&digits);
            let nanos = is_some.then(|| format!("{fraction:0<9}").parse().ok());
            (nanos.flatten()?, offset)
        }
        None => (0, &text[19..]),
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = match offset.as_bytes() {
        b"Z" | b"z" => seconds,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(&offset[1..3])?, number(&offset[4..])?);
            let apart = (hours * 60 + minutes) * 60;
            match sign {
                b'+' => seconds.checked_sub(apart)?,
                _ => seconds + apart,
            }
        }
        _ => return None,
    };
    Some(UNIX_EPOCH + Duration::new(seconds, fraction))
}

/// Year, month, day, of 1970 and later → days since 1970-01-01: the way back from [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year.saturating_sub(u64::from(month <= 2));
    let month = if month > 2 {
        month.saturating_sub(3)
    } else {
        month + 9
    }; // from March
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day.saturating_sub(1) + year * 365 + year / 4 - year / 100;
    (era * 146_097 + day).saturating_sub(719_468)
}

/// Days since 1970-01-01 → year, month, day, counted in eras of 400 years that begin on 1 March, so that a leap day
/// is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March, 0 to 11
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leap days, and the century that has none, are where calendars go wrong. Expected values by GNU date.
    #[test]
    fn a_point_in_time_is_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_614_265_330, "2021-02-25T15:02:10Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(format(at), text);
        }
        assert_eq!(
            format(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00Z"
        );
    }

    /// What is written is read again, each day of a century and its hours.
    #[test]
    fn what_is_written_is_read() {
        for seconds in (0..36_525 * 86_400).step_by(86_400 - 61) {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(&format(at)), Some(at), "{}", format(at));
        }
    }

    /// Signatures are refused by their time, so a time that is none must not pass for one.
    #[test]
    fn fractions_and_offsets_are_read_and_what_is_no_time_is_not() {
        let at = UNIX_EPOCH + Duration::from_secs(1_614_265_330);
        for (text, millis) in [
            ("2021-02-25T15:02:10Z", 0),
            ("2021-02-25T15:02:10.5Z", 500),
            ("2021-02-25T15:02:10.123456789Z", 123),
            ("2021-02-25t17:02:10.25+02:00", 250),
            ("2021-02-25 10:32:10-04:30", 0),
        ] {
            let read = parse(text).expect(text);
            let apart = read.duration_since(at).expect(text);
            assert_eq!(apart.as_millis(), millis, "{text}");
        }
        for none in [
            "",
            "2021-02-25",
            "2021-02-25T15:02:10",
            "2021-02-25T15:02:10.Z",
            "2021-02-25T15:02:10.1234567890Z",
            "2021-02-29T15:02:10Z",
            "2021-13-01T15:02:10Z",
            "2021-00-10T15:02:10Z",
            "2021-01-00T15:02:10Z",
            "2021-02-25T24:02:10Z",
            "2021-02-25T15:60:10Z",
            "2021-02-25T15:02:10+0200",
            "2021-02-25T15:02:10+2:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "+021-02-25T15:02:10Z",
            "2018-10-08T14:05:45 +0000",
            "2021-02-25T15:02:1éZ",
            "ééééééééééééé",
        ] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
