//! The table: packets, state and time in, verdicts out. The same for every judge.

use super::{
    Case,
    Step::{self, Arrives, At, Quarantine, Release, Tighten},
    datagrams::{HANDSHAKE, INITIAL, OTHER_ID, joined, long, one, our_id, short},
};
use crate::Verdict::{self, *};

const PEER_1: &str = "192.0.2.1:7001";
const PEER_2: &str = "[2001:db8::2]:7002";

fn case(name: &'static str, steps: Vec<Step>) -> Case {
    Case { name, steps }
}

fn ours() -> Vec<u8> {
    short(our_id(), 100)
}

/// An established packet of `from`.
fn sends(from: &str, verdict: Verdict) -> Step {
    Arrives(one(from, ours()), verdict)
}

/// A datagram of peer 1, alone.
fn from_1(name: &'static str, datagram: Vec<u8>, verdict: Verdict) -> Case {
    case(name, vec![Arrives(one(PEER_1, datagram), verdict)])
}

pub(super) fn table() -> Vec<Case> {
    [sources(), shapes(), quarantines(), rates(), batches()].into_iter().flatten().collect()
}

fn sources() -> Vec<Case> {
    let source = |name, from, verdict| case(name, vec![sends(from, verdict)]);
    vec![
        source("IPv4 peer passes", PEER_1, PassEstablished),
        source("IPv6 peer passes", PEER_2, PassEstablished),
        source("peer's other address passes", "[2001:db8::4]:7004", PassEstablished),
        source("any port passes where the policy says so", "192.0.2.3:9999", PassEstablished),
        source("peer's address with another port is unknown", "192.0.2.1:7002", UnknownSource),
        source("IPv6 peer with another port is unknown", "[2001:db8::2]:7001", UnknownSource),
        source("another address with a peer's port is unknown", "192.0.2.9:7001", UnknownSource),
        source("another IPv6 address is unknown", "[2001:db8::9]:7002", UnknownSource),
        case(
            "unknown source is dropped whatever it sends",
            vec![
                Arrives(one("192.0.2.9:1", long(INITIAL, 1, &[1; 8], 1200)), UnknownSource),
                Arrives(one("192.0.2.9:1", vec![]), UnknownSource),
                Arrives(one("192.0.2.9:2", vec![0; 1400]), UnknownSource),
                Arrives(one("[2001:db8::9]:2", vec![0xff; 60]), UnknownSource),
            ],
        ),
    ]
}

