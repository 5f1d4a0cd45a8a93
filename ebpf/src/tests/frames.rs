//! Frames that look unlike the plain ones: tags, options, extension headers, fragments, lengths that lie; and frames that
//! chance has bitten.

use std::net::SocketAddr;

use super::{
    Packet,
    datagrams::{INITIAL, OTHER_ID, long, one, our_id, short},
    judges::{AtInterface, InUserspace, Judge},
    namespace::privileged,
    policy,
    stories::Chance,
    wire::{Reading, Wrapping, frame, read},
};
use crate::{Kind, Policy, Verdict};

const TO_4: &str = "192.0.2.100:7000";
const TO_6: &str = "[2001:db8::100]:7000";

fn v4() -> Packet {
    one("192.0.2.1:7001", short(our_id(), 60))
}

fn v6() -> Packet {
    one("[2001:db8::2]:7002", short(our_id(), 60))
}

fn wrapped(packet: &Packet, wrapping: Wrapping) -> Vec<u8> {
    let to = if packet.from.is_ipv4() { TO_4 } else { TO_6 };
    frame(packet, to.parse().unwrap(), &wrapping)
}

/// The frame of `packet` with one 16-bit word at `offset` from the start of the IP header replaced.
fn with_word(packet: &Packet, offset: usize, value: u16) -> Vec<u8> {
    let mut frame = wrapped(packet, Wrapping::default());
    frame[14 + offset..16 + offset].copy_from_slice(&value.to_be_bytes());
    frame
}

fn to(packet: &Packet, to: &str) -> Vec<u8> {
    frame(packet, to.parse().unwrap(), &Wrapping::default())
}

