//! Frames: how a packet looks at an interface, written and read in Rust. Reading is a second opinion on `bpf/frame.h`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Packet;

/// What stands around a datagram.
#[derive(Debug, Clone, Default)]
pub(super) struct Wrapping {
    /// Ethertypes of VLAN tags, outermost first.
    pub(super) vlans: Vec<u16>,
    /// IPv4 options, a multiple of four bytes.
    pub(super) options: Vec<u8>,
    /// IPv6 extension headers: number and bytes without the number of the next.
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    /// IPv4's flags and fragment offset.
    pub(super) fragment: u16,
}

/// Returns the frame in which `packet` goes to `to`.
pub(super) fn frame(packet: &Packet, to: SocketAddr, wrapping: &Wrapping) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for vlan in &wrapping.vlans {
        frame.extend(vlan.to_be_bytes());
        frame.extend([0, 42]);
    }
    let udp_bytes = 8 + packet.datagrams.len();
    match (packet.from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let header = 20 + wrapping.options.len();
            frame.extend([0x08, 0x00, 0x40 | (header / 4) as u8, 0]);
            frame.extend(((header + udp_bytes) as u16).to_be_bytes());
            frame.extend([0, 0]);
            frame.extend(wrapping.fragment.to_be_bytes());
            frame.extend([64, 17, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(&wrapping.options);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let extensions: usize = wrapping.extensions.iter().map(|(_, rest)| 1 + rest.len()).sum();
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(((extensions + udp_bytes) as u16).to_be_bytes());
            let mut numbers = wrapping.extensions.iter().map(|(number, _)| *number).chain([17]);
            frame.extend(numbers.next());
            frame.push(64);
            frame.extend(from.octets());
            frame.extend(to.octets());
            for (_, rest) in &wrapping.extensions {
                frame.extend(numbers.next());
                frame.extend(rest);
            }
        }
        _ => panic!("both ends speak the same protocol"),
    }
    frame.extend(packet.from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend((udp_bytes as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(&packet.datagrams);
    frame
}

/// What a program at an interface must make of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// Nothing: it is not for the peer port.
    Elsewhere,
    /// The first of several fragments.
    Fragment,
    /// It is for us, and its lengths cannot be.
    Contradiction,
    /// A datagram.
    Datagram(SocketAddr, Vec<u8>),
}

/// Reads `frame` for a node that listens on `local`.
pub(super) fn read(frame: &[u8], local: SocketAddr) -> Reading {
    try_read(frame, local).unwrap_or(Reading::Elsewhere)
}

/// What an IP header says: source, destination, where UDP begins (none: too many extensions), where the packet ends,
/// whether it is a first fragment.
type Ip = (IpAddr, IpAddr, Option<usize>, usize, bool);

fn try_read(frame: &[u8], local: SocketAddr) -> Option<Reading> {
    let mut offset = 12;
    for _ in 0..2 {
        if matches!(word(frame, offset)?, 0x8100 | 0x88a8) {
            offset += 4;
        }
    }
    let (from, to, udp, end, fragment) = match word(frame, offset)? {
        0x0800 => read_ipv4(frame, offset + 2)?,
        0x86dd => read_ipv6(frame, offset + 2)?,
        _ => return None,
    };
    let is_any = match local.ip() {
        IpAddr::V6(any) if any.is_unspecified() => true,
        IpAddr::V4(any) if any.is_unspecified() => to.is_ipv4(),
        _ => false,
    };
    let canonical = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    if !is_any && canonical(to) != canonical(local.ip()) {
        return None;
    }
    let Some(udp) = udp else { return Some(Reading::Contradiction) };
    let header = frame.get(udp..udp + 8)?;
    if word(header, 2)? != local.port() {
        return None;
    }
    let length = usize::from(word(header, 4)?);
    if fragment {
        return Some(Reading::Fragment);
    }
    let is_mapped = matches!(from, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if is_mapped || end > frame.len() || length < 8 || udp + length > end {
        return Some(Reading::Contradiction);
    }
    let from = SocketAddr::new(from, word(header, 0)?);
    Some(Reading::Datagram(from, frame[udp + 8..udp + length].to_vec()))
}

fn read_ipv4(frame: &[u8], at: usize) -> Option<Ip> {
    let header = frame.get(at..at + 20)?;
    let bytes = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || bytes < 20 || header[9] != 17 || word(header, 6)? & 0x1fff != 0 {
        return None;
    }
    let address = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).map(IpAddr::from).ok();
    let end = at + usize::from(word(header, 2)?);
    Some((address(12)?, address(16)?, Some(at + bytes), end, word(header, 6)? & 0x2000 != 0))
}

fn read_ipv6(frame: &[u8], at: usize) -> Option<Ip> {
    let header = frame.get(at..at + 40)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let address =
        |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).map(|a| Ipv6Addr::from(a).into()).ok();
    let (from, to) = (address(8)?, address(24)?);
    let end = at + 40 + usize::from(word(header, 4)?);
    let (mut next, mut offset, mut fragment) = (header[6], at + 40, false);
    for _ in 0..9 {
        if next == 17 {
            return Some((from, to, Some(offset), end, fragment));
        }
        if !matches!(next, 0 | 43 | 44 | 51 | 60) {
            return None;
        }
        let extension = frame.get(offset..offset + 4)?;
        offset += match next {
            44 if word(extension, 2)? & 0xfff8 != 0 => return None,
            44 => {
                fragment |= extension[3] & 1 == 1;
                8
            }
            51 => (usize::from(extension[1]) + 2) * 4,
            _ => (usize::from(extension[1]) + 1) * 8,
        };
        next = extension[0];
    }
    Some((from, to, None, end, fragment))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
