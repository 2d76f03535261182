//! What the tests of webhook sources share.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderName;

use super::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::report::Report;

/// Has `source` check a request.
pub(super) fn verify(
    source: &dyn WebhookSource,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> Result<Verified, Refused> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        map.append(name, value.parse().expect("a header"));
    }
    let posted = Posted {
        url,
        query: url.split_once('?').map(|(_, query)| query),
        headers: &map,
        body: &Bytes::copy_from_slice(body),
        now: SystemTime::now(),
    };
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(source.verify(&posted))
}

/// Has `source` read a stored request.
pub(super) fn parse(
    source: &dyn WebhookSource,
    query: Option<&str>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Vec<Report>, Unreadable> {
    source.parse(&Stored {
        query,
        content_type,
        body,
        received_at: SystemTime::now(),
    })
}
