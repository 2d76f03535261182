use std::sync::Mutex;

use uuid::Uuid;

use super::*;
use crate::model::message::{Options, Priority};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC: &str = "https://post.example.org";

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings {
        secret: Some(SECRET.into()),
        message_types: vec![MessageType::Newsletter],
        ..Settings::default()
    };
    change(&mut settings);
    settings
}

fn links() -> Links {
    let links = Links::new(&settings(|_| ()), Some("https://post.example.org/"));
    links.expect("settings").expect("links")
}

fn mail(message_type: MessageType, html: &str) -> Rendered {
    Rendered {
        message_id: Uuid::now_v7(),
        channel: Channel::Email,
        message_type,
        priority: Priority::P2,
        attempt: 1,
        recipient: "ada@example.org".into(),
        subject: Some("News".into()),
        body: Some("See https://example.org/".into()),
        html: Some(html.into()),
        data: None,
        options: Arc::default(),
        ip_pool: None,
        tenant_id: Some(7),
    }
}

fn with_options(mut message: Rendered, change: impl FnOnce(&mut Options)) -> Rendered {
    let mut options = Options::default();
    change(&mut options);
    message.options = Arc::new(options);
    message
}

/// The purpose of one of our URLs.
fn purpose(links: &Links, kind: Kind, url: &str) -> Option<Link> {
    let path = url.strip_prefix(PUBLIC)?.strip_prefix('/')?;
    let token = path.strip_prefix(kind.segment())?.strip_prefix('/')?;
    links.keys.open(kind, token)
}

/// Gmail and Yahoo put bulk mail without both fields into the spam folder.
#[test]
fn newsletters_and_campaigns_have_a_way_out_and_others_have_none() {
    let links = links();
    for bulk in [MessageType::Newsletter, MessageType::Campaign] {
        let message = mail(bulk, "<p>x");
        let marked = links.mark(&message, "ses", false);
        let headers = &marked.options.headers;
        assert_eq!(headers[LIST_UNSUBSCRIBE_POST], "List-Unsubscribe=One-Click");
        let url = headers[LIST_UNSUBSCRIBE].trim_matches(['<', '>']);
        let expected = Link {
            message_id: message.message_id,
            gateway: "ses".into(),
            purpose: Purpose::Unsubscribe {
                recipient: "ada@example.org".into(),
                tenant_id: Some(7),
            },
        };
        assert_eq!(purpose(&links, Kind::Unsubscribe, url), Some(expected));
        assert_eq!(marked.html, message.html, "not tracked");
    }
    for other in [
        MessageType::Transactional,
        MessageType::Alert,
        MessageType::Emergency,
    ] {
        let marked = links.mark(&mail(other, "<p>x"), "ses", false);
        assert!(marked.options.headers.is_empty(), "{other}");
    }
}

/// A sender that has its own list management knows better.
#[test]
fn a_message_with_its_own_way_out_keeps_it() {
    for own in ["list-unsubscribe", "List-Unsubscribe-Post"] {
        let message = with_options(mail(MessageType::Newsletter, ""), |options| {
            options
                .headers
                .insert(own.into(), "<https://own.example/>".into());
        });
        let marked = links().mark(&message, "ses", false);
        assert_eq!(marked.options.headers, message.options.headers, "{own}");
    }
}

/// RFC 8058 asks for https; one URL may be a mailto.
#[test]
fn the_way_out_is_https_and_may_have_a_mailto_beside_it() {
    let marked = |public_url: &str, mailto: Option<&str>| {
        let settings = settings(|settings| settings.unsubscribe_mailto = mailto.map(Into::into));
        let links = Links::new(&settings, Some(public_url))
            .expect("settings")
            .expect("links");
        links
            .mark(&mail(MessageType::Campaign, ""), "smtp", false)
            .options
            .headers
            .get(LIST_UNSUBSCRIBE)
            .cloned()
    };
    let both = marked(PUBLIC, Some("mailto:leave@example.org?subject=leave")).expect("a header");
    assert!(
        both.ends_with(">, <mailto:leave@example.org?subject=leave>"),
        "{both}"
    );
    assert_eq!(marked("http://post.example.org", None), None);
}

/// What cannot work stops the start; what is not configured is not there.
#[test]
fn settings_are_checked() {
    let build = |change: fn(&mut Settings), url| {
        Links::new(&settings(change), url).map(|links| links.is_some())
    };
    assert_eq!(build(|_| (), Some(PUBLIC)), Ok(true));
    assert_eq!(build(|s| s.secret = None, None), Ok(false));
    assert!(build(|_| (), None).is_err(), "no public URL");
    assert!(build(|s| s.secret = Some("short".into()), Some(PUBLIC)).is_err());
    assert!(
        build(
            |s| s.unsubscribe_mailto = Some("x>, <y@z".into()),
            Some(PUBLIC)
        )
        .is_err()
    );
}

