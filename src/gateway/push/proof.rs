//! Telling a bad token from a gateway that is set up for another app.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::outcome::{Blame, Fault};

/// What speaks for the gateway's set-up. A token "of another sender" or "of the other environment" is bad when other
/// tokens work here; when none ever did, it may be that all of them are good and the gateway is wrong, and then nobody
/// may be suppressed.
#[derive(Debug, Default)]
pub struct Proof(AtomicU32);

/// The set-up is right.
const PROVEN: u32 = u32::MAX;

/// So many refusals in a row, from the start on, and the gateway is to blame.
const SUSPICIOUS: u32 = 10;

impl Proof {
    /// Notes that the provider knows a token of this app.
    pub fn found(&self) {
        self.0.store(PROVEN, Ordering::Relaxed);
    }

    /// Whose fault a refusal is that the token or the set-up may have caused: the recipient's once the set-up is proven;
    /// before, the message's, and from the tenth refusal in a row the gateway's.
    pub fn refusal(&self) -> Fault {
        let counted = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < SUSPICIOUS).then(|| count + 1)
            });
        match counted {
            Err(PROVEN) => Fault::Permanent(Blame::Recipient),
            Ok(before) if before + 1 < SUSPICIOUS => Fault::Permanent(Blame::Message),
            Ok(_) | Err(_) => Fault::Gateway { retry_after: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wrong environment in a configuration must not suppress every device that there is.
    #[test]
    fn a_refused_token_is_bad_only_where_another_one_works() {
        let proof = Proof::default();
        for _ in 1..SUSPICIOUS {
            assert_eq!(proof.refusal(), Fault::Permanent(Blame::Message));
        }
        for _ in 0..3 {
            assert_eq!(proof.refusal(), Fault::Gateway { retry_after: None });
        }
        proof.found();
        assert_eq!(proof.refusal(), Fault::Permanent(Blame::Recipient));
    }
}
