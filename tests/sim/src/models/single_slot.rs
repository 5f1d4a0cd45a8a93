//! One slot through several views, decided by commits or by a fast quorum of votes: are two digests ever decided?
//!
//! n-f honest replicas and f faulty ones who equivocate, vote for everything, and lie in view changes as far as signatures allow: a prepared
//! certificate must exist, a vote need not, for the primary of every view may be faulty. Whoever is primary computes a new view from
//! any n-f view changes, and may tell one replica this and the other that; honest replicas vote for what they recompute. A view change
//! may leave the slot out when it is decided (what the base of a view change does), and carry the slot's commit certificate instead
//! of what its sender prepared.

use std::collections::HashMap;

use certificate::{Digest, View};
use pbft::select::Claim;

use super::rule::Choice;
use super::search::Model;
use super::step::{Step, letter};
use super::world::{Honest, Size, World};

mod protocol;

pub use protocol::{Bases, Protocol, Slip};

/// What a view change says about the slot, in a form that is quickly compared: 0 or 1 + 3 view + digest - 1, prepared times 16 plus voted.
/// [`LEFT_OUT`] when it says nothing because the slot is decided.
type Said = u16;
const LEFT_OUT: Said = 1 << 8;

/// What may be voted for in a new view.
#[derive(Clone, Default)]
struct Allowed {
    /// By digest.
    digests: [bool; 4],
    /// By digest the view changes that allow it, for the trace.
    because: [Vec<Said>; 4],
}

/// The model.
pub struct SingleSlot {
    protocol: Protocol,
    size: Size,
    chosen: HashMap<Vec<Said>, Choice>,
    allowed: HashMap<u128, Allowed>,
}

/// All view changes of which a new view can be made.
struct Sources {
    /// Of each honest replica that sent one, what it may say.
    honest: Vec<Vec<Said>>,
    /// What a faulty one may say.
    faulty: Vec<Said>,
}

impl SingleSlot {
    /// A model of the protocol.
    pub fn new(protocol: Protocol) -> SingleSlot {
        let size = protocol.size();
        size.assert_possible();
        SingleSlot { protocol, size, chosen: HashMap::new(), allowed: HashMap::new() }
    }

    fn digests(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.protocol.digests
    }

    fn faults(&self) -> usize {
        self.protocol.replicas.faults()
    }

    /// Whether somebody can hold a prepared certificate.
    fn is_prepared(&self, world: &World, view: usize, digest: u8) -> bool {
        world.votes(0, view, digest) + self.faults() >= self.protocol.quorum
    }

    fn is_committed(&self, world: &World, view: usize, digest: u8) -> bool {
        let commits = match self.protocol.slip {
            Some(Slip::CommitsSummed) => {
                let in_any = |honest: &&Honest| {
                    (0..self.protocol.views)
                        .any(|view| honest.commits[0][view] && honest.votes[0][view] == digest)
                };
                world.honest.iter().filter(in_any).count()
            }
            _ => world.commits(0, view, digest),
        };
        commits > 0 && commits + self.faults() >= self.protocol.quorum
    }

    fn is_fast(&self, world: &World, view: usize, digest: u8) -> bool {
        let enough = |quorum| world.votes(0, view, digest) + self.faults() >= quorum;
        self.protocol.fast_quorum.is_some_and(enough)
    }

    fn is_decided_by_commits(&self, world: &World) -> bool {
        (0..self.protocol.views)
            .any(|view| self.digests().any(|digest| self.is_committed(world, view, digest)))
    }

    fn sources(&self, world: &World, view: usize) -> Sources {
        let below = || (0..view).flat_map(|view| self.digests().map(move |digest| (view, digest)));
        let certificates: Vec<_> =
            below().filter(|(view, digest)| self.is_committed(world, *view, *digest)).collect();
        let senders = world.honest[..self.size.honest].iter().filter(|honest| honest.view >= view);
        let honest = senders.map(|honest| {
            if honest.bases[view] > 0 {
                return vec![LEFT_OUT];
            }
            let (prepared, voted) = (honest.prepared(0, view), honest.voted(0, view));
            let newer = certificates.iter().filter(|(of, _)| prepared.is_none_or(|(view, _)| *of > view));
            let alternatives = [prepared].into_iter().chain(newer.map(|entry| Some(*entry)));
            alternatives.map(|prepared| said(prepared, voted)).collect()
        });
        let provable = below().filter(|(view, digest)| self.is_prepared(world, *view, *digest)).map(Some);
        let provable: Vec<_> = [None].into_iter().chain(provable).collect();
        let voted: Vec<_> = [None].into_iter().chain(below().map(Some)).collect();
        let faulty = provable.iter().flat_map(|prepared| voted.iter().map(|voted| said(*prepared, *voted)));
        let mut honest: Vec<Vec<Said>> = honest.collect();
        honest.sort_unstable();
        Sources { honest, faulty: faulty.collect() }
    }

