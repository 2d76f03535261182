//! The trace that a message belongs to: W3C Trace Context, `traceparent`.

use std::fmt;
use std::str::FromStr;

/// A position in a trace: <https://www.w3.org/TR/trace-context/#traceparent-header>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace.
    pub trace_id: u128,
    /// The span that caused what follows.
    pub span_id: u64,
    flags: u8,
}

/// It is not a `traceparent`: whoever gets one like this goes on without (W3C Trace Context, section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NoTrace;

impl TraceContext {
    /// Whether the caller records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The same trace, at a span of our own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: fastrand::u64(1..),
            ..*self
        }
    }

    /// The id of the trace, in 32 hexadecimal digits, as logs show it.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    /// As a header, of version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            self.flags & 1
        )
    }
}

impl FromStr for TraceContext {
    type Err = NoTrace;

    /// Reads version 00; of later versions what they share with it (section 3.2.4).
    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let hex = |part: Option<&str>, digits: usize| {
            let part = part.filter(|part| part.len() == digits).ok_or(NoTrace)?;
            let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            match part.bytes().all(is_hex) {
                true => u128::from_str_radix(part, 16).map_err(|_| NoTrace),
                false => Err(NoTrace),
            }
        };
        let mut parts = text.split('-');
        let version = hex(parts.next(), 2)?;
        let trace_id = hex(parts.next(), 32)?;
        let span_id = hex(parts.next(), 16)? as u64;
        let flags = hex(parts.next(), 2)? as u8;
        let has_more = parts.next().is_some();
        if version == 0xff || version == 0 && has_more || trace_id == 0 || span_id == 0 {
            return Err(NoTrace);
        }
        Ok(Self {
            trace_id,
            span_id,
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &str) -> Result<TraceContext, NoTrace> {
        text.parse()
    }

    /// What goes on must be what came, or the trace falls apart.
    #[test]
    fn a_traceparent_is_read_and_written() {
        let context = read(EXAMPLE).expect("valid");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
        let child = context.child();
        assert_eq!(child.trace_id, context.trace_id);
        assert_ne!(child.span_id, context.span_id);
        let unsampled = read(&EXAMPLE.replace("-01", "-00")).expect("valid");
        assert!(!unsampled.is_sampled());
        let later = EXAMPLE.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like";
        assert_eq!(read(&later).expect("valid"), context);
    }

    /// It comes from outside, and goes into a header.
    #[test]
    fn anything_else_is_no_trace() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx: y",
        ] {
            assert_eq!(read(wrong), Err(NoTrace), "{wrong:?}");
        }
    }
}
