//! The weights of addresses, as a file gives them. Pure.
//!
//! A line with a name, then lines with an address of it and a weight; `#` begins a comment. CoreDNS's form.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::rr::Name;
use thiserror::Error;

/// Weights by owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(BTreeMap<Name, OwnerWeights>);

/// The weights of the addresses of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerWeights(BTreeMap<IpAddr, u8>);

/// A line that gives no weight.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct WeightsError {
    /// Which, from 1.
    pub line: usize,
    /// What was expected, and what came.
    pub what: String,
}

impl Weights {
    /// Reads the text of a file.
    ///
    /// Errors: the first line that is neither a name nor an address with a weight from 1 to 255, or says something again.
    pub fn parse(text: &str) -> Result<Weights, WeightsError> {
        let mut weights = Weights::default();
        let mut owner = None;
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let read = match (&words[..], &owner) {
                ([], _) => Ok(()),
                ([name], _) => weights.add_owner(name).map(|name| owner = Some(name)),
                ([address, weight], Some(owner)) => weights.add(owner, address, weight),
                ([_, _], None) => Err("expected the name of a host before its addresses".to_owned()),
                _ => Err(format!("expected a name, or an address and a weight, got {} words", words.len())),
            };
            read.map_err(|what| WeightsError { line: index + 1, what })?;
        }
        Ok(weights)
    }

    /// The weights of `owner`'s addresses, if there are any.
    pub fn of(&self, owner: &Name) -> Option<&OwnerWeights> {
        if self.0.is_empty() { None } else { self.0.get(&owner.to_lowercase()) }
    }

    /// Whether there are no weights at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add_owner(&mut self, text: &str) -> Result<Name, String> {
        let parsed = Name::from_ascii(text).map_err(|_| format!("expected the name of a host, got `{text}`"));
        let mut name = parsed?.to_lowercase();
        name.set_fqdn(true);
        if text.parse::<IpAddr>().is_ok() {
            return Err(format!("expected a weight behind `{text}`"));
        }
        match self.0.insert(name.clone(), OwnerWeights::default()) {
            None => Ok(name),
            Some(_) => Err(format!("`{text}` has weights already")),
        }
    }

    fn add(&mut self, owner: &Name, address: &str, weight: &str) -> Result<(), String> {
        let parsed: IpAddr =
            address.parse().map_err(|_| format!("expected an IP address, got `{address}`"))?;
        let weight = weight.parse().ok().filter(|weight| *weight > 0);
        let weight = weight.ok_or_else(|| format!("`{address}`: expected a weight from 1 to 255"))?;
        let owned = self.0.get_mut(owner).expect("it was added before its addresses");
        match owned.0.insert(parsed.to_canonical(), weight) {
            None => Ok(()),
            Some(_) => Err(format!("`{address}` has a weight already")),
        }
    }
}

impl OwnerWeights {
    /// The weight of `address`; 1 when none is given.
    pub fn of(&self, address: IpAddr) -> usize {
        self.0.get(&address).map_or(1, |weight| usize::from(*weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_their_owner_and_one_where_none_is_given() {
        let text = "# of two hosts\nWWW.example.org\n192.0.2.1 3 # most\n2001:db8::1 255\n\nexample.net.\n 192.0.2.1 7\n";
        let weights = Weights::parse(text).unwrap();
        let of = |owner: &str, address: &str| {
            let owner = weights.of(&Name::from_ascii(owner).unwrap())?;
            Some(owner.of(address.parse().unwrap()))
        };
        assert_eq!(of("www.Example.org.", "192.0.2.1"), Some(3));
        assert_eq!(of("www.example.org.", "2001:db8::1"), Some(255));
        assert_eq!(of("www.example.org.", "192.0.2.9"), Some(1));
        assert_eq!(of("example.net.", "192.0.2.1"), Some(7));
        assert_eq!(of("example.org.", "192.0.2.1"), None);
        assert!(Weights::parse("# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn lines_that_give_no_weight_are_errors_with_their_number() {
        for (text, expected) in [
            ("192.0.2.1 3", "line 1: expected the name of a host before its addresses"),
            ("a\n192.0.2.1", "line 2: expected a weight behind `192.0.2.1`"),
            ("a\n192.0.2.1 0", "line 2: `192.0.2.1`: expected a weight from 1 to 255"),
            ("a\n\n192.0.2.1 256", "line 3: `192.0.2.1`: expected a weight from 1 to 255"),
            ("a\n192.0.2 3", "line 2: expected an IP address, got `192.0.2`"),
            ("a\n192.0.2.1 3\n192.0.2.1 4", "line 3: `192.0.2.1` has a weight already"),
            ("a\nb\nA.", "line 3: `A.` has weights already"),
            ("a..b", "line 1: expected the name of a host, got `a..b`"),
            ("a b c", "line 1: expected a name, or an address and a weight, got 3 words"),
        ] {
            assert_eq!(Weights::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
