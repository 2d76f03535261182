//! Whose request it is, where trusted proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use serde::Deserialize;

use crate::model::network::Network;

/// The header in which the proxies say for whom they ask. One of them: what a proxy does not write, a client may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ForwardedHeader {
    /// A list of addresses, to which each proxy adds the one that called it.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// The same by RFC 7239.
    #[serde(rename = "forwarded")]
    Forwarded,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: `peer`, unless that is a trusted proxy. Then what that proxy says, and so on back, up to
/// the first address that is no trusted proxy's. What stands before it, anyone may have written.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    header: ForwardedHeader,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let name = match header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => FORWARDED,
    };
    for value in headers.get_all(name).iter().rev() {
        let Ok(value) = value.to_str() else {
            return client;
        };
        for hop in value.rsplit(',') {
            let named = match header {
                ForwardedHeader::XForwardedFor => address(hop.trim()),
                ForwardedHeader::Forwarded => forwarded_for(hop),
            };
            // A hop that hides itself, or garbage: the proxy that wrote it is as far as we know.
            let Some(named) = named else { return client };
            client = named;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// The `for` of one element of `Forwarded` (RFC 7239, section 4). A comma inside quotes splits an element wrongly;
/// the halves then name no address, and end the search.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        if !name.eq_ignore_ascii_case("for") {
            return None;
        }
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        address(quoted.unwrap_or(value))
    })
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, and the same with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || {
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse().ok().map(IpAddr::V6)
    };
    let address = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .or_else(bracketed)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8::/32"]
            .map(|n| n.parse().expect(n))
            .to_vec()
    }

    fn found(peer: &str, header: ForwardedHeader, name: &'static str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).expect(value));
        }
        let peer = peer.parse().expect(peer);
        client(peer, &headers, header, &trusted()).to_string()
    }

    fn by_list(peer: &str, values: &[&str]) -> String {
        found(
            peer,
            ForwardedHeader::XForwardedFor,
            "x-forwarded-for",
            values,
        )
    }

    fn by_rfc(peer: &str, values: &[&str]) -> String {
        found(peer, ForwardedHeader::Forwarded, "forwarded", values)
    }

    /// Anyone can write a header: it counts only from a proxy that is configured.
    #[test]
    fn only_a_trusted_peer_is_believed() {
        assert_eq!(by_list("198.51.100.7", &["203.0.113.9"]), "198.51.100.7");
        assert_eq!(by_list("10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(by_list("::ffff:10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(by_list("10.1.1.1", &[]), "10.1.1.1");
    }

    /// A client that sends a header of its own stands at the left; our proxies add at the right.
    #[test]
    fn the_last_address_that_is_no_proxy_of_ours_counts() {
        assert_eq!(
            by_list("10.1.1.1", &["192.0.2.66, 203.0.113.9, 10.2.2.2"]),
            "203.0.113.9"
        );
        assert_eq!(
            by_list("10.1.1.1", &["192.0.2.66", "203.0.113.9", "10.2.2.2"]),
            "203.0.113.9"
        );
        assert_eq!(by_list("10.1.1.1", &["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
        assert_eq!(
            by_list("10.1.1.1", &["192.0.2.66, garbage, 10.2.2.2"]),
            "10.2.2.2"
        );
    }

    /// RFC 7239, section 4: quoted, with ports, and hidden.
    #[test]
    fn both_headers_are_read_in_all_their_forms() {
        assert_eq!(
            by_rfc(
                "10.1.1.1",
                &["for=192.0.2.43, for=198.51.100.17;by=10.1.1.1"]
            ),
            "198.51.100.17"
        );
        assert_eq!(
            by_rfc("10.1.1.1", &["proto=http;For=\"[2001:db9:cafe::17]:4711\""]),
            "2001:db9:cafe::17"
        );
        assert_eq!(
            by_rfc(
                "10.1.1.1",
                &["for=192.0.2.43;proto=https, for=\"10.2.2.2:80\""]
            ),
            "192.0.2.43"
        );
        for hidden in [
            "for=_hidden",
            "for=unknown",
            "by=192.0.2.1",
            "for=\"",
            "for=\"_a,for=1.2.3.4b\"",
        ] {
            assert_eq!(by_rfc("10.1.1.1", &[hidden]), "10.1.1.1", "{hidden}");
        }
        assert_eq!(by_list("10.1.1.1", &["[2001:db9::1]"]), "2001:db9::1");
        assert_eq!(by_list("10.1.1.1", &["192.0.2.9:1234"]), "192.0.2.9");
    }

    /// A proxy that is set up for one header passes the other one on as the client wrote it.
    #[test]
    fn the_header_that_is_not_configured_is_not_read() {
        let other = found(
            "10.1.1.1",
            ForwardedHeader::XForwardedFor,
            "forwarded",
            &["for=192.0.2.66"],
        );
        assert_eq!(other, "10.1.1.1");
        let other = found(
            "10.1.1.1",
            ForwardedHeader::Forwarded,
            "x-forwarded-for",
            &["192.0.2.66"],
        );
        assert_eq!(other, "10.1.1.1");
    }

    proptest! {
        /// What is added by our proxy cannot be outweighed by anything that the client sent before it.
        #[test]
        fn nothing_that_a_client_writes_moves_it(text in "[ -~]{0,60}", rfc: bool) {
            let last = if rfc { "for=203.0.113.9" } else { "203.0.113.9" };
            let value = format!("{text}, {last}");
            let address = if rfc { by_rfc("10.1.1.1", &[&value]) } else { by_list("10.1.1.1", &[&value]) };
            prop_assert_eq!(address, "203.0.113.9");
            let peer = if rfc { by_rfc("192.0.2.1", &[&text]) } else { by_list("192.0.2.1", &[&text]) };
            prop_assert_eq!(peer, "192.0.2.1");
        }
    }
}
