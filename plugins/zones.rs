//! The zones that a directive names, found around names decoded or not.

use corefile::options::{Options, network_zones};
use hickory_proto::rr::Name;

use crate::setup::Block;

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
        let named = options.rest(.., network_zones()).concat();
        let name = |zone: String| Name::from_ascii(zone).expect("`network_zones` gives names of zones");
        match named.is_empty() {
            true => Zones::new(block.zones.clone()),
            false => Zones::new(named.into_iter().map(name).collect()),
        }
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

/// Whether `name` is `zone` or lies below it, both whole and in wire form. Length bytes are at most 63, and so no letters.
fn lies_in(mut name: &[u8], zone: &[u8]) -> bool {
    while name.len() > zone.len() {
        name = name.get(1 + usize::from(name[0])..).unwrap_or_default();
    }
    name.eq_ignore_ascii_case(zone)
}

fn wire_of(name: &Name) -> Vec<u8> {
    let mut wire = Vec::new();
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
    fn end_of_a_label_that_looks_like_a_zone_is_none() {
        // One label `a\003org`, whose bytes end as `org.` does.
        let zones = Zones::new(vec![Name::from_ascii("org.").unwrap()]);
        assert!(!zones.cover_wire(b"\x05a\x03org\x00"));
        assert!(zones.cover_wire(b"\x01a\x03ORG\x00"));
    }
}
