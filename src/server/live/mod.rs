//! The live page `/`: what the queue and the gateways do now, a message's whole way, and the few things that an operator
//! does about it.

mod access;
mod assets;
mod feed;
mod messages;
mod outbox;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::Method;

use super::api::Api;
use super::figures::Figures;
use super::route::{Handler, Route, Router};
use crate::db::Database;
use crate::db::looks::Line;
use access::{Access, Gate};

/// How the page is served.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// For whoever is on this machine, without a key: development. Else for operators with a key of the HTTP API.
    pub is_for_this_machine: bool,
    /// The folder into which messages are written instead of being sent, in development.
    pub outbox: Option<PathBuf>,
}

/// Adds the page's routes.
pub(super) fn routes(
    router: Router,
    setup: Setup,
    is_secure: bool,
    database: &Database,
    figures: &Arc<Figures>,
    api: &Arc<Api>,
) -> Router {
    let access = match setup.is_for_this_machine {
        true => Access::ThisMachine,
        false => Access::Operators(Arc::clone(api)),
    };
    let gate = Arc::new(Gate::new(access, is_secure));
    let line = Arc::new(Line::new(database.clone()));
    let outbox = Arc::new(outbox::Outbox::new(setup.outbox));
    let get = |pattern, handler: Arc<dyn Handler>| Route::new(&[Method::GET], pattern, handler);
    let post = |pattern, handler: Arc<dyn Handler>| Route::new(&[Method::POST], pattern, handler);
    let mut router = router;
    for asset in assets::ALL {
        router = router.with(get(asset.path, Arc::new(assets::Shown::new(asset, &gate))));
    }
    let has_outbox = outbox.is_there();
    router
        .with(get(
            "/ui/session",
            Arc::new(access::Session::new(&gate, has_outbox)),
        ))
        .with(post("/ui/login", Arc::new(access::Login::new(&gate))))
        .with(post("/ui/logout", Arc::new(access::Logout::new(&gate))))
        .with(get(
            "/ui/feed",
            Arc::new(feed::Feed::new(&gate, figures, database)),
        ))
        .with(get(
            "/ui/messages",
            Arc::new(messages::Find::new(&gate, &line)),
        ))
        .with(get(
            "/ui/messages/{id}",
            Arc::new(messages::Report::new(&gate, &line)),
        ))
        .with(post(
            "/ui/actions",
            Arc::new(messages::Act::new(&gate, &line)),
        ))
        .with(get(
            "/ui/outbox",
            Arc::new(outbox::List::new(&gate, &outbox)),
        ))
        .with(get(
            "/ui/outbox/{id}",
            Arc::new(outbox::Show::new(&gate, &outbox)),
        ))
        .with(get(
            "/ui/outbox/{id}/html",
            Arc::new(outbox::Html::new(&gate, &outbox)),
        ))
}
