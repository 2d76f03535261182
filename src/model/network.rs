//! Blocks of addresses, as firewalls and proxies write them.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};

/// `10.0.0.0/8`, `2001:db8::/32` (RFC 4632, section 3.1; RFC 4291, section 2.3), or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that is written as an IPv6 one counts as what it stands for.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address.to_canonical(), self.prefix) == self.first
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("expected an address or a block such as \"10.0.0.0/8\", got \"{text}\"");
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // `parse` alone would take "+8".
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|p| *p <= bits)
                .ok_or_else(refused)?,
            Some(_) => return Err(refused()),
            None => bits,
        };
        let first = masked(address, prefix);
        if first != address {
            return Err(format!(
                "\"{text}\" begins inside its block; expected {first}/{prefix}"
            ));
        }
        if first != first.to_canonical() {
            return Err(format!(
                "\"{text}\" is IPv4 in the form of IPv6; expected the IPv4 block"
            ));
        }
        Ok(Self { first, prefix })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// `address` with nothing but its first `prefix` bits.
fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect(network);
        network.contains(address.parse().expect(address))
    }

    /// The first and the last address of a block are in it, their neighbours are not.
    #[test]
    fn a_block_ends_where_its_prefix_says() {
        for (network, within, outside) in [
            (
                "10.0.0.0/8",
                ["10.0.0.0", "10.255.255.255"],
                ["9.255.255.255", "11.0.0.0"],
            ),
            (
                "192.0.2.4/30",
                ["192.0.2.4", "192.0.2.7"],
                ["192.0.2.3", "192.0.2.8"],
            ),
            (
                "192.0.2.4",
                ["192.0.2.4", "::ffff:192.0.2.4"],
                ["192.0.2.5", "::192.0.2.4"],
            ),
            (
                "0.0.0.0/0",
                ["0.0.0.0", "255.255.255.255"],
                ["::", "2001:db8::1"],
            ),
            (
                "2001:db8::/32",
                ["2001:db8::", "2001:db8:ffff::1"],
                ["2001:db7::1", "2001:db9::"],
            ),
            ("::/0", ["::", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        ] {
            for address in within {
                assert!(contains(network, address), "{address} is in {network}");
            }
            for address in outside {
                assert!(!contains(network, address), "{address} is not in {network}");
            }
        }
    }

    /// A list that lets in others than its author meant is worse than one that is refused.
    #[test]
    fn what_is_no_block_is_refused() {
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.1.0.0/8",
            "10.0.0/8",
            "::1/129",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/8/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// The operators' way of counting and ours are the same: the addresses agree in their first bits.
        #[test]
        fn an_address_is_in_the_block_of_its_own_first_bits(bits: u128, other: u128, prefix in 0..=128_u32) {
            let block = Network { first: masked(Ipv6Addr::from(bits).into(), prefix), prefix };
            let same = prefix == 0 || (bits ^ other).leading_zeros() >= prefix;
            let address = IpAddr::from(Ipv6Addr::from(other));
            if address == address.to_canonical() {
                prop_assert_eq!(block.contains(address), same);
            }
            let (bits, other, prefix) = (bits as u32, other as u32, prefix.min(32));
            let block = Network { first: masked(Ipv4Addr::from(bits).into(), prefix), prefix };
            let same = prefix == 0 || (bits ^ other).leading_zeros() >= prefix;
            prop_assert_eq!(block.contains(Ipv4Addr::from(other).into()), same);
        }

        /// A configuration is text that anyone may have written.
        #[test]
        fn reading_a_block_never_panics(text in "[0-9a-f.:/+ ]{0,40}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert!(network.contains(network.first));
            }
        }
    }
}
