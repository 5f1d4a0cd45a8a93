//! The lines of a hosts file as a table: addresses of names, names of addresses. Pure. hosts(5), RFC 952 in spirit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;

/// Addresses and names, both ways. Names are lower-case and absolute; `*.x` stands for each name one label below `x`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    forward: HashMap<Name, Addresses>,
    reverse: HashMap<IpAddr, Vec<Name>>,
    entries: usize,
}

/// The addresses of one name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// In the order of the lines.
    pub v4: Vec<Ipv4Addr>,
    /// In the order of the lines.
    pub v6: Vec<Ipv6Addr>,
}

impl Table {
    /// Adds the lines of `text`. Lines that are none are left out, as everybody does.
    pub fn add_file(&mut self, text: &str) {
        for line in text.lines() {
            let content = line.split('#').next().unwrap_or_default();
            let mut words = content.split_whitespace();
            if let Some(address) = words.next().and_then(address) {
                words.filter_map(host_name).for_each(|name| self.add(address, name));
            }
        }
    }

    /// Adds one name of one address.
    pub fn add(&mut self, address: IpAddr, name: Name) {
        let addresses = self.forward.entry(name.clone()).or_default();
        let is_new = match address {
            IpAddr::V4(address) => push_new(&mut addresses.v4, address),
            IpAddr::V6(address) => push_new(&mut addresses.v6, address),
        };
        if !name.is_wildcard() {
            push_new(self.reverse.entry(address).or_default(), name);
        }
        self.entries += usize::from(is_new);
    }

    /// The addresses of `name`, which is lower-case; those of the wildcard above it, if it has none itself.
    pub fn addresses(&self, name: &Name) -> Option<&Addresses> {
        self.forward.get(name).or_else(|| {
            let labels = name.num_labels();
            if labels == 0 { None } else { self.forward.get(&name.clone().into_wildcard()) }
        })
    }

    /// The names of `address`, in the order of the lines.
    pub fn names(&self, address: IpAddr) -> &[Name] {
        self.reverse.get(&address).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many pairs of name and address there are.
    pub fn entries(&self) -> usize {
        self.entries
    }
}

/// The address that `text` spells; an IPv6 address that wraps an IPv4 address is the latter, and a scope (`%eth0`) is dropped.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.split_once('%').map_or(text, |(address, _scope)| address);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The name that `text` spells, lower-case and absolute.
pub fn host_name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok().filter(|name| !name.is_root())?;
    name.set_fqdn(true);
    Some(name.to_lowercase())
}

/// The address that `name` is the reverse name of, in full length. RFC 1035 §3.5, RFC 3596 §2.5.
pub fn reversed(name: &Name) -> Option<IpAddr> {
    let network = name.parse_arpa_name().ok()?;
    let full = if network.addr().is_ipv4() { 32 } else { 128 };
    (network.prefix_len() == full).then(|| network.addr())
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) -> bool {
    let is_new = !list.contains(&item);
    if is_new {
        list.push(item);
    }
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        let mut table = Table::default();
        table.add_file(text);
        table
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[test]
    fn lines_are_read_and_others_left_out() {
        let table = table(
            "192.0.2.1 a.example.org A.Example.Org b # c.example.org\nreload 5s\n\n# x\n192.0.2.2\n192.0.2.300 d\n",
        );
        assert_eq!(table.entries(), 2);
        assert_eq!(table.names(IpAddr::from([192, 0, 2, 1])), [name("a.example.org."), name("b.")]);
        assert!(table.addresses(&name("d.")).is_none());
    }

    #[test]
    fn mapped_addresses_are_ipv4_and_scopes_are_dropped() {
        let table = table("::ffff:192.0.2.1 a\nfe80::1%lo0 a\n");
        let addresses = table.addresses(&name("a.")).expect("known");
        assert_eq!((addresses.v4.len(), addresses.v6.len()), (1, 1));
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        let table = table("192.0.2.1 *.example.org\n192.0.2.2 a.example.org\n");
        assert_eq!(table.addresses(&name("x.example.org.")).map(|found| found.v4.len()), Some(1));
        assert_eq!(
            table.addresses(&name("a.example.org.")).map(|found| found.v4[0]),
            Some(Ipv4Addr::new(192, 0, 2, 2))
        );
        assert!(table.addresses(&name("y.x.example.org.")).is_none());
        assert!(table.addresses(&name("example.org.")).is_none());
        assert!(table.names(IpAddr::from([192, 0, 2, 1])).is_empty(), "a wildcard is no host's name");
    }

    #[test]
    fn only_full_reverse_names_are_addresses() {
        assert_eq!(reversed(&name("1.2.0.192.in-addr.arpa.")), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(reversed(&name("2.0.192.in-addr.arpa.")), None);
        assert_eq!(reversed(&name("www.example.org.")), None);
        let nibbles = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa.", "0.".repeat(23));
        assert_eq!(reversed(&name(&nibbles)), Some("2001:db8::1".parse().expect("an address")));
    }
}
