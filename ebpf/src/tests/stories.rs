//! Stories that chance tells: any packet from anybody at any time, with quarantines and tighter rates in between. The twin
//! and the kernel's programs must give the same verdicts and end with the same counters.

use super::{
    Case, Packet, Step, compare_with_twin,
    datagrams::{OTHER_ID, long, our_id, short},
    judges::{AtInterface, Judge, OnSocket},
    namespace::privileged,
    with_addresses,
};
use crate::{Kind, Verdict};

/// Chance that is the same at every run (Marsaglia 2003, xorshift).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn datagram(&mut self) -> Vec<u8> {
        let id = self.of(&[our_id(), our_id(), our_id(), OTHER_ID]);
        let long_id = match self.below(3) {
            0 => id.to_vec(),
            1 => vec![3; self.below(25)],
            _ => [&id[..], &[0]].concat(),
        };
        let first = self.of(&[0xc0, 0xc3, 0x80, 0xd0, 0xe0, 0xf0]);
        let version = self.of(&[0, 1, 1, 1, 1, 2, 0x6b33_43cf, 0x0100_0000]);
        let bytes = self.of(&[0, 1, 8, 20, 21, 22, 26, 27, 28, 60, 1199, 1200, 1201]);
        let mut datagram = match self.below(3) {
            0 => short(id, bytes),
            1 => long(first, version, &long_id, bytes),
            _ => (0..bytes).map(|_| self.below(256) as u8).collect(),
        };
        if let Some(last) = datagram.len().checked_sub(1)
            && self.below(4) == 0
        {
            let at = self.below(last.min(30) + 1);
            datagram[at] ^= 1 << self.below(8);
        }
        datagram
    }

    fn packet(&mut self, batches: bool) -> Packet {
        let from = self.of(&[
            "192.0.2.1:7001",
            "192.0.2.1:7001",
            "[2001:db8::2]:7002",
            "192.0.2.3:9999",
            "192.0.2.4:7004",
            "[2001:db8::4]:7004",
            "192.0.2.9:7001",
            "[2001:db8::9]:7002",
            "192.0.2.1:7003",
        ]);
        let first = self.datagram();
        let (mut datagrams, mut stride) = (first.clone(), 0);
        if batches && (20..600).contains(&first.len()) && self.below(3) == 0 {
            stride = first.len();
            (0..=self.below(4)).for_each(|_| datagrams.extend(&first));
            datagrams.truncate(datagrams.len() - self.below(stride));
        }
        Packet { from: from.parse().unwrap(), datagrams, stride }
    }

    /// The verdicts in it are the twin's business.
    fn story(&mut self, batches: bool) -> Case {
        let mut now = 0;
        let step = |_| match self.below(12) {
            0 | 1 => {
                now += self.of(&[1, 50, 100, 500, 2000]);
                Step::At(now)
            }
            2 if self.below(3) == 0 => {
                Step::Quarantine(self.below(4) as u8 + 1, now + self.below(1000) as u64)
            }
            3 if self.below(3) == 0 => Step::Release(self.below(4) as u8 + 1),
            4 if self.below(3) == 0 => Step::Tighten(self.below(4) as u8 + 1, self.of(&[1, 2, 7, 1000])),
            _ => Step::Arrives(self.packet(batches), Verdict::PassEstablished),
        };
        Case { name: "told by chance", steps: (0..STEPS).map(step).collect() }
    }
}

fn tell(judge: &mut dyn Judge, who: &str, batches: bool) {
    let mut chance = Chance(0x7a1e);
    let mut given = std::collections::BTreeSet::new();
    for _ in 0..STORIES {
        given.extend(compare_with_twin(&chance.story(batches), judge, who));
    }
    assert_eq!(given.len(), Verdict::ALL.len() - 1, "chance gets around, fragments aside: {given:?}");
}

#[test]
fn program_at_ingress_and_twin_agree_on_stories_of_chance() {
    if privileged() {
        tell(&mut AtInterface::new(Kind::Tc), "tc", true);
    }
}

#[test]
fn program_at_driver_and_twin_agree_on_stories_of_chance() {
    if privileged() {
        tell(&mut AtInterface::new(Kind::Xdp), "xdp", false);
    }
}

#[test]
fn program_on_socket_and_twin_agree_on_stories_of_chance() {
    if privileged() {
        with_addresses().run(|| tell(&mut OnSocket::new(), "socket", true));
    }
}

const STORIES: usize = 25;
const STEPS: usize = 150;
