//! A guard for clients that go where a user said: to public addresses only, never into the network around us.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;
use url::{Host, Url};

/// Lets the client connect to public addresses only, decided after each name was resolved and on the very addresses
/// that are then connected to, so that a name that changes in between gains nothing. It uses no proxy, which would
/// resolve names in its own way. A host that is an address is not resolved: check it by [`is_public_host`].
pub fn guard(builder: ClientBuilder) -> ClientBuilder {
    builder.dns_resolver(Arc::new(PublicOnly::new())).no_proxy()
}

/// Whether the URL's host is a name, or a public address.
pub fn is_public_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(_)) => true,
        None => false,
    }
}

/// Whether a request failed because its host has no public address.
pub(super) fn refused(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<NotPublic>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Whether the address is of the Internet: none of this machine, of a private network, of a provider's inside, and none
/// reserved (RFC 6890 and the IANA registries of special-purpose addresses).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match address.segments() {
        // An IPv4 address behind NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments and Teredo, documentation, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            false
        }
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// Finds the public addresses of a name.
struct PublicOnly {
    lookup: fn(String) -> Lookup,
    is_allowed: fn(IpAddr) -> bool,
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl PublicOnly {
    /// Resolves as this machine does.
    fn new() -> Self {
        Self {
            lookup: |name| Box::pin(async move { Ok(lookup_host((name, 0)).await?.collect()) }),
            is_allowed: is_public,
        }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, is_allowed) = ((self.lookup)(name.as_str().into()), self.is_allowed);
        Box::pin(async move {
            let found = lookup.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no address").into());
            }
            let public: Vec<_> = found.into_iter().filter(|f| is_allowed(f.ip())).collect();
            match public.is_empty() {
                true => Err(NotPublic.into()),
                false => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

/// The name has addresses, but no public one.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no public address")
    }
}

impl Error for NotPublic {}

#[cfg(test)]
mod tests {
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

    async fn resolved(lookup: fn(String) -> Lookup) -> Result<Vec<SocketAddr>, NotPublic> {
        let resolver = PublicOnly {
            lookup,
            ..PublicOnly::new()
        };
        match resolver.resolve("x.example".parse().expect("a name")).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(*error.downcast::<NotPublic>().expect("a refusal")),
        }
    }

    /// A name may point to several places; only the public ones are connected to.
    #[tokio::test]
    async fn of_a_names_addresses_only_the_public_ones_are_left() {
        let left = resolved(|_| found(&["10.0.0.1", "1.1.1.1", "::1"])).await;
        let public = SocketAddr::new(address("1.1.1.1"), 0);
        assert_eq!(left.expect("one is left"), [public]);
        assert!(resolved(|_| found(&["127.0.0.1", "::1"])).await.is_err());
    }

    /// A name that was checked as one address and is connected to as another (DNS rebinding) passes no check at all.
    #[tokio::test]
    async fn a_name_is_connected_to_where_it_was_checked() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let outside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = outside.local_addr().expect("an address").port();
        let resolver = PublicOnly {
            lookup: |_| match LOOKUPS.fetch_add(1, Ordering::SeqCst) {
                0 => found(&["127.0.0.1"]),
                _ => found(&["127.0.0.2"]),
            },
            is_allowed: |address| address != IpAddr::from([127, 0, 0, 2]),
        };
        let client = http::builder().expect("a client").no_proxy();
        let client = http::build(client.dns_resolver(Arc::new(resolver))).expect("a client");
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
        assert_eq!(error.reason, "address_not_public");
    }

    /// Addresses have many spellings, and none of them is resolved.
    #[test]
    fn a_host_that_is_an_address_is_recognised_in_every_spelling() {
        for inside in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
        ] {
            assert!(!is_public_host(&inside.parse().expect(inside)), "{inside}");
        }
        assert!(is_public_host(
            &"https://push.example/".parse().expect("a URL")
        ));
    }
}