    /// What may be voted for in a view, by any choice of view changes.
    fn allowed(&mut self, world: &World, view: usize) -> Allowed {
        if view == 0 || self.protocol.slip == Some(Slip::NewViewUnchecked) {
            let mut allowed = Allowed::default();
            self.digests().for_each(|digest| allowed.digests[usize::from(digest)] = true);
            return allowed;
        }
        let sources = self.sources(world, view);
        let key = self.key(&sources, view);
        if let Some(allowed) = self.allowed.get(&key) {
            return allowed.clone();
        }
        let mut allowed = Allowed::default();
        self.gather(&sources, (0, 0), &mut Vec::new(), &mut allowed);
        self.allowed.insert(key, allowed.clone());
        allowed
    }

    /// All that [`Self::gather`] depends on: what honest replicas say, 9 bits each, and which certificates there are.
    fn key(&self, sources: &Sources, view: usize) -> u128 {
        let mut key = view as u128;
        for honest in &sources.honest {
            key = key << 9 | u128::from(honest[0]);
        }
        let mut provable = 0u128;
        for said in &sources.faulty {
            provable |= 1 << (said >> 4);
        }
        let mut carried = 0u128;
        for honest in &sources.honest {
            honest[1..].iter().for_each(|said| carried |= 1 << (said >> 4));
        }
        ((key << 3 | sources.honest.len() as u128) << 10 | provable) << 10 | carried
    }

    /// Adds one view change after the other, first the honest ones, until there are enough.
    fn gather(
        &mut self,
        sources: &Sources,
        (honest, faulty): (usize, usize),
        taken: &mut Vec<Said>,
        allowed: &mut Allowed,
    ) {
        if taken.len() >= self.protocol.view_changes {
            self.judge(taken, allowed);
        }
        if taken.len() == self.protocol.view_changes_most {
            return;
        }
        for (at, alternatives) in sources.honest.iter().enumerate().skip(honest).filter(|_| faulty == 0) {
            for said in alternatives {
                taken.push(*said);
                self.gather(sources, (at + 1, 0), taken, allowed);
                taken.pop();
            }
        }
        if faulty < self.faults() {
            for said in &sources.faulty {
                taken.push(*said);
                self.gather(sources, (honest, faulty + 1), taken, allowed);
                taken.pop();
            }
        }
    }

    /// What these view changes allow.
    fn judge(&mut self, taken: &[Said], allowed: &mut Allowed) {
        let proposed = match self.protocol.bases {
            Bases::HighestOfSome => taken.iter().filter(|said| **said != LEFT_OUT).count() >= self.faults(),
            Bases::None | Bases::HighestOfAll => !taken.contains(&LEFT_OUT),
        };
        if !proposed {
            return;
        }
        let mut sorted = taken.to_vec();
        sorted.sort_unstable();
        let choice = *self.chosen.entry(sorted).or_insert_with(|| {
            let claims: Vec<Claim> = taken.iter().map(|said| claim(*said)).collect();
            self.protocol.rule.choose(self.protocol.threshold, &claims)
        });
        let digests = match choice {
            Choice::Conflict => return,
            Choice::Of(Some(digest)) => digest.0[0]..=digest.0[0],
            // A null slot, or a primary that is free to propose when nothing behind the slot was voted for.
            Choice::Of(None) => 1..=self.protocol.digests,
        };
        for digest in digests.map(usize::from) {
            if !allowed.digests[digest] {
                allowed.digests[digest] = true;
                allowed.because[digest] = taken.to_vec();
            }
        }
    }

