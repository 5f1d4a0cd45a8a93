//! What a lying upstream of the demo serves: the honest zone, twisted in one way.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use ::plugins::file::master::{self, ZoneRecord};
use hickory_proto::rr::{Name, RecordType};

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

/// Twists the text of a zone: the same names and types in RFC 3597's form for unknown types, so that nothing is lost on the way.
///
/// Errors: when `text` is no zone, with the parser's words.
pub fn twist(text: &str, origin: &Name, lie: Lie) -> Result<String, String> {
    let no_includes = |_: &Path| Err(std::io::ErrorKind::Unsupported.into());
    let zone = master::parse(text, Path::new("zone"), origin, &no_includes)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let lines = zone.records.iter().filter_map(|record| line(record, origin, lie));
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

fn line(record: &ZoneRecord, origin: &Name, lie: Lie) -> Option<String> {
    let owner = record.owner_name();
    if lie == Lie::NxDomain && owner != *origin {
        return None;
    }
    let ttl = if lie == Lie::Ttl { LIE_TTL } else { record.ttl };
    let data = match (lie, RecordType::from(record.rtype)) {
        (Lie::Address, RecordType::A) => LIE_V4.octets().to_vec(),
        (Lie::Address, RecordType::AAAA) => LIE_V6.octets().to_vec(),
        _ => record.wire.clone(),
    };
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{owner} {ttl} IN TYPE{} \\# {} {hex}", record.rtype, data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nwww 60 IN A 192.0.2.80\nold IN DNAME new\n";
    /// 203.0.113.66, 192.0.2.80
    const LIE: &str = "TYPE1 \\# 4 cb007142";
    const TRUTH: &str = "TYPE1 \\# 4 c0000250";

    fn origin() -> Name {
        Name::from_str("example.org.").unwrap()
    }

    fn twisted(lie: Lie) -> String {
        twist(ZONE, &origin(), lie).unwrap()
    }

    #[test]
    fn liar_about_addresses_keeps_names_and_ttls() {
        let zone = twisted(Lie::Address);
        assert!(zone.contains(&format!("www.example.org. 60 IN {LIE}")), "{zone}");
        assert!(!zone.contains(TRUTH), "{zone}");
    }

    #[test]
    fn denier_keeps_only_the_apex() {
        let zone = twisted(Lie::NxDomain);
        assert!(zone.contains("TYPE6") && !zone.contains("www"), "{zone}");
    }

    #[test]
    fn liar_about_ttls_keeps_addresses() {
        let zone = twisted(Lie::Ttl);
        assert!(zone.contains(&format!("www.example.org. 604800 IN {TRUTH}")), "{zone}");
    }

    #[test]
    fn twisted_zone_of_the_demo_is_a_zone() {
        for lie in [Lie::Address, Lie::NxDomain, Lie::Ttl] {
            let zone = twist(super::super::ZONE, &origin(), lie).unwrap();
            assert!(twist(&zone, &origin(), lie).is_ok(), "{zone}");
        }
    }
}
