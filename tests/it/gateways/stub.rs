//! The stub: what tests and the benchmark read from it.

use postroad::gateway::Gateway as _;
use postroad::gateway::stub::{Answer, Settings, Stub};
use postroad::model::outcome::{Blame, Fault};

use super::*;
use crate::support::scratch::Scratch;

/// Tests of the worker need each of the outcomes at will.
#[tokio::test]
async fn each_answer_is_the_fault_of_its_name() -> anyhow::Result<()> {
    for (answer, fault) in [
        (Answer::Transient, Fault::Transient { retry_after: None }),
        (Answer::Permanent, Fault::Permanent(Blame::Message)),
        (Answer::Recipient, Fault::Permanent(Blame::Recipient)),
        (Answer::Gateway, Fault::Gateway { retry_after: None }),
        (Answer::Unknown, Fault::Unknown),
    ] {
        let settings = Settings {
            answer,
            ..Settings::default()
        };
        let stub = Stub::new("stub", &settings).map_err(anyhow::Error::msg)?;
        let error = stub.send(&mail(), later()).await.expect_err("as told");
        assert_eq!(error.fault, fault);
    }
    Ok(())
}

/// The benchmark takes the time of the call from the external id.
#[tokio::test]
async fn the_external_id_tells_when_the_call_was_made() -> anyhow::Result<()> {
    let now = || {
        let elapsed = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        elapsed.as_micros()
    };
    let stub = Stub::new("stub", &Settings::default()).map_err(anyhow::Error::msg)?;
    let before = now();
    let id = stub
        .send(&mail(), later())
        .await?
        .external_id
        .expect("an id");
    let called_at: u128 = id.strip_prefix("stub-").expect("its form").parse()?;
    assert!((before..=now()).contains(&called_at));
    Ok(())
}

/// After a crash the record says what was sent, so a line is there before the answer, even if none comes.
#[tokio::test]
async fn the_record_has_a_line_for_each_call_even_without_an_answer() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("record");
    let settings: Settings = toml::from_str(&format!("hang = true\nrecord = {path:?}"))?;
    let stub = Stub::new("stub", &settings).map_err(anyhow::Error::msg)?;
    let (first, second) = (
        mail(),
        Rendered {
            attempt: 2,
            ..mail()
        },
    );
    for message in [&first, &second] {
        stub.send(message, soon()).await.expect_err("it hangs");
    }
    let record = std::fs::read_to_string(&path)?;
    let lines: Vec<Vec<&str>> = record.lines().map(|l| l.split(' ').collect()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0][1..], [first.message_id.to_string().as_str(), "1"]);
    assert_eq!(lines[1][1..], [second.message_id.to_string().as_str(), "2"]);
    Ok(())
}