    fn steps_of(&mut self, world: &World, replica: usize, steps: &mut Vec<(Step, u128)>) {
        let honest = world.honest[replica];
        let view = honest.view;
        let mut push = |step, change: &dyn Fn(&mut Honest)| {
            let mut after = *world;
            change(&mut after.honest[replica]);
            steps.push((step, self.size.pack(&after)));
        };
        if view + 1 < self.protocol.views {
            let may_leave_out = self.protocol.bases != Bases::None && self.is_decided_by_commits(world);
            for base in 0..=usize::from(may_leave_out) {
                let step =
                    Step::ViewChange { replica, view: view + 1, base: self.size.bases.then_some(base) };
                push(step, &|honest| {
                    honest.view += 1;
                    honest.bases[view + 1] = base;
                });
            }
        }
        let voted = honest.votes[0][view];
        if voted != 0 && !honest.commits[0][view] && self.is_prepared(world, view, voted) {
            let step = Step::Commit { replica, slot: 1, view, digest: voted };
            push(step, &|honest| honest.commits[0][view] = true);
        }
        if voted != 0 && self.protocol.slip == Some(Slip::Forgets) {
            push(Step::Forget { replica, view }, &|honest| {
                honest.forgotten_votes[view] |= 1 << (voted - 1);
                honest.forgotten_commits[view] |= u8::from(honest.commits[0][view]) << (voted - 1);
                (honest.votes[0][view], honest.commits[0][view]) = (0, false);
            });
        }
        if self.protocol.slip == Some(Slip::VotesAfterViewChange) && view == 1 && honest.votes[0][0] == 0 {
            for digest in self.digests().filter(|_| honest.forgotten_votes[0] == 0) {
                let step = Step::Vote { replica, slot: 1, view: 0, digest };
                push(step, &|honest| honest.forgotten_votes[0] |= 1 << (digest - 1));
            }
        }
        if voted == 0 {
            let allowed = self.allowed(world, view).digests;
            for digest in self.digests().filter(|digest| allowed[usize::from(*digest)]) {
                let mut after = *world;
                after.honest[replica].votes[0][view] = digest;
                steps.push((Step::Vote { replica, slot: 1, view, digest }, self.size.pack(&after)));
            }
        }
    }
}

impl Model for SingleSlot {
    type Step = Step;

    fn initial(&self) -> u128 {
        0
    }

    fn steps(&mut self, state: u128, steps: &mut Vec<(Step, u128)>) {
        let world = self.size.unpack(state);
        for replica in 0..self.size.honest {
            if !world.honest[..replica].contains(&world.honest[replica]) {
                self.steps_of(&world, replica, steps);
            }
        }
    }

    fn canonical(&self, state: u128) -> u128 {
        self.size.canonical(state)
    }

    fn violation(&self, state: u128) -> Option<String> {
        let world = self.size.unpack(state);
        let mut decided: Vec<(u8, String)> = Vec::new();
        for view in 0..self.protocol.views {
            for digest in self.digests() {
                let how = match () {
                    () if self.is_committed(&world, view, digest) => "commits",
                    () if self.is_fast(&world, view, digest) => "votes alone",
                    () => continue,
                };
                decided.push((digest, format!("{} by {how} of view {view}", letter(digest))));
            }
        }
        let (first, one) = decided.first()?;
        let (_, other) = decided.iter().find(|(digest, _)| digest != first)?;
        Some(format!("decided {one} and {other}"))
    }

    fn reason(&mut self, state: u128, step: &Step) -> Option<String> {
        let Step::Vote { view, digest, .. } = *step else { return None };
        let world = self.size.unpack(state);
        let because = self.allowed(&world, view).because[usize::from(digest)].clone();
        let says = |said: &Said| match *said {
            LEFT_OUT => "decided".to_owned(),
            said => {
                let entry = |code: u16| match code {
                    0 => "-".to_owned(),
                    code => format!("{}@{}", letter(((code - 1) % 3) as u8 + 1), (code - 1) / 3),
                };
                format!("P {} Q {}", entry(said >> 4), entry(said & 15))
            }
        };
        let because: Vec<String> = because.iter().map(says).collect();
        (!because.is_empty()).then(|| format!("new view from {}", because.join(", ")))
    }
}

fn said(prepared: Option<(usize, u8)>, voted: Option<(usize, u8)>) -> Said {
    let code =
        |entry: Option<(usize, u8)>| entry.map_or(0, |(view, digest)| 3 * view as u16 + u16::from(digest));
    code(prepared) << 4 | code(voted)
}

fn claim(said: Said) -> Claim {
    if said == LEFT_OUT {
        return Claim::default();
    }
    let entry = |code: u16| {
        code.checked_sub(1).map(|code| (View(u64::from(code / 3)), Digest([(code % 3) as u8 + 1; 32])))
    };
    Claim { prepared: entry(said >> 4), voted: entry(said & 15) }
}
