//! What the operator asks for (`Mode`) and what is in force (`Kind`).

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Where the filter is to sit, as written in the Corefile: `auto | socket | tc IFACE | xdp IFACE | userspace | off`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the kernel on the socket if the privilege is there, otherwise in userspace, and says why.
    #[default]
    Auto,
    /// In the kernel on the peer socket, or not at all: without the privilege loading fails.
    Socket,
    /// In the kernel at the ingress of an interface (tcx, or clsact on kernels before 6.6).
    Tc(String),
    /// In the kernel at the driver of an interface, or where the driver cannot, just behind it.
    Xdp(String),
    /// In userspace, behind the socket.
    Userspace,
    /// Nowhere: every datagram reaches QUIC.
    Off,
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Mode, ModeError> {
        let mut words = text.split_ascii_whitespace();
        let word = words.next().unwrap_or("");
        let interface = words.next();
        if let Some(surplus) = words.next() {
            return Err(ModeError::Surplus { after: word.to_string(), surplus: surplus.to_string() });
        }
        let plain = |mode| match interface {
            None => Ok(mode),
            Some(surplus) => {
                Err(ModeError::Surplus { after: word.to_string(), surplus: surplus.to_string() })
            }
        };
        match word {
            "auto" => plain(Mode::Auto),
            "socket" => plain(Mode::Socket),
            "userspace" => plain(Mode::Userspace),
            "off" => plain(Mode::Off),
            "tc" => Ok(Mode::Tc(interface_name("tc", interface)?)),
            "xdp" => Ok(Mode::Xdp(interface_name("xdp", interface)?)),
            _ => Err(ModeError::Unknown { word: word.to_string() }),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Auto => formatter.write_str("auto"),
            Mode::Socket => formatter.write_str("socket"),
            Mode::Tc(interface) => write!(formatter, "tc {interface}"),
            Mode::Xdp(interface) => write!(formatter, "xdp {interface}"),
            Mode::Userspace => formatter.write_str("userspace"),
            Mode::Off => formatter.write_str("off"),
        }
    }
}

/// Why a text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModeError {
    /// The first word is none of the modes.
    #[error("expected auto, socket, tc INTERFACE, xdp INTERFACE, userspace or off, got `{word}`")]
    Unknown {
        /// What was written.
        word: String,
    },
    /// `tc` or `xdp` stands alone.
    #[error("expected the name of an interface after {word}, as in `{word} eth0`")]
    NoInterface {
        /// `tc` or `xdp`.
        word: &'static str,
    },
    /// The interface's name cannot be one.
    #[error("expected the name of an interface, 1 to 15 bytes without `/`, got `{name}`")]
    InterfaceName {
        /// What was written.
        name: String,
    },
    /// A word too many.
    #[error("nothing may follow after {after} here, got `{surplus}`")]
    Surplus {
        /// The mode.
        after: String,
        /// The word too many.
        surplus: String,
    },
}

/// What is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The kernel judges, on the socket.
    Socket,
    /// The kernel judges, at the ingress of an interface.
    Tc,
    /// The kernel judges, at the driver of an interface.
    Xdp,
    /// The node judges, behind the socket.
    Userspace,
    /// Nobody judges.
    Off,
}

impl Kind {
    /// The word for it, as in the Corefile.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Socket => "socket",
            Kind::Tc => "tc",
            Kind::Xdp => "xdp",
            Kind::Userspace => "userspace",
            Kind::Off => "off",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

fn interface_name(word: &'static str, name: Option<&str>) -> Result<String, ModeError> {
    let name = name.ok_or(ModeError::NoInterface { word })?;
    if name.len() > INTERFACE_NAME_BYTES_MAX || name.contains('/') {
        return Err(ModeError::InterfaceName { name: name.to_string() });
    }
    Ok(name.to_string())
}

/// IFNAMSIZ without the closing zero.
const INTERFACE_NAME_BYTES_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_as_it_is_written() {
        for text in ["auto", "socket", "tc eth0", "xdp enp0s31f6", "userspace", "off"] {
            assert_eq!(text.parse::<Mode>().map(|mode| mode.to_string()), Ok(text.to_string()));
        }
        assert_eq!("  tc   eth0 ".parse(), Ok(Mode::Tc("eth0".to_string())));
    }

    #[test]
    fn wrong_modes_say_what_was_expected() {
        let error = |text: &str| text.parse::<Mode>().expect_err("it is wrong").to_string();
        assert_eq!(
            error("kernel"),
            "expected auto, socket, tc INTERFACE, xdp INTERFACE, userspace or off, got `kernel`"
        );
        assert_eq!(error(""), "expected auto, socket, tc INTERFACE, xdp INTERFACE, userspace or off, got ``");
        assert_eq!(error("tc"), "expected the name of an interface after tc, as in `tc eth0`");
        assert_eq!(error("socket eth0"), "nothing may follow after socket here, got `eth0`");
        assert_eq!(error("xdp eth0 eth1"), "nothing may follow after xdp here, got `eth1`");
        assert_eq!(
            error("tc ../../etc/passwd"),
            "expected the name of an interface, 1 to 15 bytes without `/`, got `../../etc/passwd`"
        );
    }
}
