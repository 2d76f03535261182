//! What servers say of a bounce in words, in their many phrases.

use crate::model::report::BounceClass;
use BounceClass::{
    Authentication, AutoReply, InvalidRecipient, MailboxFull, MailboxUnavailable, Message, Network,
    Policy, Reputation, Throttled,
};

/// A text in lower case, with one space for each run of anything but letters and digits, and one at each end.
pub(super) struct Words(String);

/// Phrases with the class that they mean. A phrase that ends in a space matches whole words only.
type Table = &'static [(BounceClass, &'static [&'static str])];

/// What blames the sender, or asks for patience.
const SENDER: Table = &[
    (
        Throttled,
        &[
            "greylist",
            "graylist",
            "throttl",
            "rate limit",
            "too many ",
            "too quickly ",
            "receiving mail at a rate ",
        ],
    ),
    (
        Reputation,
        &[
            "blocklist",
            "block list",
            "blacklist",
            "black list",
            "blackhole",
            "denylist",
            "dnsbl ",
            "rbl ",
            "reputation ",
            "spamhaus ",
            "spamcop ",
            "barracudanetworks ",
            "sorbs ",
            "banned sending ip ",
            "blocked using ",
            "bad outbound sender ",
            "your ip ",
            "your host ",
            "your server ",
            "sending ip ",
            "client ip ",
            "ip address is not allowed ",
        ],
    ),
    (
        Authentication,
        &[
            "spf ",
            "dkim ",
            "dmarc ",
            "authentication ",
            "unauthenticated ",
            "sender verify ",
            "sender address rejected ",
            "sender rejected ",
            "sender domain ",
            "domain of sender ",
            "sender address domain ",
            "sender s domain ",
            "envelope sender ",
            "return path ",
            "sender verification ",
            "sender address verification ",
            "callback ",
            "callout ",
            "helo ",
            "ehlo ",
            "starttls ",
            "ptr record ",
            "reverse dns ",
        ],
    ),
    (
        Policy,
        &[
            "spam",
            "unsolicited ",
            "policy ",
            "policies ",
            "virus ",
            "malware ",
            "phishing ",
            "relay ",
            "relaying ",
            "administrative prohibition ",
            "administratively ",
            "blocked ",
            "banned ",
            "content rejected ",
            "message rejected ",
            "not authorized ",
            "prohibited ",
        ],
    ),
];

/// What is neither the sender's fault nor the address's.
const CIRCUMSTANCES: Table = &[
    (
        AutoReply,
        &[
            "out of office ",
            "out of the office ",
            "autoreply ",
            "auto reply ",
            "automatic reply ",
        ],
    ),
    (
        MailboxFull,
        &[
            "mailbox full ",
            "mailbox is full ",
            "inbox is full ",
            "over quota ",
            "overquota ",
            "quota exceeded ",
            "exceeded quota ",
            "exceeds quota ",
            "exceeded its quota ",
            "disk quota ",
            "mailbox quota ",
            "storage quota ",
            "storage allocation ",
            "out of storage ",
            "insufficient storage ",
            "mailbox size limit ",
            "mailfolder is full ",
        ],
    ),
    (
        Message,
        &[
            "message too large ",
            "message too big ",
            "message is too large ",
            "message size ",
            "size exceeds ",
            "size limit ",
            "attachment",
        ],
    ),
    (
        Network,
        &[
            "timed out ",
            "timeout ",
            "connection refused ",
            "no route to host ",
            "unreachable ",
            "temporary lookup failure ",
            "hop count ",
            "too many hops ",
            "mail loop ",
            "loops back ",
            "delivery time expired ",
        ],
    ),
];

/// What blames the address.
const RECIPIENT: Table = &[
    (
        InvalidRecipient,
        &[
            "user unknown ",
            "unknown user ",
            "no such user ",
            "nosuchuser ",
            "no such recipient ",
            "no such mailbox ",
            "no such address ",
            "unknown recipient ",
            "recipient unknown ",
            "unknown address ",
            "unknown local part ",
            "user not found ",
            "recipient not found ",
            "recipientnotfound ",
            "mailbox not found ",
            "address not found ",
            "user does not exist ",
            "user doesn t exist ",
            "mailbox does not exist ",
            "mailbox doesn t exist ",
            "address does not exist ",
            "recipient does not exist ",
            "tried to reach does not exist ",
            "this user doesn t have a ",
            "invalid recipient ",
            "invalid mailbox ",
            "not a valid mailbox ",
            "not a known user ",
            "bad destination mailbox ",
            "recipient address rejected access denied ",
            "null mx ",
            "nullmx ",
            "does not accept mail ",
            "domain not found ",
            "domain does not exist ",
            "host or domain name not found ",
            "unrouteable address ",
        ],
    ),
    (
        MailboxUnavailable,
        &[
            "mailbox unavailable ",
            "mailbox disabled ",
            "mailbox is disabled ",
            "account disabled ",
            "account is disabled ",
            "account that you tried to reach is disabled ",
            "account inactive ",
            "account is inactive ",
            "mailbox is inactive ",
            "user is inactive ",
            "user inactive ",
        ],
    ),
];

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let words = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        let mut normal = String::from(" ");
        for word in words {
            normal.push_str(&word.to_ascii_lowercase());
            normal.push(' ');
        }
        Self(normal)
    }

    /// What of the recipient's faults it names.
    pub(super) fn of_recipient(&self) -> Option<BounceClass> {
        self.find(RECIPIENT)
    }

    /// What of the sender's faults.
    pub(super) fn of_sender(&self) -> Option<BounceClass> {
        self.find(SENDER)
    }

    /// What but the recipient's.
    pub(super) fn of_others(&self) -> Option<BounceClass> {
        self.find(SENDER).or_else(|| self.find(CIRCUMSTANCES))
    }

    fn find(&self, table: Table) -> Option<BounceClass> {
        let says = |phrase: &&str| {
            let mut found = self.0.match_indices(*phrase);
            found.any(|(at, _)| self.0[..at].ends_with(' ')) // a word begins there
        };
        let mut rows = table.iter();
        rows.find_map(|(class, phrases)| phrases.iter().any(says).then_some(*class))
    }

    /// What the text says when nothing else does: in doubt it is not the recipient.
    pub(super) fn any(&self) -> Option<BounceClass> {
        self.of_others().or_else(|| self.of_recipient())
    }
}
