//! Pages for people: plain, of one file, without scripts, readable by everything that reads pages.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, RETRY_AFTER};
use ring::digest::{SHA256, digest};

use super::ROBOTS_TAG;
use crate::server::respond::{Response, whole};

const STYLE: &str = "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}\
    button{font:inherit;padding:.6rem 1.2rem;cursor:pointer}:root{color-scheme:light dark}";

/// Nothing from elsewhere, no script, this style and no other; a form only to ourselves.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n{main}\n</main>\n</html>\n"
    );
    let mut response = whole(status, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.extend([ROBOTS_TAG]);
    if let Some(policy) = POLICY.as_ref() {
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    response
}

/// Asks before anything is done. The form goes to where the page is.
pub(super) fn question() -> Response {
    page(
        StatusCode::OK,
        "Unsubscribe",
        "<p>Do you want no more of these mails?</p>\n<form method=\"post\">\n\
         <input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\n\
         <button type=\"submit\">Unsubscribe</button>\n</form>",
    )
}

/// It is done, now or before.
pub(super) fn done() -> Response {
    page(
        StatusCode::OK,
        "You are unsubscribed",
        "<p role=\"status\">You will get no more of these mails.</p>",
    )
}

/// It is not done.
pub(super) fn try_again() -> Response {
    let mut response = page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Please try again",
        "<p role=\"alert\">You are not unsubscribed yet: something failed on our side. Please try again in a minute.</p>\n\
         <form method=\"post\">\n<button type=\"submit\">Try again</button>\n</form>",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// A link that we did not make, or that was cut on its way.
pub(super) fn not_ours() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "This link does not work",
        "<p>It is incomplete, or too old. Please follow the link in the mail once more, or copy all of it.</p>",
    )
}

/// For those who do not follow by themselves.
pub(super) fn on_its_way() -> Response {
    page(
        StatusCode::FOUND,
        "On its way",
        "<p>One moment, please.</p>",
    )
}
