//! The rules: which client may ask for which type of which name. Pure.

use std::net::IpAddr;

use crate::networks::Networks;
use crate::zones::Zones;

/// What becomes of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It goes on.
    Allow,
    /// REFUSED.
    Block,
    /// NOERROR without records.
    Filter,
    /// No reply.
    Drop,
}

/// One line of an `acl`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What becomes of a query that it matches.
    pub action: Action,
    /// The types that it is about; `None` means all.
    pub types: Option<Vec<u16>>,
    /// The clients that it is about; `None` means all.
    pub networks: Option<Networks>,
}

/// One `acl` directive: the rules for names in its zones, in file order.
#[derive(Clone, Debug)]
pub struct Stanza {
    /// The names that it is about.
    pub zones: Zones,
    /// Its rules.
    pub rules: Vec<Rule>,
}

impl Rule {
    /// Whether it matches every query for a name in its stanza's zones.
    pub fn matches_all(&self) -> bool {
        self.types.is_none() && self.networks.is_none()
    }

    fn matches(&self, client: IpAddr, qtype: u16) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&qtype))
            && self.networks.as_ref().is_none_or(|networks| networks.contains(client))
    }
}

/// What becomes of a query from `client` for `qtype` and a name for which `covers` tells whether it lies in a stanza's zones.
///
/// The first rule that matches decides; if none does, the query is allowed. As in CoreDNS, one directive after the other.
pub fn judge(stanzas: &[Stanza], client: IpAddr, qtype: u16, covers: impl Fn(&Zones) -> bool) -> Action {
    let client = client.to_canonical();
    let stanzas = stanzas.iter().filter(|stanza| covers(&stanza.zones));
    let mut rules = stanzas.flat_map(|stanza| &stanza.rules);
    rules.find(|rule| rule.matches(client, qtype)).map_or(Action::Allow, |rule| rule.action)
}
