//! What is done with a bad answer, by zone: the longest zone that holds a name decides.

use hickory_proto::rr::Name;

/// What is done with an answer whose certificates are not valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Mode {
    /// Nothing; it is not even looked at.
    Off,
    /// It is told.
    #[default]
    Flag,
    /// It is not answered: SERVFAIL, and it is told.
    Enforce,
}

impl Mode {
    /// The word in the Corefile and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Flag => "flag",
            Mode::Enforce => "enforce",
        }
    }
}

/// The modes of one block.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    /// The longest zones first.
    zones: Vec<(Name, Mode)>,
    /// Where what cannot be judged counts as not valid.
    fail_closed: Vec<Name>,
}

impl Modes {
    /// The modes of these zones; what lies in none is flagged.
    pub fn new(mut zones: Vec<(Name, Mode)>, fail_closed: Vec<Name>) -> Modes {
        zones.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.num_labels()));
        Modes { zones, fail_closed }
    }

    /// What is done about this name.
    pub fn mode(&self, name: &Name) -> Mode {
        let found = self.zones.iter().find(|(zone, _)| zone.zone_of(name));
        found.map_or(Mode::default(), |(_, mode)| *mode)
    }

    /// Whether what cannot be judged about this name counts as not valid.
    pub fn is_fail_closed(&self, name: &Name) -> bool {
        self.fail_closed.iter().any(|zone| zone.zone_of(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[test]
    fn longest_zone_decides_whatever_the_order() {
        let modes = Modes::new(
            vec![
                (name("org."), Mode::Off),
                (name("www.example.org."), Mode::Off),
                (name("example.org."), Mode::Enforce),
            ],
            vec![name("example.org.")],
        );
        for (of, expected) in [
            ("example.net.", Mode::Flag),
            ("other.org.", Mode::Off),
            ("example.org.", Mode::Enforce),
            ("a.example.org.", Mode::Enforce),
            ("www.example.org.", Mode::Off),
            ("_443._tcp.www.example.org.", Mode::Off),
            ("badexample.org.", Mode::Off),
        ] {
            assert_eq!(modes.mode(&name(of)), expected, "{of}");
        }
        assert!(modes.is_fail_closed(&name("a.example.org.")));
        assert!(!modes.is_fail_closed(&name("example.net.")));
    }
}
