//! Which addresses may be called. A URL comes from whoever enqueues; it must not reach what only we can reach.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::model::outcome::{Blame, Fault, SendError};

/// Resolves names to the addresses that may be called. What it returns is what the client connects to: the name is
/// not looked up again in between, so that a second answer (DNS rebinding) has no use.
pub(super) struct Guard {
    lookup: fn(String) -> Lookup,
    is_allowed: fn(IpAddr) -> bool,
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl Guard {
    /// One that resolves as this machine does, and lets pass what is public, or everything.
    pub(super) fn new(allow_private: bool) -> Self {
        Self {
            lookup: |name| {
                Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
            },
            is_allowed: if allow_private { |_| true } else { is_public },
        }
    }

    /// Whether `address` may be called.
    pub(super) fn allows(&self, address: impl Into<IpAddr>) -> bool {
        (self.is_allowed)(address.into())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, is_allowed) = ((self.lookup)(name.as_str().into()), self.is_allowed);
        Box::pin(async move {
            let found = lookup.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no address").into());
            }
            let allowed: Vec<_> = found.into_iter().filter(|a| is_allowed(a.ip())).collect();
            match allowed.is_empty() {
                true => Err(refused().into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Not this address. The message's fault rather than the recipient's: what a name points to may change, and so may
/// `allow_private`.
pub(super) fn refused() -> SendError {
    SendError::new(Fault::Permanent(Blame::Message), "address_not_allowed")
}

/// Whether an address is one of the public Internet, by IANA's special-purpose registries (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..) // this network, private, loopback, multicast, reserved, broadcast
            | (100, 64..=127, _) // shared by carriers, and by clouds for their own services
            | (169, 254, _) // link-local, with the metadata service of clouds
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99) // relays of 6to4
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Of IPv6 only what is allotted is public, less what stands for an IPv4 address, which is judged as that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = address.to_ipv4_mapped() {
        return is_public_v4(inside);
    }
    let segments = address.segments();
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            // NAT64 (RFC 6052)
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0..=0x1ff, ..] // protocols, among them Teredo and ORCHID
        | [0x2001, 0xdb8, ..] // documentation
        | [0x2002, ..] // 6to4
        | [0x3fff, 0..=0xfff, ..] => false, // documentation
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway::http;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Each block with its neighbours, since an attacker needs only one that was forgotten.
    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(address(public)), "{public}");
        }
        for not_public in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1", // ::127.0.0.1
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(not_public)), "{not_public}");
        }
    }

    fn found(texts: &[&str]) -> Lookup {
        let found = texts.iter().map(|text| SocketAddr::new(address(text), 0));
        let found = Ok(found.collect());
        Box::pin(async { found })
    }

    async fn resolved(lookup: fn(String) -> Lookup) -> Result<Vec<SocketAddr>, SendError> {
        let guard = Guard {
            lookup,
            ..Guard::new(false)
        };
        match guard.resolve("x.example".parse().expect("a name")).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(*error.downcast::<SendError>().expect("a refusal")),
        }
    }

    /// A name may point to several places; only the public ones are connected to.
    #[tokio::test]
    async fn of_a_names_addresses_only_the_public_ones_are_left() {
        let left = resolved(|_| found(&["10.0.0.1", "1.1.1.1", "::1"])).await;
        let public = SocketAddr::new(address("1.1.1.1"), 0);
        assert_eq!(left.expect("one is left"), [public]);
        let error = resolved(|_| found(&["127.0.0.1", "::1"])).await;
        assert_eq!(error.expect_err("none is").reason, "address_not_allowed");
    }

    /// A name that was checked as one address and is connected to as another (DNS rebinding) passes no check at all.
    #[tokio::test]
    async fn a_name_is_connected_to_where_it_was_checked() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let outside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = outside.local_addr().expect("an address").port();
        let guard = Guard {
            lookup: |_| match LOOKUPS.fetch_add(1, Ordering::SeqCst) {
                0 => found(&["127.0.0.1"]),
                _ => found(&["127.0.0.2"]),
            },
            is_allowed: |address| address != IpAddr::from([127, 0, 0, 2]),
        };
        let client = http::builder().expect("a client").no_proxy();
        let client = http::build(client.dns_resolver(Arc::new(guard))).expect("a client");
        let deadline = Instant::now() + Duration::from_secs(10);
        let send = || http::call(client.get(format!("http://x.example:{port}/")), deadline);

        let answered = async {
            let (mut stream, _) = outside.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).await.expect("a request");
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("written");
            stream
        };
        let (answer, _stream) = tokio::join!(send(), answered);
        assert_eq!(answer.expect("an answer").status.as_u16(), 204);
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 1);

        let error = send().await.expect_err("it points inside now");
        assert_eq!(error.reason, "address_not_allowed");
    }
}
