//! What an attacker tries who has seen good requests, beside the single changes that each source is tested with.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::HeaderName;

use super::*;

/// Each source that checks a signature, with a request that it takes.
fn each() -> [(Box<dyn WebhookSource>, Request); 4] {
    let pem = sns::certificate(&["sns.amazonaws.com"], 2030);
    let sns = sns::source(&[sns::TOPIC], &Published::new(pem));
    let of_sns = sns::signed(|_| {}).to_string();
    [
        (
            Box::new(sendgrid::source(&[sendgrid::KEY])),
            sendgrid::signed(),
        ),
        (Box::new(mailgun::default_source()), mailgun::signed()),
        (Box::new(postal::default_source()), postal::signed()),
        (Box::new(sns), Request::new(&[], of_sns, at(sns::NOW))),
    ]
}

/// A body is what its provider signed: nothing is unpacked before that is proven, nor after it.
#[tokio::test]
async fn a_packed_body_is_not_unpacked() -> anyhow::Result<()> {
    for (source, good) in each() {
        assert!(good.verify(&*source).await.is_ok(), "{}", source.name());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&good.body)?;
        let packed = good
            .with_body(gzip.finish()?)
            .with_header("content-encoding", Some("gzip"));
        assert!(packed.verify(&*source).await.is_err(), "{}", source.name());
        let named = good.with_header("content-encoding", Some("gzip"));
        assert!(named.verify(&*source).await.is_ok(), "{}", source.name());
    }
    Ok(())
}

/// What stands behind a signature, or behind what it covers, is not covered by it.
#[tokio::test]
async fn nothing_may_follow_a_signature_or_a_body() {
    for (source, good) in each() {
        let name = source.name();
        let signatures: Vec<HeaderName> = good
            .headers
            .keys()
            .filter(|name| name.as_str().contains("-signature"))
            .cloned()
            .collect();
        for header in signatures {
            // What Postal signed by SHA-1 counts for nothing beside the other.
            if header == "x-postal-signature" || header.as_str().ends_with("timestamp") {
                continue;
            }
            let value = good.headers[&header].to_str().expect("ASCII").to_owned();
            for with in ["A", "=", "AAAA", ",", ", x", "\u{a0}"] {
                let mut forged = good.clone();
                let longer =
                    hyper::header::HeaderValue::from_bytes(format!("{value}{with}").as_bytes());
                forged.headers.insert(&header, longer.expect("a value"));
                assert!(forged.is_forged(&*source).await, "{name} {header} {with:?}");
            }
        }
        for more in [" ", "\n", "\0", "{}", "[]"] {
            let body = [&good.body[..], more.as_bytes()].concat();
            let is_taken = good.with_body(body).verify(&*source).await.is_ok();
            // SNS and Mailgun sign fields, not bytes, and white space is none of them.
            let signs_fields = matches!(name, "mailgun" | "sns");
            assert_eq!(
                is_taken,
                signs_fields && more.trim() != more,
                "{name} {more:?}"
            );
        }
    }
}

/// Of two fields of one name one reader takes the first and another the last: what is checked must be what is read.
#[tokio::test]
async fn a_field_that_is_there_twice_hides_nothing() {
    for (name, field) in [
        ("postal", r#""event": "MessageBounced""#),
        ("postal", r#""more": 1"#),
        (
            "sns",
            r#""TopicArn": "arn:aws:sns:eu-central-1:999999999999:other""#,
        ),
        ("sns", r#""Message": "{}""#),
    ] {
        let each = each();
        let of_that_name = each.iter().find(|(source, _)| source.name() == name);
        let (source, good) = of_that_name.expect("a source");
        let text = std::str::from_utf8(&good.body).expect("UTF-8");
        let (start, end) = (&text[1..], &text[..text.len() - 1]);
        for body in [format!("{{{field},{start}"), format!("{end},{field}}}")] {
            let twice = good.with_body(body);
            assert!(twice.verify(&**source).await.is_err(), "{name} {field}");
        }
    }
    // Mailgun's signature is a field beside what it vouches for: the last one counts, here and when it is read.
    let good = mailgun::signed();
    let text = std::str::from_utf8(&good.body).expect("UTF-8");
    let proof = r#""signature": {"timestamp": "1", "token": "x", "signature": "00"}"#;
    let forged = good.with_body(format!("{},{proof}}}", &text[..text.len() - 1]));
    assert!(forged.is_forged(&mailgun::default_source()).await);
}

/// An ARN that looks like ours is another's, and nothing is fetched for it.
#[tokio::test]
async fn a_topic_that_only_looks_like_ours_is_not() {
    let pem = sns::certificate(&["sns.amazonaws.com"], 2030);
    for other in [
        sns::TOPIC.replace('a', "\u{430}"),
        sns::TOPIC.replace(':', "\u{ff1a}"),
        sns::TOPIC.replace("arn:", "arn:\u{200b}"),
        sns::TOPIC.to_uppercase(),
        format!("{} ", sns::TOPIC),
        format!("{}\n", sns::TOPIC),
        format!("{}\0", sns::TOPIC),
        format!("{}:x", sns::TOPIC),
    ] {
        let published = Published::new(pem.clone());
        let source = sns::source(&[sns::TOPIC], &published);
        let message = sns::signed(|message| message["TopicArn"] = other.clone().into());
        let request = Request::new(&[], message.to_string(), at(sns::NOW));
        assert!(request.verify(&source).await.is_err(), "{other:?}");
        assert_eq!(published.asked(), 0, "{other:?}");
    }
}
