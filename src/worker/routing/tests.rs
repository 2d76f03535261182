use super::*;
use crate::gateway::stub::{Settings, Stub};
use crate::model::outcome::Blame;

/// A list of dead addresses is no outage, and a destination that defers us is none of the others.
#[test]
fn only_its_own_faults_shut_a_gateway_and_transient_ones_a_domain() {
    let transient = Fault::Transient { retry_after: None };
    let own = Fault::Gateway { retry_after: None };
    for (fault, is_in_order, takes_domain) in [
        (Fault::Permanent(Blame::Recipient), true, true),
        (Fault::Permanent(Blame::Message), true, true),
        (transient, true, false),
        (own, false, false),
        (Fault::Unknown, false, false),
    ] {
        let routing = Routing::default();
        for _ in 0..10 {
            let domain = Some("one.example");
            let call = routing.begin("x", Channel::Email, Priority::P4, domain);
            call.ended(&Err(SendError::new(fault, "test")));
        }
        let takes = |domain| {
            let now = Instant::now();
            routing.known().is_good("x", Some(domain), now)
        };
        assert_eq!(routing.is_in_order("x"), is_in_order, "{fault:?}");
        assert_eq!(takes("one.example"), takes_domain, "{fault:?}");
        assert_eq!(takes("two.example"), is_in_order, "{fault:?}");
    }
}

/// A message without a sender was not shown to the server: it says nothing of it, neither good nor bad.
#[test]
fn a_mail_that_no_server_was_asked_to_take_leaves_breakers_as_they_are() {
    let own = Fault::Gateway { retry_after: None };
    let routing = Routing::default();
    let fails = |reason| {
        for _ in 0..10 {
            let call = routing.begin("x", Channel::Email, Priority::P4, Some("one.example"));
            call.ended(&Err(SendError::new(own, reason)));
        }
        routing.is_in_order("x")
    };
    assert!(fails("sender_missing"));
    assert!(!fails("connect_failed"));
    assert!(!fails("sender_missing"), "it closed a breaker");
}

/// Who names a gateway wants that one: a probe of another is for messages that name none.
#[tokio::test]
async fn a_message_with_a_chosen_gateway_probes_no_other() {
    let gateway = |name| -> Arc<dyn Gateway> {
        Arc::new(Stub::new(name, &Settings::default()).expect("a stub"))
    };
    let configured = [gateway("a"), gateway("b")];
    let routing = Routing::default();
    routing.probe("b");
    let order = |chosen: Option<usize>| {
        let order = routing.order(&Choice {
            chosen: chosen.map(|index| &configured[index]),
            configured: &configured,
            recipient: "ada@example.org",
            domain: None,
            is_last_attempt: false,
            price: &|_| None,
        });
        order.iter().map(|g| g.name()).collect::<Vec<_>>()
    };
    assert_eq!(order(Some(0)), ["a"]);
    assert_eq!(order(None), ["b", "a"]);
    assert_eq!(order(None), ["a"], "one message is a probe");
    routing.probe("b");
    assert_eq!(order(Some(1)), ["b", "a"]);
}
