//! What many use and none may have all of: memory for bodies, streams, feeds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many owners are kept before those that hold nothing are forgotten.
const KEPT: usize = 1000;

/// A number of things, of which one owner has a share at most.
pub(super) struct Shares {
    all: Arc<Semaphore>,
    total: usize,
    each: usize,
    owners: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Some of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    own: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
}

impl Shares {
    /// `total` of them, one at least, of which an owner may have `each`.
    pub(super) fn new(total: usize, each: usize) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(total)),
            total,
            each: each.clamp(1, total),
            owners: Mutex::default(),
        }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.total - self.all.available_permits()
    }

    /// Takes `count`; none when so many are not there, or the owner would have more than its share.
    pub(super) fn try_take(&self, owner: &str, count: usize) -> Option<Share> {
        let count = u32::try_from(count).ok()?;
        let own = self.own(owner).try_acquire_many_owned(count).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(count).ok()?;
        Some(Share { own, of_all })
    }

    /// Waits for one: behind the owner's others first, then behind everybody's.
    pub(super) async fn take_one(&self, owner: &str) -> Option<Share> {
        let own = self.own(owner).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Share { own, of_all })
    }

    fn own(&self, owner: &str) -> Arc<Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = owners.get(owner) {
            return Arc::clone(own);
        }
        if owners.len() >= KEPT {
            owners.retain(|_, own| Arc::strong_count(own) > 1); // a permit, and who waits for one, holds it
        }
        let own = Arc::new(Semaphore::new(self.each));
        owners.insert(owner.to_owned(), Arc::clone(&own));
        own
    }
}

impl Share {
    /// How many.
    pub(super) fn count(&self) -> usize {
        self.of_all.num_permits()
    }

    /// Adds another one of the same owner's.
    pub(super) fn merge(&mut self, other: Self) {
        self.own.merge(other.own);
        self.of_all.merge(other.of_all);
    }
}

/// The owner of what a client takes who has not said who they are. Of IPv6 one host has a whole network (RFC 4291, section
/// 2.5.4).
pub(super) fn of_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One owner's greed is another's wait, unless it is bounded; and what is given back is there again.
    #[test]
    fn an_owner_has_its_share_and_all_have_what_there_is() {
        let shares = Shares::new(10, 4);
        let mut own = shares.try_take("a", 3).expect("there");
        assert!(shares.try_take("a", 2).is_none(), "more than its share");
        own.merge(shares.try_take("a", 1).expect("its share"));
        assert_eq!((own.count(), shares.taken()), (4, 4));
        let other = shares.try_take("b", 4).expect("its own share");
        assert!(shares.try_take("c", 3).is_none(), "more than there is");
        let third = shares.try_take("c", 2).expect("the rest");
        assert!(shares.try_take("c", 1).is_none(), "nothing is left");
        drop((own, third));
        assert_eq!(shares.taken(), 4);
        assert!(shares.try_take("a", 4).is_some());
        drop(other);
        assert_eq!(shares.taken(), 0);
    }

    /// Owners come and go; who holds something is not forgotten, or would get a second share.
    #[test]
    fn owners_are_forgotten_when_they_hold_nothing() {
        let shares = Shares::new(10_000, 1);
        let held = shares.try_take("held", 1).expect("there");
        for n in 0..3 * KEPT {
            drop(shares.try_take(&n.to_string(), 1).expect("there"));
        }
        let known = shares.owners.lock().expect("a map").len();
        assert!(known <= KEPT, "{known}");
        assert!(shares.try_take("held", 1).is_none());
        drop(held);
    }

    /// A host has as many addresses of IPv6 as it likes.
    #[test]
    fn a_network_of_ipv6_is_one_owner() {
        let owner = |text: &str| of_address(text.parse().expect("an address"));
        assert_eq!(owner("2001:db8:1:2::3"), owner("2001:db8:1:2:ffff::4"));
        assert_ne!(owner("2001:db8:1:2::3"), owner("2001:db8:1:3::3"));
        assert_ne!(owner("192.0.2.1"), owner("192.0.2.2"));
        assert_eq!(owner("::ffff:192.0.2.1"), owner("192.0.2.1"));
    }
}
