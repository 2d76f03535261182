//! Requests, and their bodies, which are read under limits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connections::Ticket;
use super::respond::Refusal;
use super::shares::{Share, Shares, of_address};

/// How long, and how much, a client may go on sending what is refused already, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024 * 1024;

/// The unit in which memory for bodies is counted.
const KIB: usize = 1024;

/// What all bodies of some routes that are being read may take together.
#[derive(Clone)]
pub(super) struct Memory(Arc<Shares>);

impl Memory {
    /// `bytes` for all, and `each` for one client; both rounded up to whole KiB.
    pub(super) fn new(bytes: usize, each: usize) -> Self {
        let shares = Shares::new(bytes.div_ceil(KIB), each.div_ceil(KIB));
        Self(Arc::new(shares))
    }
}

/// A request. Nothing in it is trusted.
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks: the peer, or whom a trusted proxy names.
    pub client: IpAddr,
    /// What the route's pattern left open, decoded, in its order.
    pub parameters: Vec<String>,
    /// Cancelled when the server is to end: an answer without an end must end then.
    pub ending: CancellationToken,
    body: RequestBody,
}

impl Request {
    pub(super) fn new(
        request: hyper::Request<Incoming>,
        client: IpAddr,
        ending: CancellationToken,
        limits: Limits,
        ticket: Arc<Ticket>,
    ) -> Self {
        let (head, incoming) = request.into_parts();
        let body = RequestBody {
            incoming: Some(incoming),
            owner: of_address(client),
            read_bytes: 0,
            further_bytes: 0,
            limits,
            ticket,
            held: None,
        };
        Self {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            client,
            parameters: Vec::new(),
            ending,
            body,
        }
    }

    /// Path of the request, still percent-encoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What follows the question mark, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// A header that is there once, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// Has its body count against this memory.
    pub(super) fn take_from(&mut self, memory: &Memory) {
        self.body.limits.memory = memory.clone();
    }

    /// Has its body count as that of a caller who is known by now, not of the client's address.
    pub(super) fn is_of(&mut self, owner: String) {
        self.body.owner = owner;
    }

    /// Counts `bytes` more that are held for this request as if they were of its body.
    ///
    /// # Errors
    ///
    /// 503: the memory is taken.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.body.further_bytes = self.body.further_bytes.saturating_add(bytes);
        self.body.hold()
    }

    /// Reads the whole body, which may have `max_bytes`. Empty when it was read before. What it takes counts against the
    /// memory that all bodies share until the request is dropped.
    ///
    /// # Errors
    ///
    /// 413 when it is larger, whatever `Content-Length` said; 408 when it does not come in time; 503 when the memory, or
    /// the client's share of it, is taken; 400 when it breaks off.
    pub async fn body(&mut self, max_bytes: usize) -> Result<Bytes, Refusal> {
        let deadline = Instant::now() + self.body.limits.body_timeout;
        let mut whole = BytesMut::new();
        let mut first = Bytes::new();
        while let Some(chunk) = self.body.chunk(max_bytes, deadline).await? {
            self.body.hold()?;
            if first.is_empty() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(if whole.is_empty() {
            first
        } else {
            whole.freeze()
        })
    }

    /// The next piece of the body, for what is read piece by piece; `None` at its end. Each may take as long as a whole
    /// body may otherwise.
    ///
    /// # Errors
    ///
    /// As those of [`body`](Self::body); `max_bytes` is for the whole.
    pub async fn chunk(&mut self, max_bytes: usize) -> Result<Option<Bytes>, Refusal> {
        let deadline = Instant::now() + self.body.limits.body_timeout;
        self.body.chunk(max_bytes, deadline).await
    }
}

/// What bounds the reading of a body.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) body_timeout: Duration,
    pub(super) memory: Memory,
}

struct RequestBody {
    incoming: Option<Incoming>,
    /// Of whose share it is.
    owner: String,
    read_bytes: usize,
    /// What it was inflated to.
    further_bytes: usize,
    limits: Limits,
    ticket: Arc<Ticket>,
    held: Option<Share>,
}

impl RequestBody {
    async fn chunk(
        &mut self,
        max_bytes: usize,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Refusal> {
        let too_large = || {
            let error = format!("the body may have {max_bytes} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error).last()
        };
        loop {
            let Some(incoming) = &mut self.incoming else {
                return Ok(None);
            };
            // What Content-Length announces need not be waited for.
            let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
            if self.read_bytes.saturating_add(announced) > max_bytes {
                return Err(too_large());
            }
            if incoming.is_end_stream() {
                self.incoming = None;
                return Ok(None);
            }
            self.ticket.waits();
            let frame = timeout_at(deadline, incoming.frame()).await;
            self.ticket.works();
            let frame = match frame {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => {
                    self.incoming = None;
                    return Ok(None);
                }
                Ok(Some(Err(_))) => {
                    let error = "the body broke off, or is not framed as it should be";
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, error).last());
                }
                Err(_) => {
                    let error = "the body did not come in time";
                    return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error).last());
                }
            };
            let Ok(chunk) = frame.into_data() else {
                continue; // trailers
            };
            self.read_bytes = self.read_bytes.saturating_add(chunk.len());
            if self.read_bytes > max_bytes {
                return Err(too_large());
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    /// Counts what was read against what all bodies may take, until this one is dropped.
    fn hold(&mut self) -> Result<(), Refusal> {
        let held = self.held.as_ref().map_or(0, Share::count);
        let bytes = self.read_bytes.saturating_add(self.further_bytes);
        let more = bytes.div_ceil(KIB).saturating_sub(held);
        let more = self.limits.memory.0.try_take(&self.owner, more);
        let more = more.ok_or_else(|| Refusal::busy("too many bodies at once").last())?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

impl Drop for RequestBody {
    /// A client that is still sending would be reset, and never read the answer: it is heard out for a while.
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { timeout(LINGER, drain(incoming)).await });
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let mut drained = 0;
    while let Some(Ok(frame)) = incoming.frame().await
        && drained < LINGER_BYTES
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}