/// Name, frame, verdict; none means that it passes and is not counted.
type Row = (&'static str, Vec<u8>, Option<Verdict>);

fn table() -> Vec<Row> {
    [tags_and_options(), extensions(), fragments(), lengths(), elsewhere()].into_iter().flatten().collect()
}

fn tags_and_options() -> Vec<Row> {
    let pass = Some(Verdict::PassEstablished);
    let vlans = |vlans: &[u16]| Wrapping { vlans: vlans.to_vec(), ..Wrapping::default() };
    let options = |bytes| Wrapping { options: vec![1; bytes], ..Wrapping::default() };
    let stranger = one("192.0.2.9:7001", short(our_id(), 60));
    vec![
        ("VLAN", wrapped(&v4(), vlans(&[0x8100])), pass),
        ("VLAN, IPv6", wrapped(&v6(), vlans(&[0x8100])), pass),
        ("QinQ", wrapped(&v4(), vlans(&[0x88a8, 0x8100])), pass),
        ("old QinQ", wrapped(&v6(), vlans(&[0x8100, 0x8100])), pass),
        ("stranger in QinQ", wrapped(&stranger, vlans(&[0x88a8, 0x8100])), Some(Verdict::UnknownSource)),
        ("three tags are nobody's", wrapped(&stranger, vlans(&[0x88a8, 0x8100, 0x8100])), None),
        ("IPv4 options", wrapped(&v4(), options(4)), pass),
        ("most IPv4 options", wrapped(&v4(), options(40)), pass),
        ("stranger with options", wrapped(&stranger, options(24)), Some(Verdict::UnknownSource)),
    ]
}

fn extensions() -> Vec<Row> {
    let pass = Some(Verdict::PassEstablished);
    let extended = |extensions: &[(u8, &[u8])]| Wrapping {
        extensions: extensions.iter().map(|(number, rest)| (*number, rest.to_vec())).collect(),
        ..Wrapping::default()
    };
    let (eight, sixteen) = ([0; 7], [&[1][..], &[0; 14]].concat());
    let authentication = [&[4][..], &[0; 22]].concat();
    let atomic = [0, 0, 0, 0, 0, 0, 9];
    let stranger = one("[2001:db8::9]:7002", short(our_id(), 60));
    vec![
        ("hop-by-hop options", wrapped(&v6(), extended(&[(0, &eight)])), pass),
        ("long destination options", wrapped(&v6(), extended(&[(60, &sixteen)])), pass),
        ("routing header", wrapped(&v6(), extended(&[(43, &eight)])), pass),
        ("authentication header", wrapped(&v6(), extended(&[(51, &authentication)])), pass),
        (
            "all of them",
            {
                let all = [(0, &eight[..]), (60, &sixteen), (43, &eight), (51, &authentication)];
                wrapped(&v6(), extended(&all))
            },
            pass,
        ),
        ("atomic fragment is whole", wrapped(&v6(), extended(&[(44, &atomic)])), pass),
        ("eight extension headers", wrapped(&v6(), extended(&[(60, &eight[..]); 8])), pass),
        (
            "stranger behind eight",
            wrapped(&stranger, extended(&[(60, &eight[..]); 8])),
            Some(Verdict::UnknownSource),
        ),
        (
            "nine are no way around",
            wrapped(&stranger, extended(&[(60, &eight[..]); 9])),
            Some(Verdict::Malformed),
        ),
        (
            "no next header",
            {
                let mut frame = wrapped(&v6(), extended(&[(0, &eight)]));
                frame[14 + 40] = 59;
                frame
            },
            None,
        ),
    ]
}

fn fragments() -> Vec<Row> {
    let v4_fragment = |fragment| wrapped(&v4(), Wrapping { fragment, ..Wrapping::default() });
    let v6_fragment = |low: u8| {
        let extension = (44, vec![0, 0, low, 0, 0, 0, 9]);
        wrapped(&v6(), Wrapping { extensions: vec![extension], ..Wrapping::default() })
    };
    vec![
        ("first fragment", v4_fragment(0x2000), Some(Verdict::Fragment)),
        ("later fragment comes to nothing by itself", v4_fragment(0x2001), None),
        ("last fragment comes to nothing by itself", v4_fragment(0x0001), None),
        ("must not be fragmented, and is not", v4_fragment(0x4000), Some(Verdict::PassEstablished)),
        ("first fragment, IPv6", v6_fragment(1), Some(Verdict::Fragment)),
        ("later fragment, IPv6", v6_fragment(9), None),
    ]
}

fn lengths() -> Vec<Row> {
    let malformed = Some(Verdict::Malformed);
    let (v4_ip, v6_ip) = (20 + 8 + 60, 8 + 60);
    let padded = |packet| [wrapped(&packet, Wrapping::default()), vec![0; 9]].concat();
    let mapped = one("[::ffff:192.0.2.1]:7001", short(our_id(), 60));
    vec![
        ("frame with padding", padded(v4()), Some(Verdict::PassEstablished)),
        (
            "padding does not fill a short datagram up",
            padded(one("192.0.2.1:7001", short(our_id(), 20))),
            malformed,
        ),
        ("IPv4 longer than the frame", with_word(&v4(), 2, v4_ip + 1), malformed),
        ("IPv4 shorter than UDP says", with_word(&v4(), 2, v4_ip - 1), malformed),
        ("IPv6 longer than the frame", with_word(&v6(), 4, v6_ip + 1), malformed),
        ("IPv6 shorter than UDP says", with_word(&v6(), 4, v6_ip - 1), malformed),
        ("jumbogram", with_word(&v6(), 4, 0), malformed),
        ("UDP longer than IP", with_word(&v4(), 24, 69), malformed),
        ("UDP shorter than its header", with_word(&v4(), 24, 7), malformed),
        ("UDP of nothing", with_word(&v6(), 44, 0), malformed),
        ("UDP that leaves bytes over", with_word(&v4(), 24, 8 + 21), Some(Verdict::PassEstablished)),
        ("UDP that leaves too little", with_word(&v4(), 24, 8 + 20), malformed),
        ("IPv6 source that looks like an IPv4 peer", to(&mapped, TO_6), malformed),
    ]
}

fn elsewhere() -> Vec<Row> {
    let mut arp = vec![0xff; 12];
    arp.extend([0x08, 0x06]);
    arp.resize(60, 0);
    let stranger = one("192.0.2.9:7001", short(our_id(), 60));
    vec![
        ("another port", to(&stranger, "192.0.2.100:7001"), None),
        ("another port, IPv6", to(&v6(), "[2001:db8::100]:53"), None),
        ("ARP", arp, None),
        ("TCP", with_word(&stranger, 8, 64 << 8 | 6), None),
        ("IPv4 that is not version 4", with_word(&stranger, 0, 0x5500), None),
        ("IPv4 with an impossible header", with_word(&stranger, 0, 0x4400), None),
        // Read with a header of 16 bytes, the destination would be the ports: 49152 and 7000.
        (
            "impossible header, address like a port",
            {
                let mut frame = to(&stranger, "192.0.27.88:7000");
                frame[14] = 0x44;
                frame
            },
            None,
        ),
        ("nothing behind Ethernet", vec![8; 14], None),
    ]
}

#[test]
fn programs_see_through_tags_options_and_fragments() {
    if !privileged() {
        return;
    }
    for kind in [Kind::Tc, Kind::Xdp] {
        let mut judge = AtInterface::new(kind);
        for (name, frame, expected) in table() {
            judge.reset();
            judge.at(1_000_000_000);
            assert_eq!(judge.judge_frame(&frame, 0, 0), expected, "{kind}: {name}");
        }
    }
}

/// The second opinion, which the test below leans on, is of the same opinion as the table.
#[test]
fn second_reading_of_frames_agrees_with_the_table() {
    for (name, frame, expected) in table() {
        let mut twin = InUserspace::new();
        twin.at(1_000_000_000);
        assert_eq!(expected_of(&frame, &mut twin), expected, "{name}");
    }
}

#[test]
fn programs_judge_only_what_is_addressed_to_the_node() {
    if !privileged() {
        return;
    }
    let listens = |local: &str| Policy { local: local.parse().unwrap(), ..policy() };
    let rows = [
        ("192.0.2.100:7000", "192.0.2.100:7000", true),
        ("192.0.2.100:7000", "192.0.2.101:7000", false),
        ("192.0.2.100:7000", "[2001:db8::100]:7000", false),
        ("[2001:db8::100]:7000", "[2001:db8::100]:7000", true),
        ("[2001:db8::100]:7000", "[2001:db8::101]:7000", false),
        ("[2001:db8::100]:7000", "192.0.2.100:7000", false),
        ("0.0.0.0:7000", "192.0.2.101:7000", true),
        ("0.0.0.0:7000", "[2001:db8::100]:7000", false),
        ("[::]:7000", "192.0.2.101:7000", true),
        ("[::]:7000", "[2001:db8::101]:7000", true),
        ("[::]:7001", "[2001:db8::101]:7000", false),
    ];
    for kind in [Kind::Tc, Kind::Xdp] {
        for (local, address, judged) in rows {
            let mut judge = AtInterface::with_policy(kind, listens(local));
            let address: SocketAddr = address.parse().unwrap();
            let stranger = if address.is_ipv4() { "192.0.2.9:9" } else { "[2001:db8::9]:9" };
            let frame = frame(&one(stranger, short(OTHER_ID, 60)), address, &Wrapping::default());
            let expected = judged.then_some(Verdict::UnknownSource);
            assert_eq!(judge.judge_frame(&frame, 0, 0), expected, "{kind}: {address} for a node on {local}");
        }
    }
}

#[test]
fn segments_are_counted_from_their_size_when_the_number_is_missing() {
    if !privileged() {
        return;
    }
    let mut judge = AtInterface::new(Kind::Tc);
    judge.at(1_000_000_000);
    let frame = wrapped(&one("192.0.2.9:9", vec![0; 1000]), Wrapping::default());
    assert_eq!(judge.judge_frame(&frame, 0, 300), Some(Verdict::UnknownSource));
    assert_eq!(judge.statistics().datagrams(Verdict::UnknownSource), 4);
}

/// What the second opinion makes of `frame`, with the twin to judge datagrams.
fn expected_of(frame: &[u8], twin: &mut InUserspace) -> Option<Verdict> {
    match read(frame, policy().local) {
        Reading::Elsewhere => None,
        Reading::Fragment => Some(Verdict::Fragment),
        Reading::Contradiction => Some(Verdict::Malformed),
        Reading::Datagram(from, datagrams) => Some(twin.judge(&Packet { from, datagrams, stride: 0 })),
    }
}

/// Every truncation of each frame of the table, and each frame with some bytes changed by chance.
fn bitten() -> Vec<Vec<u8>> {
    let mut chance = Chance(0x5eed);
    let mut seeds: Vec<_> = table().into_iter().map(|(_, frame, _)| frame).collect();
    for packet in [v4(), v6()] {
        let from = packet.from.to_string();
        for datagram in [
            long(INITIAL, 1, &[1; 8], 1200),
            long(0xe0, 1, &our_id(), 60),
            long(0xe0, 1, &OTHER_ID, 40),
            long(0x80, 0, &[2; 20], 40),
        ] {
            seeds.push(wrapped(&one(&from, datagram), Wrapping::default()));
        }
    }
    let mut frames = Vec::new();
    for seed in &seeds {
        // BPF_PROG_TEST_RUN takes nothing under an Ethernet header.
        let truncations = (14..seed.len().min(160)).map(|bytes| seed[..bytes].to_vec());
        frames.extend(truncations);
        for _ in 0..BITES {
            let mut frame = seed.clone();
            for _ in 0..=chance.below(3) {
                let headers = frame.len().min(110);
                let at = chance.below(headers - 12) + 12;
                frame[at] = match chance.below(3) {
                    0 => chance.below(256) as u8,
                    1 => frame[at] ^ (1 << chance.below(8)),
                    _ => [0, 1, 0xff, 17, 44, 60, 0x40, 0xc0][chance.below(8)],
                };
            }
            frames.push(frame);
        }
    }
    frames
}

#[test]
fn programs_and_twin_agree_on_frames_that_chance_has_bitten() {
    if !privileged() {
        return;
    }
    for kind in [Kind::Tc, Kind::Xdp] {
        let (mut judge, mut twin) = (AtInterface::new(kind), InUserspace::new());
        let mut verdicts = std::collections::BTreeMap::new();
        for (number, frame) in bitten().into_iter().enumerate() {
            // Slow enough for most to pass, fast enough for some not to.
            let now_ns = 1_000_000_000 + number as u64 * 150_000_000;
            judge.at(now_ns);
            twin.at(now_ns);
            let Ok(verdict) = judge.try_judge_frame(&frame, 0, 0) else {
                assert!(
                    frame.len() < 14 + 40,
                    "BPF_PROG_TEST_RUN refuses nothing but half IP headers: {frame:02x?}"
                );
                continue;
            };
            let expected = expected_of(&frame, &mut twin);
            assert_eq!(verdict, expected, "{kind}: frame {number}: {frame:02x?}");
            *verdicts.entry(expected).or_insert(0) += 1;
        }
        eprintln!("{kind}: {verdicts:?}");
        assert!(verdicts.len() >= 8, "chance bites into every part: {verdicts:?}");
    }
}

/// Mutations of each frame.
const BITES: usize = 150;
