//! What changes, as server-sent events: a frame every 0.8 s for all who look, none when nobody does.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::access::{Gate, Pass};
use crate::db::Database;
use crate::db::looks::{self, Line};
use crate::server::Request;
use crate::server::figures::{Figures, Read};
use crate::server::respond::{Refusal, Response, stream as streamed};
use crate::server::route::Handler;
use crate::server::shares::{Share, Shares};
use crate::telemetry::{counted, names};

/// Browsers that may look at once, and those of one caller.
const VIEWERS: usize = 100;
const VIEWERS_EACH: usize = 25;
/// Between two frames: with the query and the drawing, what is committed is seen within a second.
const EVERY: Duration = Duration::from_millis(800);
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Frames that the charts go back, for one who comes later.
const HISTORY: usize = 300;
/// Frames that are further apart say nothing of the rate in between.
const GAP: Duration = Duration::from_secs(5);

/// Answers with the stream.
pub(super) struct Feed {
    gate: Arc<Gate>,
    source: Arc<Source>,
    viewers: Arc<Shares>,
    _shown: counted::Registration,
}

impl Feed {
    pub(super) fn new(gate: &Arc<Gate>, figures: &Arc<Figures>, database: &Database) -> Self {
        let viewers = Arc::new(Shares::new(VIEWERS, VIEWERS_EACH));
        let counts = Arc::clone(&viewers);
        Self {
            gate: Arc::clone(gate),
            source: Arc::new(Source {
                figures: Arc::clone(figures),
                line: Line::new(database.clone()),
                made: Mutex::default(),
            }),
            viewers,
            _shown: counted::register(move |samples| {
                samples.add(&names::LIVE_VIEWERS, &[], counts.taken() as f64);
            }),
        }
    }
}

#[async_trait]
impl Handler for Feed {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let (caller, pass) = self.gate.pass(&request).await?;
        let Some(place) = self.viewers.try_take(&caller.name, 1) else {
            return Err(Refusal::busy("too many look at once"));
        };
        let viewer = Viewer {
            gate: Arc::clone(&self.gate),
            pass,
            source: Arc::clone(&self.source),
            ending: request.ending.clone(),
            seen: None,
            _place: place,
        };
        let chunks = stream::unfold(viewer, |mut viewer| async move {
            let ending = viewer.ending.clone();
            let chunk = tokio::select! {
                chunk = viewer.next() => chunk?,
                () = ending.cancelled() => return None,
            };
            Some((io::Result::Ok(chunk), viewer))
        });
        Ok(streamed("text/event-stream", chunks))
    }
}

struct Viewer {
    gate: Arc<Gate>,
    pass: Pass,
    source: Arc<Source>,
    ending: CancellationToken,
    /// The number of the last frame that it got.
    seen: Option<u64>,
    _place: Share,
}

impl Viewer {
    /// The next event; before the first frame, what the charts go back to. `None` once the viewer may look no more.
    async fn next(&mut self) -> Option<Bytes> {
        let is_first = self.seen.is_none();
        let (number, text, history) = self.source.frame(self.seen, is_first).await;
        if !self.gate.still_admits(&self.pass).await {
            return None;
        }
        self.seen = Some(number);
        let mut event = String::new();
        if let Some(history) = history {
            event.push_str(&format!("retry: 1000\nevent: history\ndata: {history}\n\n"));
        }
        event.push_str(&text);
        Some(event.into())
    }
}

/// Makes frames, one at a time: whoever waits for the next one while it is made gets the same.
struct Source {
    figures: Arc<Figures>,
    line: Line,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    number: u64,
    at: Option<Instant>,
    text: Arc<str>,
    before: Option<Read>,
    points: VecDeque<Value>,
}

impl Source {
    /// The latest frame, if `seen` is another one and it is not old; else the next.
    async fn frame(&self, seen: Option<u64>, with_history: bool) -> (u64, Arc<str>, Option<Value>) {
        let mut made = self.made.lock().await;
        let is_fresh = made.at.is_some_and(|at| at.elapsed() < EVERY);
        if !is_fresh || seen == Some(made.number) {
            if let Some(at) = made.at {
                sleep_until((at + EVERY).into()).await;
            }
            let text = match timeout(PATIENCE, self.ask(&mut made)).await {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no frame for the live page");
                    trouble("the database does not answer, or has no schema postroad")
                }
                Err(_) => trouble("the database takes too long to answer"),
            };
            made.number += 1;
            made.at = Some(Instant::now());
            made.text = text.into();
        }
        let history = with_history.then(|| json!(made.points));
        (made.number, Arc::clone(&made.text), history)
    }

    async fn ask(
        &self,
        made: &mut Made,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let read = self.figures.get().await?;
        let open = self.line.open().await?;
        let recent = looks::recent(open.client()).await?;
        open.keep();
        let rates = rates(made.before.as_ref(), &read);
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let point = json!([time.as_millis() as u64, depths(&read.value), rates]);
        if made
            .before
            .as_ref()
            .is_none_or(|before| before.at != read.at)
        {
            made.points.push_back(point.clone());
            while made.points.len() > HISTORY {
                made.points.pop_front();
            }
        }
        made.before = Some(read.clone());
        let frame = json!({"point": point, "figures": *read.value, "recent": recent});
        Ok(format!("event: frame\ndata: {frame}\n\n"))
    }
}

fn trouble(what: &str) -> String {
    format!("event: trouble\ndata: {}\n\n", json!({"error": what}))
}

fn queues(figures: &Value) -> impl Iterator<Item = (i64, i64)> {
    let number = |queue: &Value, column: &str| queue[column].as_i64().unwrap_or(0);
    let queues = figures["queues"]
        .as_array()
        .map_or(&[] as &[Value], Vec::as_slice);
    queues
        .iter()
        .map(move |queue| (number(queue, "ready"), number(queue, "placed")))
}

fn depths(figures: &Value) -> Vec<i64> {
    queues(figures).map(|(ready, _)| ready).collect()
}

/// What went into each queue, and what left it (claimed, or withdrawn), a second since the frame before; null after a gap.
fn rates(before: Option<&Read>, now: &Read) -> Value {
    let Some(before) = before else {
        return Value::Null;
    };
    let passed = now.at - before.at;
    if passed > GAP || passed.is_zero() {
        return Value::Null;
    }
    let seconds = passed.as_secs_f64();
    let rate = |count: i64| (count.max(0) as f64 / seconds * 10.0).round() / 10.0;
    let pairs = queues(&before.value).zip(queues(&now.value));
    let rates = pairs.map(|((ready, placed), (ready_now, placed_now))| {
        let came = placed_now - placed;
        (rate(came), rate(came - (ready_now - ready)))
    });
    let (came, went): (Vec<_>, Vec<_>) = rates.unzip();
    json!([came, went])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: Instant, ready: i64, placed: i64) -> Read {
        let value = json!({"queues": [{"ready": ready, "placed": placed}]});
        Read {
            at,
            value: Arc::new(value),
        }
    }

    /// Ten came and three of them wait: seven went.
    #[test]
    fn rates_are_told_from_places_and_depths() {
        let now = Instant::now();
        let before = read(now, 5, 100);
        let after = |seconds| read(now + Duration::from_secs(seconds), 8, 110);
        assert_eq!(rates(Some(&before), &after(1)), json!([[10.0], [7.0]]));
        assert_eq!(rates(Some(&before), &after(2)), json!([[5.0], [3.5]]));
        assert_eq!(rates(Some(&before), &after(6)), Value::Null);
        assert_eq!(rates(None, &before), Value::Null);
    }
}
