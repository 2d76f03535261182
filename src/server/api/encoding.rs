//! gzip, both ways (RFC 9110, section 8.4.1.3).

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

/// What is smaller is sent as it is: a packet holds it anyway.
const WORTH_IT: usize = 1024;

/// What goes into the inflater at a time: a thousandfold of it, deflate's most, is still little.
pub(super) const STEP: usize = 1024;

/// Whether a request's body is gzip.
///
/// # Errors
///
/// It is something else, which is not taken.
pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, ()> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match (
        encodings.next().map(|value| value.to_str()),
        encodings.next(),
    ) {
        (None, _) => Ok(false),
        (Some(Ok(name)), None) if name.eq_ignore_ascii_case("identity") => Ok(false),
        (Some(Ok(name)), None) if name.eq_ignore_ascii_case("gzip") => Ok(true),
        _ => Err(()),
    }
}

/// Why a body could not be inflated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no gzip, or broke off.
    Broken,
    /// It is larger than it may be.
    TooLarge,
}

/// A body that is inflated whole, up to a bound: step by step, so that who asks for it can count what it becomes, and stop.
pub(super) struct Inflation<'a> {
    rest: std::slice::Chunks<'a, u8>,
    inflater: Option<Inflater>,
    whole: Vec<u8>,
    max_bytes: usize,
}

impl<'a> Inflation<'a> {
    /// Of `body`, to `max_bytes` at most.
    pub(super) fn new(body: &'a [u8], max_bytes: usize) -> Self {
        Self {
            rest: body.chunks(STEP),
            inflater: Some(Inflater::default()),
            whole: Vec::new(),
            max_bytes,
        }
    }

    /// Inflates some more, and says how many bytes came of it; `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<usize>, Wrong> {
        let before = self.whole.len();
        match (self.rest.next(), self.inflater.as_mut()) {
            (Some(step), Some(inflater)) => inflater.feed(step, &mut self.whole)?,
            _ => match self.inflater.take() {
                Some(inflater) => inflater.finish(&mut self.whole)?,
                None => return Ok(None),
            },
        }
        match self.whole.len() > self.max_bytes {
            true => Err(Wrong::TooLarge),
            false => Ok(Some(self.whole.len() - before)),
        }
    }

    /// What it has become.
    pub(super) fn into_whole(self) -> Vec<u8> {
        self.whole
    }
}

/// Inflates a body piece by piece.
pub(super) struct Inflater(MultiGzDecoder<Vec<u8>>);

impl Default for Inflater {
    fn default() -> Self {
        Self(MultiGzDecoder::new(Vec::new()))
    }
}

impl Inflater {
    /// Adds to `out` what a piece holds.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.0.write_all(piece).map_err(|_| Wrong::Broken)?;
        self.0.flush().map_err(|_| Wrong::Broken)?;
        out.append(self.0.get_mut());
        Ok(())
    }

    /// Adds what is left; fails when something is missing.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.0.try_finish().map_err(|_| Wrong::Broken)?;
        out.append(self.0.get_mut());
        Ok(())
    }
}

/// A body as gzip, where the client takes it and it is worth it.
pub(super) fn deflated(headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < WORTH_IT || !accepts_gzip(headers) {
        return None;
    }
    deflate(body)
        .ok()
        .filter(|deflated| deflated.len() < body.len())
}

fn deflate(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// RFC 9110, section 12.5.3, as far as it concerns gzip.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).iter();
    let codings = codings
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut any = false;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            quality == Some(0.0)
        });
        match name {
            "gzip" | "x-gzip" => return !is_refused,
            "*" => any = !is_refused,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, Wrong> {
        let mut inflation = Inflation::new(body, max_bytes);
        let mut counted = 0;
        while let Some(bytes) = inflation.step()? {
            // What comes before it is counted is little.
            assert!(bytes <= 1040 * STEP, "{bytes}");
            counted += bytes;
        }
        let whole = inflation.into_whole();
        assert_eq!(counted, whole.len());
        Ok(whole)
    }

    /// Some kilobytes on the wire must not become gigabytes in memory.
    #[test]
    fn an_inflated_body_ends_at_its_bound() {
        let bomb = deflate(&vec![0; 10_000_000]).expect("gzip");
        assert!(bomb.len() < 50_000, "{}", bomb.len());
        assert_eq!(inflated(&bomb, 1_000_000), Err(Wrong::TooLarge));
        let whole = inflated(&bomb, 10_000_000);
        assert_eq!(whole.map(|body| body.len()), Ok(10_000_000));
    }

    /// Half a body would be half of the recipients.
    #[test]
    fn a_body_that_breaks_off_is_refused() {
        let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_be_bytes).collect();
        let gzip = deflate(&text).expect("gzip");
        assert_eq!(inflated(&gzip, usize::MAX), Ok(text));
        let part = &gzip[..gzip.len() - 9];
        assert_eq!(inflated(part, usize::MAX), Err(Wrong::Broken));
        let json = b"{\"no\": \"gzip\"}";
        assert_eq!(inflated(json, usize::MAX), Err(Wrong::Broken));
    }

    /// Who does not say gzip cannot read it.
    #[test]
    fn only_who_takes_gzip_gets_it() {
        let accepts = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().expect("a header"));
            accepts_gzip(&headers)
        };
        for yes in ["gzip", "br, gzip;q=0.5", "*", "deflate, *;q=0.1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "gzip; q=0, *", "*;q=0"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