fn shapes() -> Vec<Case> {
    vec![
        from_1("short header with our id", short(our_id(), 21), PassEstablished),
        from_1("short header with another id is unproven", short(OTHER_ID, 21), PassUnproven),
        from_1("short header under 21 bytes", short(our_id(), 20), Malformed),
        from_1("long header under 21 bytes", long(HANDSHAKE, 1, &our_id(), 20), Malformed),
        from_1("empty datagram", vec![], Malformed),
        from_1("one byte", vec![0x40], Malformed),
        from_1("cleared fixed bit, short", [&[0][..], &ours()[1..]].concat(), PassEstablished),
        from_1("cleared fixed bit, long", long(HANDSHAKE & !0x40, 1, &our_id(), 50), PassEstablished),
        from_1("spin bit and key phase do not matter", [&[0x7f][..], &ours()[1..]].concat(), PassEstablished),
        from_1("Initial of 1200 bytes", long(INITIAL, 1, &[1; 8], 1200), PassUnproven),
        from_1("Initial of 1199 bytes", long(INITIAL, 1, &[1; 8], 1199), SmallInitial),
        from_1("small Initial with our id", long(INITIAL, 1, &our_id(), 60), PassEstablished),
        from_1("small Initial without an id", long(INITIAL, 1, &[], 100), SmallInitial),
        from_1("Initial with the longest id", long(INITIAL, 1, &[1; 20], 1200), PassUnproven),
        from_1("Initial with an id too long", long(INITIAL, 1, &[1; 21], 1200), Malformed),
        from_1("id that ends with the datagram", long(HANDSHAKE, 1, &[1; 18], 25), PassUnproven),
        from_1("id that ends behind the datagram", long(HANDSHAKE, 1, &[1; 19], 25), Malformed),
        from_1("Handshake with our id", long(HANDSHAKE, 1, &our_id(), 60), PassEstablished),
        from_1("Handshake with another id", long(HANDSHAKE, 1, &OTHER_ID, 60), PassUnproven),
        from_1("our id cut to seven bytes", long(HANDSHAKE, 1, &our_id()[..7], 60), PassUnproven),
        from_1(
            "our id at the start of a longer one",
            {
                let id = [&our_id()[..], &[0]].concat();
                long(HANDSHAKE, 1, &id, 60)
            },
            PassUnproven,
        ),
        from_1("0-RTT under 1200 bytes", long(0xd0, 1, &[1; 8], 100), PassUnproven),
        from_1("Retry", long(0xf0, 1, &[1; 8], 100), PassUnproven),
        from_1("version negotiation", long(0x80, 0, &our_id(), 40), PassEstablished),
        from_1("version negotiation for another", long(0x80, 0, &OTHER_ID, 40), PassUnproven),
        from_1("version 2", long(INITIAL, 0x6b33_43cf, &[1; 8], 1200), Version),
        from_1("version 1 written backwards", long(INITIAL, 0x0100_0000, &[1; 8], 1200), Version),
        from_1("unknown version with our id", long(HANDSHAKE, 2, &our_id(), 60), Version),
        case(
            "id with any bit flipped is not ours",
            (0..64)
                .flat_map(|bit| {
                    let mut id = our_id();
                    id[bit / 8] ^= 1 << (bit % 8);
                    [At(1000 * bit as u64), Arrives(one(PEER_1, short(id, 50)), PassUnproven)]
                })
                .collect(),
        ),
    ]
}

fn quarantines() -> Vec<Case> {
    vec![
        case(
            "quarantine shuts one peer out until its time",
            vec![
                sends(PEER_1, PassEstablished),
                Quarantine(1, 5000),
                At(1000),
                sends(PEER_1, Quarantined),
                sends(PEER_2, PassEstablished),
                Arrives(one(PEER_1, long(INITIAL, 1, &[1; 8], 1200)), Quarantined),
                Arrives(one(PEER_1, vec![]), Quarantined),
                At(4999),
                sends(PEER_1, Quarantined),
                At(5000),
                sends(PEER_1, PassEstablished),
            ],
        ),
        case(
            "quarantine holds for every address of the peer",
            vec![
                Quarantine(4, 5000),
                sends("192.0.2.4:7004", Quarantined),
                sends("[2001:db8::4]:7004", Quarantined),
            ],
        ),
        case(
            "lifting restores at once",
            vec![Quarantine(2, 5000), sends(PEER_2, Quarantined), Release(2), sends(PEER_2, PassEstablished)],
        ),
        case(
            "later quarantine replaces the earlier",
            vec![
                Quarantine(1, 5000),
                Quarantine(1, 1000),
                At(999),
                sends(PEER_1, Quarantined),
                At(1000),
                sends(PEER_1, PassEstablished),
            ],
        ),
        case(
            "quarantined packets cost no rate",
            [
                vec![Quarantine(1, 50)],
                vec![sends(PEER_1, Quarantined); 9],
                vec![At(50)],
                vec![sends(PEER_1, PassEstablished); 4],
            ]
            .concat(),
        ),
    ]
}

