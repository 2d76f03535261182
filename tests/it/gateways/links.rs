//! Our links in mails, as each gateway hands them on.

use std::collections::BTreeMap;

use mail_parser::MessageParser;
use percent_encoding::percent_decode_str;
use postroad::gateway::links::{Links, Settings as LinkSettings};
use postroad::gateway::registry::{GatewaySettings, Registry};

use super::*;
use crate::support::http_double::HttpDouble;

const PUBLIC: &str = "https://road.example";
const HTML: &str = "<body><a href=\"https://example.org/?a=1&amp;b=2\">Notes</a></body>";

fn newsletter() -> Rendered {
    Rendered {
        message_type: MessageType::Newsletter,
        html: Some(HTML.into()),
        ..mail()
    }
}

/// Sends a newsletter by the gateway of these settings, with our links.
async fn send(settings: &str) -> anyhow::Result<()> {
    let links = LinkSettings {
        secret: Some("0123456789abcdef0123456789abcdef".into()),
        message_types: vec![MessageType::Newsletter],
        ..LinkSettings::default()
    };
    let links = Links::new(&links, Some(PUBLIC)).map_err(anyhow::Error::msg)?;
    let links = links.map(Arc::new);
    let settings: GatewaySettings = toml::from_str(settings)?;
    let gateways = BTreeMap::from([("it".to_owned(), settings)]);
    let registry = Registry::build_with(&gateways, &BTreeMap::new(), links.as_ref())?;
    let gateway = registry.get("it").expect("the gateway");
    gateway.send(&newsletter(), later()).await?;
    Ok(())
}

/// A relay gets a mail that is whole: both header fields, so that it signs them, links and a pixel.
#[tokio::test]
async fn a_relay_gets_the_way_out_and_counted_links() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let settings = format!(
        "type = 'smtp'\nhost = '127.0.0.1'\nport = {}\ntls = 'none'\nfrom = 'post@road.example'",
        sink.port()
    );
    send(&settings).await?;
    let mail = sink.wait_for_mails(1).await.remove(0);
    let mail = MessageParser::default().parse(&mail.data).expect("a mail");
    let header = |name: &str| {
        mail.header_raw(name)
            .map(|value| value.replace("\r\n", "").trim().to_owned())
    };
    let way_out = header("List-Unsubscribe").expect("a way out");
    assert!(
        way_out.starts_with("<https://road.example/u/") && way_out.ends_with('>'),
        "{way_out}"
    );
    assert_eq!(
        header("List-Unsubscribe-Post").as_deref(),
        Some("List-Unsubscribe=One-Click")
    );
    let html = mail.body_html(0).expect("html");
    assert!(
        html.starts_with("<body><a href=\"https://road.example/c/"),
        "{html}"
    );
    assert!(
        html.contains(">Notes</a><img src=\"https://road.example/o/"),
        "{html}"
    );
    assert_eq!(mail.body_text(0).as_deref().map(str::trim), Some(BODY));
    Ok(())
}

/// Providers that count opens and clicks themselves get the way out only.
#[tokio::test]
async fn every_mail_provider_gets_the_way_out() -> anyhow::Result<()> {
    for (kind, status, headers, body, settings) in [
        (
            "postal",
            200,
            &[][..],
            postal::SUCCESS,
            "api_key = 'hunter2'",
        ),
        (
            "sendgrid",
            202,
            &sendgrid::SUCCESS[..],
            "",
            "api_key = 'hunter2'",
        ),
        (
            "mailgun",
            200,
            &[],
            mailgun::SUCCESS,
            "api_key = 'hunter2'\ndomain = 'road.example'",
        ),
        (
            "ses",
            200,
            &[],
            ses::SUCCESS,
            "access_key_id = 'a'\nsecret_access_key = 'hunter2'\nregion = 'eu-west-1'",
        ),
    ] {
        let double = HttpDouble::start().await;
        double.answer(status, headers, body);
        let settings = format!(
            "type = '{kind}'\napi_url = '{}'\nfrom = 'post@road.example'\n{settings}",
            double.url()
        );
        send(&settings).await.map_err(|error| error.context(kind))?;
        let request = double.requests().remove(0);
        let request = request.text().replace('+', " ");
        let text = percent_decode_str(&request).decode_utf8()?;
        assert!(text.contains("<https://road.example/u/"), "{kind}: {text}");
        assert!(
            text.contains("List-Unsubscribe-Post") && text.contains("List-Unsubscribe=One-Click"),
            "{kind}: {text}"
        );
        assert!(
            !text.contains("/c/") && !text.contains("/o/"),
            "{kind}: {text}"
        );
    }
    Ok(())
}
