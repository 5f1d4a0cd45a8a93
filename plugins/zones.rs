//! The zones that a directive names, found around names decoded or not.

use corefile::options::{Options, Value, network_zones};
use hickory_proto::rr::Name;

use crate::setup::Block;
use crate::view::NAME_BYTES_MAX;

/// Zones that a plugin is about.
#[derive(Clone, Debug)]
pub struct Zones {
    names: Vec<Name>,
    /// In wire form, with the root label.
    wires: Vec<Vec<u8>>,
}

impl Zones {
    /// The zones of `names`.
    pub fn new(names: Vec<Name>) -> Zones {
        let wires = names.iter().map(wire_of).collect();
        Zones { names, wires }
    }

    /// Reads the arguments that are left of a directive as its zones, networks by their reverse zones. None means those of the server block.
    pub fn read(options: &mut Options<'_>, block: &Block<'_>) -> Zones {
        let named = options.rest(.., zones()).concat();
        Zones::new(if named.is_empty() { block.zones.clone() } else { named })
    }

    /// The zones themselves.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether `name` is one of the zones or lies in one.
    pub fn cover(&self, name: &Name) -> bool {
        self.names.iter().any(|zone| zone.is_root() || zone.zone_of(name))
    }

    /// Whether the name in wire form, whole and in any case, is one of the zones or lies in one.
    pub fn cover_wire(&self, name: &[u8]) -> bool {
        self.wires.iter().any(|zone| lies_in(name, zone))
    }
}

/// Zones of a directive: a name is one, a network stands for its reverse zones.
pub fn zones() -> Value<Vec<Name>> {
    network_zones().map(|zones| zones.iter().map(|zone| named(zone)).collect())
}

/// The zone that the Corefile calls `zone`, as the crate `corefile` returns it. Labels may hold any byte, as in `32/27.2.0.192.in-addr.arpa` (RFC 2317 §4).
pub fn named(zone: &str) -> Name {
    let wire = certificate::name::parse(zone).expect("what is called a zone was checked to be a name");
    agreement::name::from_wire(&wire).expect("a canonical name is a name")
}

/// Whether `name` is `zone` or lies below it, both whole and in wire form. Length bytes are at most 63, and so no letters.
fn lies_in(mut name: &[u8], zone: &[u8]) -> bool {
    while name.len() > zone.len() {
        name = name.get(1 + usize::from(name[0])..).unwrap_or_default();
    }
    name.eq_ignore_ascii_case(zone)
}

/// The wire form of `name`, with the root label, case kept.
pub fn wire_of(name: &Name) -> Vec<u8> {
    let mut wire = Vec::with_capacity(NAME_BYTES_MAX);
    for label in name.iter() {
        wire.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::messages;

    #[test]
    fn both_forms_of_a_name_lie_in_the_same_zones() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let zones = Zones::new(vec![name("example.org."), name("2.0.192.in-addr.arpa.")]);
        for (text, expected) in [
            ("example.org.", true),
            ("WWW.Example.Org.", true),
            ("1.2.0.192.in-addr.arpa.", true),
            ("example.net.", false),
            ("xexample.org.", false),
            ("org.", false),
            (".", false),
        ] {
            let found = (zones.cover(&name(text)), zones.cover_wire(&wire_of(&name(text))));
            assert_eq!(found, (expected, expected), "{text}");
        }
        let all = Zones::new(vec![Name::root()]);
        assert!(all.cover(&name("www.example.org.")) && all.cover_wire(&wire_of(&name("www.example.org."))));
    }

    #[test]
    fn labels_of_zones_may_hold_any_byte() {
        assert_eq!(
            named("a\\200b.example.org.").iter().next(),
            Some(&b"a\xc8b"[..]),
            "decimal, as in master files"
        );
        for zone in [
            "32/27.2.0.192.in-addr.arpa",
            "a@b.example.org",
            r"my\032printer.example.org",
            "a\\200b.example.org",
        ] {
            for directive in [
                format!("acl {zone} {{\nblock\n}}"),
                format!("cache 30 {zone}"),
                format!("log {zone}"),
                format!("hosts /etc/hosts {zone}"),
                format!("file db.example.org {zone}"),
                format!("forward {zone} 192.0.2.1"),
                format!("ct-verify {{\nmode flag {zone}\n}}"),
            ] {
                let said = messages(&directive);
                assert!(said.iter().all(|it| !it.contains("zone or network")), "{directive}: {said:?}");
            }
        }
    }

    #[test]
    fn end_of_a_label_that_looks_like_a_zone_is_none() {
        // One label `a\003org`, whose bytes end as `org.` does.
        let zones = Zones::new(vec![Name::from_ascii("org.").unwrap()]);
        assert!(!zones.cover_wire(b"\x05a\x03org\x00"));
        assert!(zones.cover_wire(b"\x01a\x03ORG\x00"));
    }
}
