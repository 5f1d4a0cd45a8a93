//! What a lying upstream of the demo serves: the honest zone, twisted in one way.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::txt::Parser;

/// The address that a liar gives for every name. TEST-NET-3, RFC 5737.
const LIE_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// The same for IPv6. RFC 3849.
const LIE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x66);
/// The TTL that a liar wishes its answers to have: a week.
const LIE_TTL: u32 = 604_800;

/// How a lying upstream lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// Every address is another one.
    Address,
    /// No name exists but the apex.
    NxDomain,
    /// Every record lives for a week.
    Ttl,
}

impl FromStr for Lie {
    type Err = String;

    fn from_str(text: &str) -> Result<Lie, String> {
        match text {
            "address" => Ok(Lie::Address),
            "nxdomain" => Ok(Lie::NxDomain),
            "ttl" => Ok(Lie::Ttl),
            other => Err(format!("expected `address`, `nxdomain` or `ttl`, got `{other}`")),
        }
    }
}

impl Lie {
    /// What it does, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Lie::Address => "gives 203.0.113.66 for every name",
            Lie::NxDomain => "denies every name",
            Lie::Ttl => "claims a TTL of a week",
        }
    }
}

/// Twists the text of a zone. Types whose text form is in doubt are left out: a liar need not be complete.
///
/// Errors: when `text` is no zone, with the parser's words.
pub fn twist(text: &str, origin: &Name, lie: Lie) -> Result<String, String> {
    let (origin, records) = Parser::new(text, None, Some(origin.clone())).parse().map_err(|error| error.to_string())?;
    let mut lines = vec![format!("$ORIGIN {origin}")];
    for set in records.values() {
        lines.extend(set.records_without_rrsigs().filter_map(|record| line(record, &origin, lie)));
    }
    // A zone begins with its SOA.
    lines[1..].sort_by_key(|line| !line.contains(" SOA "));
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn line(record: &Record, origin: &Name, lie: Lie) -> Option<String> {
    let ttl = if lie == Lie::Ttl { LIE_TTL } else { record.ttl };
    let data = match &record.data {
        RData::SOA(soa) => format!("SOA {soa}"),
        RData::NS(name) => format!("NS {name}"),
        _ if lie == Lie::NxDomain && &record.name != origin => return None,
        RData::CNAME(name) => format!("CNAME {name}"),
        RData::MX(mx) => format!("MX {mx}"),
        RData::A(_) if lie == Lie::Address => format!("A {LIE_V4}"),
        RData::A(address) => format!("A {address}"),
        RData::AAAA(_) if lie == Lie::Address => format!("AAAA {LIE_V6}"),
        RData::AAAA(address) => format!("AAAA {address}"),
        _ => return None,
    };
    Some(format!("{} {ttl} IN {data}", record.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nwww 60 IN A 192.0.2.80\nwww IN AAAA 2001:db8::80\n";

    fn twisted(lie: Lie) -> String {
        twist(ZONE, &Name::from_str("example.org.").unwrap(), lie).unwrap()
    }

    #[test]
    fn liar_about_addresses_keeps_names_and_ttls() {
        let zone = twisted(Lie::Address);
        assert!(zone.contains("www.example.org. 60 IN A 203.0.113.66"), "{zone}");
        assert!(!zone.contains("192.0.2.80"), "{zone}");
    }

    #[test]
    fn denier_keeps_only_the_apex() {
        let zone = twisted(Lie::NxDomain);
        assert!(zone.contains("SOA") && !zone.contains("www"), "{zone}");
    }

    #[test]
    fn liar_about_ttls_keeps_addresses() {
        let zone = twisted(Lie::Ttl);
        assert!(zone.contains("www.example.org. 604800 IN A 192.0.2.80"), "{zone}");
    }

    #[test]
    fn twisted_zone_is_a_zone() {
        for lie in [Lie::Address, Lie::NxDomain, Lie::Ttl] {
            let origin = Name::from_str("example.org.").unwrap();
            assert!(twist(&twisted(lie), &origin, lie).is_ok());
        }
    }
}
