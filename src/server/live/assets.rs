//! The files of the page, carried by the binary: nothing is loaded from elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use super::access::Gate;
use crate::server::Request;
use crate::server::respond::{Refusal, Response, whole};
use crate::server::route::Handler;

/// One file.
pub(super) struct Asset {
    pub(super) path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const STYLES: &str = "text/css; charset=utf-8";

/// All of them. `uPlot` is <https://github.com/leeoniya/uPlot>, 1.6.32, MIT: its licence lies beside it.
pub(super) const ALL: &[Asset] = &[
    Asset {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("page/index.html"),
    },
    Asset {
        path: "/ui/page.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/page.js"),
    },
    Asset {
        path: "/ui/charts.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/charts.js"),
    },
    Asset {
        path: "/ui/message.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/message.js"),
    },
    Asset {
        path: "/ui/outbox.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/outbox.js"),
    },
    Asset {
        path: "/ui/dom.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/dom.js"),
    },
    Asset {
        path: "/ui/page.css",
        content_type: STYLES,
        text: include_str!("page/page.css"),
    },
    Asset {
        path: "/ui/uplot.js",
        content_type: JAVASCRIPT,
        text: include_str!("page/uPlot.iife.min.js"),
    },
    Asset {
        path: "/ui/uplot.css",
        content_type: STYLES,
        text: include_str!("page/uPlot.min.css"),
    },
    Asset {
        path: "/ui/icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
];

/// Scripts, styles and data from here only; mails are shown in a frame of ours, which has a policy of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Answers with a file. Before a login, too: there is nothing in it.
pub(super) struct Shown {
    asset: &'static Asset,
    gate: Arc<Gate>,
}

impl Shown {
    pub(super) fn new(asset: &'static Asset, gate: &Arc<Gate>) -> Self {
        let gate = Arc::clone(gate);
        Self { asset, gate }
    }
}

#[async_trait]
impl Handler for Shown {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.admit(&request)?;
        let mut response = whole(StatusCode::OK, self.asset.content_type, self.asset.text);
        let policy = HeaderValue::from_static(POLICY);
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }
}