/// The links of `html` as they are after marking.
fn hrefs(html: &str) -> Vec<&str> {
    let parts = html.split("href=\"").skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// Only what leads into the Web is counted, and it leads to the same place.
#[test]
fn web_links_of_a_tracked_mail_lead_through_us() {
    let links = links();
    let html = format!(
        r##"<body><a href="https://example.org/a?b=1&amp;c=2">1</a><a href="#x">2</a><a href="mailto:a@x.org">3</a><a href="tel:+1">4</a><a href="https://example.org/Unsubscribe?me">5</a><a href="{PUBLIC}/u/x">6</a><a href="https://{}">7</a></body>"##,
        "x".repeat(2000)
    );
    let message = mail(MessageType::Newsletter, &html);
    let marked = links.mark(&message, "smtp", true);
    let (before, after) = (
        hrefs(&html),
        hrefs(marked.html.as_deref().expect("html"))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    let click = purpose(&links, Kind::Click, &after[0]).expect("a link of ours");
    assert_eq!(click.message_id, message.message_id);
    let target = "https://example.org/a?b=1&c=2".into();
    assert_eq!(click.purpose, Purpose::Click { target });
    assert_eq!(before[1..], after[1..], "untouched");
    let marked = marked.html.expect("html");
    let pixel = marked
        .split("<img src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a pixel");
    assert_eq!(
        purpose(&links, Kind::Open, pixel).map(|link| link.purpose),
        Some(Purpose::Open)
    );
    assert_eq!(message.body.as_deref(), Some("See https://example.org/"));
}

/// A caller's own way out in a header is also in the text, and must not depend on us.
#[test]
fn a_link_that_the_header_names_stays() {
    let html = r#"<a href="https://own.example/leave">"#;
    let message = with_options(mail(MessageType::Newsletter, html), |options| {
        let value = "<mailto:x@own.example>, <https://own.example/leave>";
        options
            .headers
            .insert("List-Unsubscribe".into(), value.into());
    });
    let marked = links().mark(&message, "smtp", true);
    assert!(marked.html.expect("html").starts_with(html));
}

/// Whether a mail is tracked says the message, then its type; and a gateway that reports itself is left to it.
#[test]
fn tracking_is_by_type_and_the_message_may_say_otherwise() {
    let html = r#"<a href="https://example.org/">"#;
    let is_marked = |message_type, tracking: Option<bool>, tracks| {
        let message = with_options(mail(message_type, html), |options| {
            options.tracking = tracking
        });
        let marked = links().mark(&message, "smtp", tracks);
        marked.html.as_deref() != Some(html)
    };
    use MessageType::{Newsletter, Transactional};
    assert!(is_marked(Newsletter, None, true));
    assert!(!is_marked(Newsletter, Some(false), true));
    assert!(!is_marked(Transactional, None, true));
    assert!(is_marked(Transactional, Some(true), true));
    assert!(!is_marked(Newsletter, Some(true), false));
}

/// Keeps what it is handed, and the header fields that each mail of a call has of its own.
#[derive(Default)]
struct Kept(
    Mutex<Vec<Rendered>>,
    Mutex<Vec<Vec<(&'static str, String)>>>,
);

#[async_trait]
impl Gateway for Kept {
    fn name(&self) -> &str {
        "kept"
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email, Channel::Sms]
    }

    fn takes(&self, recipient: &str) -> bool {
        recipient.contains('@')
    }

    async fn send(&self, message: &Rendered, _: Instant) -> Result<Accepted, SendError> {
        self.0.lock().expect("a lock").push(message.clone());
        Ok(Accepted::default())
    }

    fn batch(&self) -> Option<&dyn Batch> {
        Some(self)
    }
}

#[async_trait]
impl Batch for Kept {
    fn most(&self) -> usize {
        10
    }

    fn carries(&self, member: &Member<'_>) -> bool {
        member.message.subject.as_deref() != Some("alone")
    }

    async fn send_batch(
        &self,
        members: &[Member<'_>],
        _: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
        let own = members.iter().map(|member| member.headers.clone());
        self.1.lock().expect("a lock").extend(own);
        Ok(members.iter().map(|_| Ok(Accepted::default())).collect())
    }
}

/// It is the same gateway to whoever routes; a text message has no links of ours.
#[tokio::test]
async fn a_linked_gateway_is_its_inner_one_but_for_mails() {
    let kept = Arc::new(Kept::default());
    let linked = Linked::new(Arc::clone(&kept) as _, Arc::new(links()), true);
    assert_eq!(linked.name(), "kept");
    assert_eq!(linked.channels(), kept.channels());
    assert!(linked.takes("a@x.org") && !linked.takes("+1"));
    let mail = mail(MessageType::Newsletter, "<p>x");
    let text = Rendered {
        channel: Channel::Sms,
        ..mail.clone()
    };
    for message in [&mail, &text] {
        linked.send(message, Instant::now()).await.expect("sent");
    }
    let kept = kept.0.lock().expect("a lock");
    assert_ne!(kept[0].html, mail.html);
    assert_eq!(kept[0].options.headers.len(), 2);
    assert_eq!(kept[1].html, text.html);
    assert!(kept[1].options.headers.is_empty());
}

fn linked(tracks: bool) -> (Arc<Kept>, Linked) {
    let kept = Arc::new(Kept::default());
    let linked = Linked::new(Arc::clone(&kept) as _, Arc::new(links()), tracks);
    (kept, linked)
}

/// Links and pixels are in the content, and who gets another one's is counted as that one.
#[test]
fn mails_share_a_call_unless_links_of_ours_are_in_their_content() {
    use MessageType::{Newsletter, Transactional};
    let html = r#"<a href="https://example.org/">"#;
    let carries = |message: Rendered, tracks| {
        let (_, linked) = linked(tracks);
        linked
            .batch()
            .expect("a call")
            .carries(&Member::from(&message))
    };
    let tracking = |message_type, tracking| {
        with_options(mail(message_type, html), |o| o.tracking = Some(tracking))
    };
    assert!(carries(mail(Newsletter, html), false), "a header only");
    assert!(!carries(mail(Newsletter, html), true), "counted links");
    assert!(!carries(mail(Newsletter, "<p>no link"), true), "a pixel");
    assert!(carries(tracking(Newsletter, false), true));
    assert!(!carries(tracking(Transactional, true), true));
    assert!(carries(mail(Transactional, html), true), "nothing of ours");
    let mut text = mail(Newsletter, html);
    text.html = None;
    assert!(carries(text, true), "nothing to rewrite");
    let mut sms = mail(Newsletter, html);
    sms.channel = Channel::Sms;
    assert!(carries(sms, true), "no mail");
    let mut alone = mail(Newsletter, html);
    alone.subject = Some("alone".into());
    assert!(!carries(alone, false), "its gateway decides, too");
}

/// One way out for all would unsubscribe the wrong one.
#[tokio::test]
async fn each_mail_of_a_call_has_a_way_out_of_its_own() {
    let (kept, linked) = linked(false);
    let batch = linked.batch().expect("a call");
    let two = [
        mail(MessageType::Newsletter, "x"),
        mail(MessageType::Newsletter, "x"),
    ];
    let members = two.each_ref().map(Member::from);
    let answers = batch.send_batch(&members, Instant::now()).await;
    assert_eq!(answers.expect("sent").len(), 2);
    {
        let kept = kept.1.lock().expect("a lock");
        for (own, message) in kept.iter().zip(&two) {
            let alone = linked.links.mark(message, "kept", false);
            let own = own
                .iter()
                .map(|(name, value)| ((*name).into(), value.clone()));
            assert_eq!(
                own.collect::<std::collections::BTreeMap<String, String>>(),
                alone.options.headers
            );
        }
        assert_ne!(kept[0], kept[1]);
    }

    // What cannot have a link goes out without, and so alone.
    let mut long = mail(MessageType::Newsletter, "x");
    long.recipient = format!("{}@example.org", "x".repeat(3000));
    let members = [Member::from(&two[0]), Member::from(&long)];
    let refused = batch.send_batch(&members, Instant::now()).await;
    let fault = Fault::Permanent(Blame::Message);
    assert_eq!(
        refused.expect_err("uneven").fault,
        fault,
        "they are taken apart"
    );

    // Without anything of ours there is nothing of their own.
    let two = [mail(MessageType::Alert, "x"), mail(MessageType::Alert, "x")];
    let members = two.each_ref().map(Member::from);
    batch
        .send_batch(&members, Instant::now())
        .await
        .expect("sent");
    let kept = kept.1.lock().expect("a lock");
    assert!(kept[2..].iter().all(Vec::is_empty) && kept.len() == 4);
}