fn rates() -> Vec<Case> {
    let initial = || Arrives(one(PEER_1, long(INITIAL, 1, &[1; 8], 1200)), PassUnproven);
    let flood = || Arrives(one(PEER_1, long(INITIAL, 1, &[1; 8], 1200)), FloodUnproven);
    vec![
        case(
            "established: a burst, then one each interval",
            vec![
                sends(PEER_1, PassEstablished),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, FloodEstablished),
                At(99),
                sends(PEER_1, FloodEstablished),
                At(100),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, FloodEstablished),
                sends(PEER_2, PassEstablished),
            ],
        ),
        case(
            "flood of unproven packets leaves established traffic alone",
            vec![
                initial(),
                initial(),
                flood(),
                flood(),
                sends(PEER_1, PassEstablished),
                At(499),
                flood(),
                At(500),
                initial(),
                flood(),
            ],
        ),
        case(
            "established flood leaves the first flights alone",
            [
                vec![sends(PEER_1, PassEstablished); 4],
                vec![sends(PEER_1, FloodEstablished); 3],
                vec![initial()],
            ]
            .concat(),
        ),
        case(
            "idle bucket fills up to its burst and no further",
            [
                vec![sends(PEER_1, PassEstablished); 4],
                vec![At(3_600_000)],
                vec![sends(PEER_1, PassEstablished); 4],
                vec![sends(PEER_1, FloodEstablished)],
            ]
            .concat(),
        ),
        case(
            "malformed packets cost no rate",
            [vec![Arrives(one(PEER_1, vec![0x40; 5]), Malformed); 9], vec![initial(), initial(), flood()]]
                .concat(),
        ),
        case(
            "two addresses of one peer share its buckets",
            vec![
                sends("192.0.2.4:7004", PassEstablished),
                sends("[2001:db8::4]:7004", PassEstablished),
                sends("192.0.2.4:7004", PassEstablished),
                sends("[2001:db8::4]:7004", PassEstablished),
                sends("192.0.2.4:7004", FloodEstablished),
            ],
        ),
        case(
            "tightened peer has its rates divided, others do not",
            vec![
                Tighten(1, 2),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, FloodEstablished),
                initial(),
                flood(),
                sends(PEER_2, PassEstablished),
                sends(PEER_2, PassEstablished),
                sends(PEER_2, PassEstablished),
                At(200),
                sends(PEER_1, PassEstablished),
                Tighten(1, 1),
                sends(PEER_1, FloodEstablished),
                At(300),
                sends(PEER_1, PassEstablished),
            ],
        ),
        case(
            "peer tightened beyond its burst still gets one packet through",
            vec![
                Tighten(1, 100),
                sends(PEER_1, PassEstablished),
                At(9_999),
                sends(PEER_1, FloodEstablished),
                At(10_000),
                sends(PEER_1, PassEstablished),
            ],
        ),
    ]
}

/// Datagrams that the kernel joined. XDP sees them as one.
pub(super) fn batches() -> Vec<Case> {
    let batch = |count: usize, bytes| joined(PEER_1, &vec![short(our_id(), bytes); count]);
    vec![
        case(
            "joined datagrams count and cost one by one",
            vec![
                Arrives(batch(3, 300), PassEstablished),
                Arrives(batch(2, 300), FloodEstablished),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, FloodEstablished),
            ],
        ),
        case(
            "last datagram of a batch may be shorter",
            vec![
                Arrives(
                    joined(PEER_1, &[short(our_id(), 300), short(our_id(), 300), vec![1]]),
                    PassEstablished,
                ),
                sends(PEER_1, PassEstablished),
                sends(PEER_1, FloodEstablished),
            ],
        ),
        case(
            "batch beyond the burst passes an idle bucket and is owed",
            vec![
                Arrives(batch(8, 300), PassEstablished),
                At(799),
                Arrives(batch(8, 300), FloodEstablished),
                At(800),
                Arrives(batch(8, 300), PassEstablished),
            ],
        ),
        case(
            "Initials are measured one by one, not as a batch",
            vec![
                Arrives(joined(PEER_1, &vec![long(INITIAL, 1, &[1; 8], 1199); 2]), SmallInitial),
                Arrives(joined(PEER_1, &vec![long(INITIAL, 1, &[1; 8], 1200); 2]), PassUnproven),
            ],
        ),
        case(
            "unknown source's batch is counted one by one",
            vec![Arrives(joined("192.0.2.9:9", &vec![short(OTHER_ID, 100); 5]), UnknownSource)],
        ),
    ]
}

/// Whether a step's packet is several datagrams.
pub(super) fn is_batch(case: &Case) -> bool {
    case.steps.iter().any(|step| matches!(step, Arrives(packet, _) if packet.stride != 0))
}
