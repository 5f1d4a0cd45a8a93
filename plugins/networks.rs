//! Networks as directives name them, and sets of them that an address is looked up in: for `acl`, `ratelimit`, `loadbalance`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use corefile::options::{Mismatch, Value};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of `address` by its first `bits`; `None` when an address has fewer. IPv4 written as IPv6 is IPv4.
    pub fn new(address: IpAddr, bits: u8) -> Option<Network> {
        let (address, bits) = match address.to_canonical() {
            v4 @ IpAddr::V4(_) if address.is_ipv6() && bits >= MAPPED_BITS => (v4, bits - MAPPED_BITS),
            _ => (address, bits),
        };
        let network = Network { address: prefix(address, bits, bits), bits };
        (bits <= longest(address)).then_some(network)
    }

    /// Whether `address`, which is canonical, lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && prefix(address, self.bits, self.bits) == self.address
    }

    fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                Ipv4Addr::from_bits(address.to_bits() | u32::MAX.checked_shr(self.bits.into()).unwrap_or(0))
                    .into()
            }
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() | u128::MAX.checked_shr(self.bits.into()).unwrap_or(0))
                    .into()
            }
        }
    }
}

/// A set of networks. A lookup costs a binary search, whatever their number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks {
    /// First and last address of each stretch, in order; none overlaps another. IPv4 stands before IPv6.
    stretches: Vec<(IpAddr, IpAddr)>,
}

impl Networks {
    /// The set of the addresses of `networks`.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Networks {
        let mut all: Vec<_> = networks.into_iter().map(|network| (network.address, network.last())).collect();
        all.sort_unstable();
        let mut stretches: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match stretches.last_mut() {
                Some((_, before)) if first <= *before => *before = last.max(*before),
                _ => stretches.push((first, last)),
            }
        }
        Networks { stretches }
    }

    /// Whether `address`, which is canonical, lies in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let after = self.stretches.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).is_some_and(|at| address <= self.stretches[at].1)
    }
}

/// `address` with all but its first bits cleared: of an IPv4 address the first `v4_bits`, of an IPv6 address the first `v6_bits`.
pub fn prefix(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let rest = u32::MAX.checked_shr(v4_bits.into()).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !rest).into()
        }
        IpAddr::V6(address) => {
            let rest = u128::MAX.checked_shr(v6_bits.into()).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & !rest).into()
        }
    }
}

/// A network as directives name it: `192.0.2.0/24`, `2001:db8::/32`, or an address for a network of one.
///
/// Bits behind the prefix are dropped, with a warning: CoreDNS drops them silently.
pub fn network() -> Value<Network> {
    Value::new("a network, such as `192.0.2.0/24`, or an address", read).cautious(caution)
}

fn read(text: &str) -> Result<Network, Mismatch> {
    let (address, bits) = parts(text).ok_or_else(Mismatch::new)?;
    let longest = longest(address);
    Network::new(address, bits.unwrap_or(longest))
        .ok_or_else(|| Mismatch::with_hint(format!("the prefix length goes from 0 to {longest}")))
}

/// Message and hint, if the text has bits behind its prefix.
fn caution(text: &str, network: &Network) -> Option<(String, String)> {
    let (address, _) = parts(text)?;
    (address.to_canonical() != network.address).then(|| {
        let meant = format!("{}/{}", network.address, network.bits);
        (format!("`{text}` has bits behind its prefix"), format!("it is taken for `{meant}`"))
    })
}

/// Address and prefix length, if there is one, of a text.
fn parts(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.split_once('/') {
        Some((address, bits)) => {
            let plain = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
            Some((address.parse().ok()?, Some(bits.parse().ok().filter(|_| plain)?)))
        }
        None => Some((text.parse().ok()?, None)),
    }
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Bits before the IPv4 address in an IPv6 address that stands for it. RFC 4291 §2.5.5.2
const MAPPED_BITS: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn of(text: &str) -> Network {
        read(text).unwrap()
    }

    #[test]
    fn network_holds_its_first_and_last_address_and_no_other() {
        for (text, inside, outside) in [
            ("192.0.2.64/26", ["192.0.2.64", "192.0.2.127"], ["192.0.2.63", "192.0.2.128"]),
            ("192.0.2.7", ["192.0.2.7", "192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            (
                "2001:db8::/33",
                ["2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
                ["2001:db8:8000::", "2001:db7::"],
            ),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "::1"]),
            ("::/0", ["::", "ffff::"], ["0.0.0.0", "192.0.2.1"]),
            ("::ffff:192.0.2.0/120", ["192.0.2.0", "192.0.2.255"], ["192.0.3.0", "::"]),
        ] {
            let one = of(text);
            let set = Networks::new([one]);
            for address in inside {
                assert!(one.contains(ip(address)) && set.contains(ip(address)), "{address} in {text}");
            }
            for address in outside {
                assert!(!one.contains(ip(address)) && !set.contains(ip(address)), "{address} not in {text}");
            }
        }
    }

    #[test]
    fn set_holds_what_any_of_its_networks_holds() {
        let texts = [
            "192.0.2.0/25",
            "192.0.2.16/28",
            "192.0.2.128/26",
            "198.51.100.1",
            "2001:db8::/64",
            "2001:db8::/48",
        ];
        let networks: Vec<Network> = texts.map(of).to_vec();
        let set = Networks::new(networks.clone());
        let v4 =
            (0..=255).flat_map(|last| [Ipv4Addr::new(192, 0, 2, last), Ipv4Addr::new(198, 51, 100, last)]);
        let v6 = (0..=255).map(|part| Ipv6Addr::new(0x2001, 0xdb8, 0, part, 0, 0, 0, part));
        for address in v4.map(IpAddr::from).chain(v6.map(IpAddr::from)) {
            let any = networks.iter().any(|network| network.contains(address));
            assert_eq!(set.contains(address), any, "{address}");
        }
        assert!(!Networks::default().contains(ip("192.0.2.1")));
    }

    #[test]
    fn bits_behind_the_prefix_are_warned_of_and_what_is_no_network_is_refused() {
        let taken = of("192.0.2.77/24");
        assert_eq!(taken, of("192.0.2.0/24"));
        assert_eq!(caution("192.0.2.77/24", &taken).unwrap().1, "it is taken for `192.0.2.0/24`");
        assert_eq!(caution("192.0.2.0/24", &taken), None);
        assert_eq!(caution("::ffff:192.0.2.0/120", &taken), None);
        for text in
            ["192.0.2.0/33", "2001:db8::/129", "192.0.2/24", "192.0.2.0/", "192.0.2.0/+8", "example.org", ""]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prefix_clears_what_is_behind_it() {
        assert_eq!(prefix(ip("192.0.2.77"), 24, 56), ip("192.0.2.0"));
        assert_eq!(prefix(ip("192.0.2.77"), 32, 56), ip("192.0.2.77"));
        assert_eq!(prefix(ip("192.0.2.77"), 0, 56), ip("0.0.0.0"));
        assert_eq!(prefix(ip("2001:db8:1:2ff::1"), 24, 56), ip("2001:db8:1:200::"));
    }
}
