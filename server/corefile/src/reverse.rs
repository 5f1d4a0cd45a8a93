//! Networks -> the reverse zones that cover them, as in CoreDNS's keys. RFC 1035 §3.5, RFC 3596 §2.5.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text of the form `ADDRESS/LENGTH` is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrefixLengthFault {
    /// The longest prefix of the address's family.
    pub(crate) longest: u8,
}

/// Returns the reverse zones of the network `text`, or `None` if it is not of the form `ADDRESS/LENGTH`.
///
/// The network is split at the next octet (IPv4) or nibble (IPv6), into 128 zones at most; bits behind the
/// prefix are ignored. `32/27.2.0.192.in-addr.arpa`, as of RFC 2317, is a plain name.
pub(crate) fn reverse_zones(text: &str) -> Option<Result<Vec<String>, PrefixLengthFault>> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    Some(match length.parse::<u8>() {
        Ok(length) if plain && length <= longest => Ok(match address {
            IpAddr::V4(address) => reverse_zones_v4(address, u32::from(length)),
            IpAddr::V6(address) => reverse_zones_v6(address, u32::from(length)),
        }),
        _ => Err(PrefixLengthFault { longest }),
    })
}

fn reverse_zones_v4(address: Ipv4Addr, length: u32) -> Vec<String> {
    let boundary = length.next_multiple_of(8);
    let network = u32::from(address) & u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let zone = |index: u32| {
        let octets = (network | index.checked_shl(32 - boundary).unwrap_or(0)).to_be_bytes();
        let labels = octets[..boundary as usize / 8].iter().rev().map(|octet| format!("{octet}."));
        labels.collect::<String>() + "in-addr.arpa."
    };
    (0..1 << (boundary - length)).map(zone).collect()
}

fn reverse_zones_v6(address: Ipv6Addr, length: u32) -> Vec<String> {
    let boundary = length.next_multiple_of(4);
    let network = u128::from(address) & u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let zone = |index: u128| {
        let bits = network | index.checked_shl(128 - boundary).unwrap_or(0);
        let nibbles = (0..boundary / 4).rev().map(|nibble| (bits >> (124 - 4 * nibble)) & 0xf);
        nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa."
    };
    (0..1 << (boundary - length)).map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(text: &str) -> Vec<String> {
        reverse_zones(text).expect("a network").expect("a length")
    }

    #[test]
    fn networks_split_at_the_next_octet_or_nibble() {
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa."]);
        assert_eq!(zones("192.0.2.0/24"), ["2.0.192.in-addr.arpa."]);
        assert_eq!(zones("192.0.2.1/32"), ["1.2.0.192.in-addr.arpa."]);
        assert_eq!(zones("10.0.0.0/15"), ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]);
        assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa."]);
        assert_eq!(zones("2001:db8::/32"), ["8.b.d.0.1.0.0.2.ip6.arpa."]);
        let expected = ["8", "9", "a", "b"].map(|nibble| format!("{nibble}.b.d.0.1.0.0.2.ip6.arpa."));
        assert_eq!(zones("2001:db8::/30"), expected);
        assert_eq!(zones("2001:db8::/0"), ["ip6.arpa."]);
    }

    #[test]
    fn counts_follow_the_bits_up_to_the_boundary() {
        for (network, count) in [
            ("192.168.1.0/25", 128),
            ("10.9.3.0/18", 64),
            ("2001:db8::/29", 8),
            ("2001:db8::/108", 1),
            ("2001:db8::/112", 1),
            ("2001:db8::/113", 8),
            ("2001:db8::/128", 1),
        ] {
            assert_eq!(zones(network).len(), count, "{network}");
        }
        assert_eq!(zones("10.9.3.0/18")[0], "0.9.10.in-addr.arpa.");
        assert_eq!(zones("10.9.3.0/18")[63], "63.9.10.in-addr.arpa.");
    }

    #[test]
    fn only_whole_addresses_make_a_network() {
        assert_eq!(reverse_zones("32/27.2.0.192.in-addr.arpa"), None);
        assert_eq!(reverse_zones("10.0.0/8"), None);
        assert_eq!(reverse_zones("10.0.0.0/33"), Some(Err(PrefixLengthFault { longest: 32 })));
        assert_eq!(reverse_zones("2001:db8::/129"), Some(Err(PrefixLengthFault { longest: 128 })));
        assert_eq!(reverse_zones("10.0.0.0/+8"), Some(Err(PrefixLengthFault { longest: 32 })));
    }
}
