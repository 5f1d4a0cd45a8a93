//! What can go wrong between the operator's wish and a filter in force, each with what to do about it.

use std::{io, net::SocketAddr};

use thiserror::Error;

use crate::{PEER_ADDRESSES_MAX, Rate};

/// Why a filter is not in force.
#[derive(Debug, Error)]
pub enum FilterError {
    /// Two peers claim one source.
    #[error("peers {first} and {second} have the same address `{address}`")]
    SharedAddress {
        /// The address.
        address: SocketAddr,
        /// The peer named first.
        first: u8,
        /// The peer named second.
        second: u8,
    },
    /// More addresses than the map holds.
    #[error("expected at most {PEER_ADDRESSES_MAX} addresses of peers, got {count}")]
    TooManyAddresses {
        /// How many there are.
        count: usize,
    },
    /// A rate of nothing, or beyond the clock's grain.
    #[error(
        "expected a rate of 1 to 1000000000 a second and a burst of 1 to 1000000 for {class} traffic, got {} and {}",
        rate.per_second, rate.burst
    )]
    Limit {
        /// `established` or `unproven`.
        class: &'static str,
        /// The rate as given.
        rate: Rate,
    },
    /// A filter at an interface must know the port that it guards.
    #[error("a filter at an interface needs the number of the peer port, got 0")]
    PortUnknown,
    /// The kernel does not let this process load or attach the program.
    #[error("no privilege to {what}: {needs} is missing")]
    NoPrivilege {
        /// What was tried.
        what: &'static str,
        /// The capabilities that allow it.
        needs: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no such interface in this network namespace.
    #[error("unknown interface `{name}`")]
    UnknownInterface {
        /// The name.
        name: String,
    },
    /// The interface's packets have no Ethernet header.
    #[error("interface `{name}` does not carry Ethernet frames")]
    NotEthernet {
        /// The name.
        name: String,
    },
    /// Another XDP program sits there.
    #[error("interface `{name}` already has an XDP program")]
    Occupied {
        /// The name.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Programs on sockets are charged to a small budget.
    #[error("the socket has no room for the program")]
    OptionMemory {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The socket was bound before the filter was there, so that datagrams may wait in it that nobody judged.
    #[error("the socket is already bound to `{address}`")]
    AlreadyBound {
        /// Where.
        address: SocketAddr,
    },
    /// The kernel refused for a reason that has no name here.
    #[error("the kernel refused to {what}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What the kernel, or the loader, said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FilterError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FilterError::NoPrivilege { .. } => Some(
                "start as root or grant the capability (systemd: `AmbientCapabilities=CAP_BPF`, for tc and xdp \
                 `CAP_BPF CAP_NET_ADMIN`), or write `filter auto` or `filter userspace`",
            ),
            FilterError::UnknownInterface { .. } => Some("`ip link` lists the interfaces of this namespace"),
            FilterError::NotEthernet { .. } => Some("write `filter socket`, which works on every interface"),
            FilterError::Occupied { .. } => Some(
                "remove it with `ip link set dev INTERFACE xdp off`, or write `filter tc` or `filter socket`",
            ),
            FilterError::OptionMemory { .. } => Some("raise it: `sysctl net.core.optmem_max=131072`"),
            FilterError::PortUnknown => Some("give the peer address a port, or write `filter socket`"),
            FilterError::AlreadyBound { .. } => Some("attach the filter before binding the socket"),
            FilterError::SharedAddress { .. }
            | FilterError::TooManyAddresses { .. }
            | FilterError::Limit { .. }
            | FilterError::Kernel { .. } => None,
        }
    }

    /// The whole story in one line: what, why, and what to do.
    pub fn explanation(&self) -> String {
        self.story(self.hint())
    }

    /// The same for somebody who wrote `filter auto`, and need not be told of it.
    pub(crate) fn fallback_reason(&self) -> String {
        match self {
            FilterError::NoPrivilege { .. } => self.story(Some(GRANT)),
            _ => self.explanation(),
        }
    }

    fn story(&self, hint: Option<&str>) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(error.to_string().trim());
            cause = error.source();
        }
        if let Some(hint) = hint {
            text.push_str("; ");
            text.push_str(hint);
        }
        text
    }
}

/// How to have the privilege.
const GRANT: &str = "start as root or grant the capability (systemd: `AmbientCapabilities=CAP_BPF`)";
