//! A network of its own: hosts as network namespaces behind one bridge, whose cables can be pulled.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::program::stderr;

/// Hosts in network namespaces; all of it goes when this is dropped.
pub struct Network {
    /// Its number: every network has a bridge and a range of addresses of its own.
    number: u8,
    hosts: usize,
}

impl Network {
    /// Makes a network of `hosts`. This machine itself is at `here`.
    ///
    /// Panics: when `ip` refuses.
    pub fn new(hosts: usize) -> Network {
        // The kernel says which numbers are taken: two tests at once get different ones.
        let free = |number: &u8| ip(&format!("link add qnet{number} type bridge")).is_ok();
        let number = (0..=u8::MAX).find(free).expect("`ip` makes a bridge (iproute2, root)");
        let network = Network { number, hosts };
        must(&format!("addr add {}/24 dev qnet{number}", network.here()));
        must(&format!("link set qnet{number} up"));
        for host in 0..hosts {
            let (namespace, cable) = (network.namespace(host), network.cable(host));
            must(&format!("netns add {namespace}"));
            must(&format!("link add {cable} type veth peer name eth0 netns {namespace}"));
            must(&format!("link set {cable} master qnet{number} up"));
            must(&format!("-n {namespace} addr add {}/24 dev eth0", network.address(host)));
            must(&format!("-n {namespace} link set lo up"));
            must(&format!("-n {namespace} link set eth0 up"));
        }
        network
    }

    /// The address of this machine in it.
    pub fn here(&self) -> IpAddr {
        self.numbered(254)
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> IpAddr {
        self.numbered(host as u8 + 1)
    }

    /// The namespace of a host.
    pub fn namespace(&self, host: usize) -> String {
        format!("qnet{}-{host}", self.number)
    }

    /// Pulls the cable of a host.
    pub fn cut(&self, host: usize) {
        must(&format!("link set {} down", self.cable(host)));
    }

    /// Plugs it in again.
    pub fn mend(&self, host: usize) {
        must(&format!("link set {} up", self.cable(host)));
    }

    fn cable(&self, host: usize) -> String {
        format!("qnet{}c{host}", self.number)
    }

    /// Addresses for tests of networks, RFC 2544: no machine has them.
    fn numbered(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(198, 18, self.number, last).into()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            // The cable goes with its end in the namespace.
            let _ = ip(&format!("netns del {}", self.namespace(host)));
        }
        let _ = ip(&format!("link del qnet{}", self.number));
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip (iproute2): {error}"))?;
    if output.status.success() { Ok(()) } else { Err(stderr(&output)) }
}

fn must(arguments: &str) {
    ip(arguments).unwrap_or_else(|error| panic!("ip {arguments}: {error}"));
}
