//! Tells that callers exceed their limits: a system event each, once a minute, beside the calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::warn;

use super::callers::Caller;
use super::limiter::Taken;
use crate::db::{DbError, http};
use crate::model::excess::Excesses;

/// After so long it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Who exceeds them. It is asked of nothing but refused calls.
pub(super) struct Teller {
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    callers: Excesses<String, Refused>,
    is_telling: bool,
}

/// A call that was refused.
#[derive(Clone, Debug)]
struct Refused {
    tenant_id: Option<i64>,
    limit: u32,
    wait: Duration,
}

impl Teller {
    /// Tells over `pool`.
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            state: Mutex::default(),
        })
    }

    /// Notes that a call was refused.
    pub(super) fn refused(self: &Arc<Self>, caller: &Caller, taken: &Taken) {
        let refused = Refused {
            tenant_id: caller.tenant_id,
            limit: taken.limit,
            wait: taken.wait,
        };
        let mut state = self.state();
        let is_untold = state
            .callers
            .note(caller.id.clone(), refused, Instant::now());
        if is_untold && !state.is_telling {
            state.is_telling = true;
            let teller = Arc::clone(self);
            tokio::spawn(async move { teller.tell().await });
        }
    }

    /// Tells all there is.
    async fn tell(&self) {
        loop {
            let untold = {
                let mut state = self.state();
                let untold = state.callers.untold(Instant::now());
                state.is_telling = !untold.is_empty();
                untold
            };
            if untold.is_empty() {
                return;
            }
            let callers = untold.iter().map(|(id, excess)| {
                json!({
                    "caller": id,
                    "tenant_id": excess.detail.tenant_id,
                    "limit": excess.detail.limit,
                    "retry_after_seconds": excess.detail.wait.as_secs_f64(),
                    "lasting_seconds": excess.lasting.as_secs_f64(),
                })
            });
            let callers: Value = callers.collect();
            let told = self.report(&callers).await;
            if let Err(error) = told {
                warn!(%error, "that callers exceed their limits could not be told; it is tried again");
                sleep(RETRY).await;
                continue;
            }
            let ids = untold.iter().map(|(id, _)| id);
            self.state().callers.told(ids, Instant::now());
        }
    }

    async fn report(&self, callers: &Value) -> Result<i32, DbError> {
        let client = self.pool.get().await?;
        http::report_limited_callers(&client, callers).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
