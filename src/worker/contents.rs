//! The shared contents that a pool has at hand, bounded in bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use deadpool_postgres::Object;
use uuid::Uuid;

use crate::db::{DbError, calls};
use crate::render::Prepared;

/// What is kept at most, in bytes; the contents of the claim at hand are kept whatever their size.
const MAX_BYTES: usize = 16 << 20;

/// A content, or why there is none.
pub(super) type Found = Result<Arc<Prepared>, &'static str>;

/// The cache.
#[derive(Default)]
pub(super) struct Contents {
    known: HashMap<Uuid, (Found, usize)>,
    order: VecDeque<Uuid>,
    bytes: usize,
}

impl Contents {
    /// Fetches those of `wanted` that are not at hand; afterwards each of them is, or is gone.
    ///
    /// # Errors
    ///
    /// When the call failed.
    pub(super) async fn load(
        &mut self,
        client: &Object,
        wanted: impl Iterator<Item = Uuid>,
    ) -> Result<(), DbError> {
        self.make_room(); // first: what it drops may be wanted
        let mut missing: Vec<Uuid> = wanted.filter(|id| !self.known.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        for (id, content) in calls::fetch_contents(client, &missing).await? {
            let size = content.size_bytes();
            let prepared = Prepared::new(content)
                .map(Arc::new)
                .map_err(|_| "content_unreadable");
            self.insert(id, prepared, size);
        }
        Ok(())
    }

    /// One that [`load`](Self::load) was asked for.
    pub(super) fn get(&self, id: Uuid) -> Found {
        self.known
            .get(&id)
            .map_or(Err("content_gone"), |(found, _)| found.clone())
    }

    fn insert(&mut self, id: Uuid, found: Found, size: usize) {
        self.bytes += size;
        self.order.push_back(id);
        self.known.insert(id, (found, size));
    }

    fn make_room(&mut self) {
        while self.bytes > MAX_BYTES || self.order.len() > 10_000 {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some((_, size)) = self.known.remove(&oldest) {
                self.bytes -= size;
            }
        }
    }
}
