//! Which handler answers: a table of methods and patterns.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use percent_encoding::percent_decode_str;

use super::Request;
use super::request::Memory;
use super::respond::{Refusal, Response};

/// How long an answer may take to begin, unless the route says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Answers the requests of a route.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers `request`, whose body is not yet read.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] is an answer like any other, written with `?`.
    async fn handle(&self, request: Request) -> Result<Response, Refusal>;
}

/// Methods and a pattern of paths, with what answers them.
pub struct Route {
    methods: Vec<Method>,
    segments: Vec<Segment>,
    /// For the beginning of an answer, with the reading of the request's body; `None` where that has no bound.
    pub(super) timeout: Option<Duration>,
    /// What its bodies count against; those of other routes share what is left.
    pub(super) memory: Option<Memory>,
    pub(super) handler: Arc<dyn Handler>,
}

enum Segment {
    Literal(&'static str),
    /// `{name}`: one segment, which is not empty.
    One,
    /// `{name*}`, the last one: whatever follows, slashes and all.
    Rest,
}

impl Route {
    /// A route. Of `pattern`, such as `/webhooks/{gateway}`, a segment in braces stands for any one segment, and
    /// `{name*}` at the end for all that follows; both become [`parameters`](Request::parameters). A `GET` route answers
    /// `HEAD` too.
    pub fn new(methods: &[Method], pattern: &'static str, handler: Arc<dyn Handler>) -> Self {
        let mut methods = methods.to_vec();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        let segments = pattern.split('/').skip(1).map(|segment| match segment {
            _ if segment.ends_with("*}") => Segment::Rest,
            _ if segment.starts_with('{') => Segment::One,
            literal => Segment::Literal(literal),
        });
        Self {
            methods,
            segments: segments.collect(),
            timeout: Some(TIMEOUT),
            memory: None,
            handler,
        }
    }

    /// The same with another bound on the beginning of an answer; `None` for uploads and the like, which the deadlines
    /// on their pieces bound.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with memory of its own, or that it has together with some others, for bodies.
    #[must_use]
    pub(super) fn memory(mut self, memory: &Memory) -> Self {
        self.memory = Some(memory.clone());
        self
    }

    /// What the pattern left open, when `path` fits.
    fn fit(&self, path: &str) -> Option<Vec<String>> {
        let mut rest = path.strip_prefix('/');
        let mut parameters = Vec::new();
        for segment in &self.segments {
            let left = rest?;
            if matches!(segment, Segment::Rest) {
                parameters.push(decoded(left)?);
                return Some(parameters);
            }
            let (first, after) = match left.split_once('/') {
                Some((first, after)) => (first, Some(after)),
                None => (left, None),
            };
            match segment {
                Segment::Literal(literal) if *literal == first => {}
                Segment::One if !first.is_empty() => parameters.push(decoded(first)?),
                _ => return None,
            }
            rest = after;
        }
        rest.is_none().then_some(parameters)
    }
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// The table. The first route that fits answers.
#[derive(Default)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// The same with a route more.
    #[must_use]
    pub fn with(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// The route of a request, and its parameters.
    ///
    /// # Errors
    ///
    /// 404, or 405 with the methods that the path knows.
    pub(super) fn find(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<(&Route, Vec<String>), Refusal> {
        let mut allowed: Vec<&str> = Vec::new();
        for route in &self.routes {
            let Some(parameters) = route.fit(path) else {
                continue;
            };
            if route.methods.contains(method) {
                return Ok((route, parameters));
            }
            allowed.extend(route.methods.iter().map(Method::as_str));
        }
        match allowed.is_empty() {
            true => Err(Refusal::not_found()),
            false => Err(Refusal::method_not_allowed(&allowed.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    struct Nobody;

    #[async_trait]
    impl Handler for Nobody {
        async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
            Err(Refusal::not_found())
        }
    }

    fn router() -> Router {
        let route = |methods: &[Method], pattern| Route::new(methods, pattern, Arc::new(Nobody));
        Router::default()
            .with(route(&[Method::GET], "/health/live"))
            .with(route(&[Method::POST], "/webhooks/{gateway}"))
            .with(route(&[Method::GET, Method::PUT], "/files/{path*}"))
            .with(route(&[Method::DELETE], "/files/one"))
    }

    fn found(method: Method, path: &str) -> Result<Vec<String>, StatusCode> {
        let router = router();
        let found = router.find(&method, path);
        found
            .map(|(_, parameters)| parameters)
            .map_err(|refusal| refusal.status())
    }

    /// A path that fits by its beginning alone is another path.
    #[test]
    fn a_route_is_found_by_its_whole_path() {
        assert_eq!(found(Method::GET, "/health/live"), Ok(vec![]));
        assert_eq!(found(Method::HEAD, "/health/live"), Ok(vec![]));
        assert_eq!(found(Method::POST, "/webhooks/ses"), Ok(vec!["ses".into()]));
        assert_eq!(
            found(Method::POST, "/webhooks/a%2Fb"),
            Ok(vec!["a/b".into()])
        );
        assert_eq!(
            found(Method::PUT, "/files/a/b%20c"),
            Ok(vec!["a/b c".into()])
        );
        for path in [
            "/",
            "",
            "*",
            "/health",
            "/health/live/",
            "/health/live/x",
            "/health/Live",
            "//health/live",
            "/webhooks/",
            "/webhooks/a/b",
            "/webhooks/%ff",
            "/files",
        ] {
            let any = [Method::GET, Method::POST].map(|method| found(method, path));
            assert!(
                any.iter().all(|found| *found == Err(StatusCode::NOT_FOUND)),
                "{path}"
            );
        }
    }

    /// RFC 9110, section 15.5.6: the answer names the methods that there are.
    #[test]
    fn another_method_is_told_which_ones_there_are() {
        assert_eq!(
            found(Method::GET, "/webhooks/ses"),
            Err(StatusCode::METHOD_NOT_ALLOWED)
        );
        let router = router();
        let refusal = router
            .find(&Method::POST, "/files/one")
            .err()
            .expect("a refusal");
        assert_eq!(
            refusal,
            Refusal::method_not_allowed("GET, PUT, HEAD, DELETE")
        );
    }
}
