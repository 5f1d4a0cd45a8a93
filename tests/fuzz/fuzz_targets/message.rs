//! Messages of replicas. Three honest ones agree on things while the fourth says whatever the bytes are, over its own channel and under its own
//! signature: nothing panics, nobody but the fourth is blamed, and no two decide differently.
#![no_main]

use std::collections::{BTreeMap, VecDeque};

use certificate::codec::{Decode, Encode};
use certificate::{Digest, Domain, Epoch, OperationKind, ReplicaId, Replicas, Signature};
use pbft::{
    Application, Counted, Event, Keyring, Message, Now, Operation, Parameters, Ready, Recipients, Replica,
    Standing,
};

const LIAR: ReplicaId = ReplicaId(3);
const WALL_MS: u64 = 1_800_000_000_000;
/// Enough for several view changes.
const STEPS_MAX: usize = 1500;
/// How many messages of others the liar can say again.
const HEARD_MAX: usize = 256;

/// Agrees on bytes: a leaf lists who saw what. Bytes that begin with 255 are no observation.
struct Bytes;

impl Application for Bytes {
    fn check(&self, _: &Operation, _: ReplicaId, payload: &[u8]) -> bool {
        payload.first().is_some_and(|first| *first != 255)
    }

    fn settled(&self, _: &Operation, observations: &[Counted<'_>]) -> bool {
        observations.len() >= 3
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        let mut leaf = operation.to_bytes();
        for counted in observations {
            leaf.push(counted.replica.0);
            leaf.extend_from_slice(counted.payload);
        }
        leaf
    }
}

/// A signature of the honest is a digest that nobody finds. The liar signs everything: whatever stands there is its signature.
struct Keys(ReplicaId);

fn signature_of(replica: ReplicaId, preimage: &[u8]) -> Signature {
    let half = Digest::of_parts(&[b"secret", &[replica.0], preimage]);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&half.0);
    bytes[32..].copy_from_slice(&half.0);
    Signature(bytes)
}

impl Keyring for Keys {
    fn sign(&self, preimage: &[u8]) -> Signature {
        signature_of(self.0, preimage)
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        replica == LIAR || signature_of(replica, preimage) == *signature
    }
}

/// The honest replicas, and what is on its way between them.
struct World {
    replicas: Vec<Replica<Bytes, Keys>>,
    now_ms: u64,
    steps: usize,
    events: VecDeque<(usize, Event)>,
    /// What the liar was told.
    heard: Vec<Message>,
    decided: BTreeMap<u64, Digest>,
}

impl World {
    fn new() -> World {
        let domain = Domain { cluster_id: Digest::of(b"cluster"), epoch: Epoch(1) };
        let four = Replicas::new(4, 1).expect("four replicas bear one that lies");
        let replicas = (0..3).map(|id| {
            let mut parameters = Parameters::new(ReplicaId(id), four, domain, Digest::of(b"cluster file"));
            // Small, so that checkpoints are reached.
            (parameters.checkpoint_interval, parameters.window) = (4, 8);
            Replica::new(parameters, Bytes, Keys(ReplicaId(id)))
        });
        let mut world = World {
            replicas: replicas.collect(),
            now_ms: 1000,
            steps: 0,
            events: VecDeque::new(),
            heard: Vec::new(),
            decided: BTreeMap::new(),
        };
        for (to, from) in (0..3).flat_map(|to| (0..4).map(move |from| (to, from))) {
            if to != usize::from(from) {
                world.events.push_back((to, Event::Connected(ReplicaId(from))));
            }
        }
        world
    }

    /// Runs until nothing is on its way.
    fn settle(&mut self) {
        while let Some((at, event)) = self.events.pop_front() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return self.events.clear();
            }
            let now = Now { wall_ms: WALL_MS + self.now_ms, monotonic_ms: self.now_ms };
            let ready = self.replicas[at].step(now, event);
            self.take(at, ready);
        }
    }

    fn take(&mut self, at: usize, ready: Ready) {
        let me = ReplicaId(at as u8);
        for fault in &ready.faults {
            assert!(fault.replica().is_none_or(|blamed| blamed == LIAR), "replica {me} blames: {fault}");
        }
        for slot in &ready.decided {
            let digest = slot.header.digest();
            let first = *self.decided.entry(slot.header.sequence.0).or_insert(digest);
            assert_eq!(first, digest, "two decisions of slot {}", slot.header.sequence);
        }
        assert_ne!(self.replicas[at].status().standing, Standing::Diverged);
        for (recipients, message) in ready.send {
            for to in (0..4).map(ReplicaId).filter(|to| *to != me) {
                if recipients == Recipients::All || recipients == Recipients::One(to) {
                    self.tell(me, to, message.clone());
                }
            }
        }
        for lookup in ready.lookups {
            let time_ms = WALL_MS + self.now_ms;
            let event = Event::Observed { operation: lookup.digest, time_ms, payload: b"seen".to_vec() };
            self.events.push_back((at, event));
        }
    }

    fn tell(&mut self, from: ReplicaId, to: ReplicaId, message: Message) {
        if to != LIAR {
            self.events.push_back((usize::from(to.0), Event::Message { from, message }));
        } else if self.heard.len() < HEARD_MAX {
            self.heard.push(message);
        }
    }

    /// The liar says something, if it is a message at all.
    fn lie(&mut self, to: u8, bytes: &[u8]) {
        let Ok(message) = Message::from_bytes(bytes) else { return };
        assert_eq!(message.to_bytes(), bytes);
        for honest in (0..3).filter(|honest| to & 3 == 3 || to & 3 == *honest) {
            self.tell(LIAR, ReplicaId(honest), message.clone());
        }
    }

    /// Takes an order from the front of `script`: what happens next.
    fn obey(&mut self, script: &mut &[u8]) -> Option<()> {
        let &order = script.split_off_first()?;
        let (to, &first) = (order & 3, script.split_off_first()?);
        match order >> 2 & 3 {
            // Bytes of its own.
            0 => {
                let length = usize::from(u16::from_be_bytes([first, *script.split_off_first()?]));
                let bytes = script.split_off(..length.min(script.len()))?;
                self.lie(to, bytes);
            }
            // What it heard, a few bytes changed.
            1 => {
                let mut bytes = self.heard.iter().rev().nth(usize::from(first))?.to_bytes();
                for _ in 0..*script.split_off_first()? & 7 {
                    let [high, low, value] = *script.split_off(..3)? else { return None };
                    let at = usize::from(u16::from_be_bytes([high, low]));
                    *bytes.get_mut(at)? = value;
                }
                self.lie(to, &bytes);
            }
            2 => {
                let operation = Operation { kind: OperationKind::Resolve, subject: vec![first & 7] };
                self.events.push_back((usize::from(to % 3), Event::Request(operation)));
            }
            _ => {
                self.now_ms += 8 * u64::from(first);
                self.events.extend((0..3).map(|at| (at, Event::Tick)));
            }
        }
        self.settle();
        Some(())
    }
}

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let (mut world, mut script) = (World::new(), script);
    world.settle();
    while world.obey(&mut script).is_some() && world.steps <= STEPS_MAX {}
});
