//! Several slots in a pipeline, view changes that leave out what is decided below their base, and null slots: our deviation from
//! Castro & Liskov 1999 §4.4, where view changes reach back to the stable checkpoint.
//!
//! A replica votes for a slot only when it has executed all that are a pipeline or more before it. So the commit certificate of a slot
//! proves those decided, and a view change need not speak of them: its base is the highest of its stable checkpoint and of its decided slot less
//! the pipeline, and it speaks of two pipelines behind it. A new view begins behind the highest base of its view changes.
//!
//! The model claims, in every state:
//! - no slot is decided as two digests, by commits or by a fast quorum of votes;
//! - every slot is decided up to every base that anybody can prove. Otherwise a new view could begin behind a slot that nobody can execute.
//!
//! It allows more than the protocol does: a replica knows all that is decided when it votes, but when it says its base only what its own votes
//! show that it knows (the primary of a new view signs before it has executed: then what its view began with). What it votes for in one slot
//! need not follow from the same new view as in another. A null slot may be anything when the null digest is not one of the digests.
//! In the last view, which no view change follows, COMMITs are not written down: those that can be sent count as sent.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use pbft::planted::Switch;

use super::search::{Folded, Model};
use super::step::{Step, letter};
use super::world::{Honest, SLOTS_MAX, Size, VIEWS_MAX, World};

mod product;
mod protocol;

use product::{Entry, Product, Said, entry, view_and_digest};
pub use protocol::{Protocol, Slip};

/// By slot and digest.
type Digests = [[bool; 4]; SLOTS_MAX];

/// What may be voted for in a new view.
#[derive(Clone, Default)]
struct Allowed {
    /// By slot and digest.
    digests: Digests,
    /// Those of them that the new view itself proposes.
    fixed: Digests,
    /// By slot and digest the view changes that allow it, for the trace.
    because: [[Vec<Said>; 4]; SLOTS_MAX],
}

/// All view changes of which a new view can be made.
struct Sources {
    honest: Vec<Said>,
    /// By slot: a base that a faulty one can prove from which it may speak of the slot.
    base: [Option<u8>; SLOTS_MAX],
    /// By slot: what a faulty one can show as prepared, a bit for each entry.
    prepared: [u16; SLOTS_MAX],
    view: usize,
}

impl Sources {
    /// All of it in 128 bits: no entry is above 9, no base above 3, and there are three honest replicas.
    fn key(&self) -> u128 {
        let mut key = (self.view as u128) << 2 | self.honest.len() as u128;
        for slot in 0..SLOTS_MAX {
            key = key << 2 | u128::from(self.base[slot].unwrap_or(3));
            key = key << 9 | u128::from(self.prepared[slot] >> 1);
        }
        for said in &self.honest {
            key = key << 2 | u128::from(said.base);
            for (prepared, voted) in said.slots {
                key = key << 8 | u128::from(prepared << 4 | voted);
            }
        }
        key
    }
}

/// The model.
pub struct SeveralSlots {
    protocol: Protocol,
    size: Size,
    product: Product,
    allowed: HashMap<u128, Allowed, BuildHasherDefault<Folded>>,
}

impl SeveralSlots {
    /// A model of the protocol.
    pub fn new(protocol: Protocol) -> SeveralSlots {
        let replicas = protocol.replicas;
        assert_eq!(replicas.faults(), 1, "one faulty replica speaks of one slot at a time");
        let honest = replicas.count() - replicas.faults();
        let named = usize::from(protocol.sleeper);
        let size = Size {
            honest,
            views: protocol.views,
            slots: protocol.slots,
            bases: true,
            forgetting: false,
            named,
        };
        size.assert_possible();
        SeveralSlots { protocol, size, product: Product::new(&protocol), allowed: HashMap::default() }
    }

    fn digests(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.protocol.digests
    }

    fn is_prepared(&self, world: &World, slot: usize, view: usize, digest: u8) -> bool {
        world.votes(slot, view, digest) + self.protocol.replicas.faults() >= self.protocol.replicas.quorum()
    }

    fn is_committed(&self, world: &World, slot: usize, view: usize, digest: u8) -> bool {
        if view + 1 == self.protocol.views {
            return self.is_prepared(world, slot, view, digest);
        }
        world.commits(slot, view, digest) + self.protocol.replicas.faults() >= self.protocol.replicas.quorum()
    }

    fn is_fast(&self, world: &World, slot: usize, view: usize, digest: u8) -> bool {
        world.votes(slot, view, digest) + self.protocol.replicas.faults()
            >= self.protocol.replicas.fast_quorum()
    }

    fn is_decided(&self, world: &World, slot: usize) -> bool {
        (0..self.protocol.views)
            .any(|view| self.digests().any(|digest| self.is_committed(world, slot, view, digest)))
    }

    /// How many slots from the first on can be executed.
    fn executed(&self, world: &World) -> usize {
        (0..self.protocol.slots).take_while(|slot| self.is_decided(world, *slot)).count()
    }

    /// The bases that a view change can prove, a bit for each.
    fn bases(&self, world: &World) -> u8 {
        let less = if self.protocol.slip == Some(Slip::BaseIsDecided) { 0 } else { self.protocol.pipeline };
        let decided = (0..self.protocol.slots).filter(|slot| self.is_decided(world, *slot));
        let bases = decided.map(|slot| (slot + 1).saturating_sub(less)).fold(1, |all, base| all | 1 << base);
        let stable = if self.protocol.checkpoints { self.executed(world) } else { 0 };
        (1..=stable).fold(bases, |all, base| all | 1 << base)
    }

    /// The lowest base that the honest replica can have, by what it executed before it voted and committed.
    fn least_base(&self, honest: &Honest, is_sleeper: bool) -> usize {
        let waits = self.protocol.slip != Some(Slip::NothingWaits);
        let forgets = is_sleeper && self.protocol.slip == Some(Slip::PrimaryForgetsWhatItSigned);
        let has_voted = |slot: &usize| match forgets {
            true => honest.commits[*slot].contains(&true),
            false => waits && honest.votes[*slot].iter().any(|vote| *vote != 0),
        };
        let last = (0..self.protocol.slots).rev().find(has_voted).map_or(0, |slot| slot + 1);
        last.saturating_sub(2 * self.protocol.pipeline)
    }

    /// Whether it sleeps through the first view.
    fn is_sleeper(&self, replica: usize) -> bool {
        self.protocol.sleeper && replica + 1 == self.size.honest
    }

    fn said(&self, honest: &Honest, view: usize) -> Said {
        let base = honest.bases[view];
        let mut said = Said { base: base as u8, ..Said::default() };
        for slot in base..self.protocol.slots.min(base + 2 * self.protocol.pipeline) {
            said.slots[slot] = (entry(honest.prepared(slot, view)), entry(honest.voted(slot, view)));
        }
        said
    }

    fn sources(&self, world: &World, view: usize) -> Sources {
        let senders = world.honest[..self.size.honest].iter().filter(|honest| honest.view >= view);
        let mut honest: Vec<Said> = senders.map(|honest| self.said(honest, view)).collect();
        honest.sort_unstable();
        let bases = self.bases(world);
        let (mut base, mut prepared) = ([None; SLOTS_MAX], [0; SLOTS_MAX]);
        for slot in 0..self.protocol.slots {
            let least = (slot + 1).saturating_sub(2 * self.protocol.pipeline);
            base[slot] = (least..=slot).find(|base| bases & 1 << base != 0).map(|base| base as u8);
            let entries = (0..view).flat_map(|view| self.digests().map(move |digest| (view, digest)));
            let provable = entries.filter(|(view, digest)| self.is_prepared(world, slot, *view, *digest));
            prepared[slot] = provable.fold(1, |all, provable| all | 1 << entry(Some(provable)));
        }
        Sources { honest, base, prepared, view }
    }

    /// What may be voted for in a view, by any choice of view changes.
    fn allowed(&mut self, world: &World, view: usize) -> &Allowed {
        let sources = self.sources(world, view);
        let key = sources.key();
        if !self.allowed.contains_key(&key) {
            let mut allowed = Allowed::default();
            self.gather(&sources, &mut Vec::new(), 0, &mut allowed);
            self.allowed.insert(key, allowed);
        }
        &self.allowed[&key]
    }

    /// Takes n-f honest view changes, or all but one honest and one of a faulty replica.
    fn gather(&self, sources: &Sources, taken: &mut Vec<Said>, next: usize, allowed: &mut Allowed) {
        let needed = self.protocol.replicas.view_change_quorum();
        if taken.len() == needed {
            return self.judge(sources.view, taken, 0..self.protocol.slots, allowed);
        }
        if taken.len() + 1 == needed {
            self.add_faulty(sources, taken, allowed);
        }
        for at in next..sources.honest.len() {
            taken.push(sources.honest[at]);
            self.gather(sources, taken, at + 1, allowed);
            taken.pop();
        }
    }

    /// Speaks of one slot at a time: what is chosen in the others does not depend on it.
    fn add_faulty(&self, sources: &Sources, taken: &mut Vec<Said>, allowed: &mut Allowed) {
        let mut judge = |said: Said, slots| {
            taken.push(said);
            self.judge(sources.view, taken, slots, allowed);
            taken.pop();
        };
        judge(Said::default(), 0..self.protocol.slots);
        for slot in 0..self.protocol.slots {
            let Some(base) = sources.base[slot] else { continue };
            let provable = (0..16).filter(|entry| sources.prepared[slot] & 1 << entry != 0);
            for prepared in provable {
                let votes =
                    (0..sources.view).flat_map(|view| self.digests().map(move |digest| (view, digest)));
                for voted in [None].into_iter().chain(votes.map(Some)) {
                    let mut said = Said { base, ..Said::default() };
                    said.slots[slot] = (prepared, entry(voted));
                    judge(said, slot..slot + 1);
                }
            }
        }
    }

    /// What these view changes allow in the slots.
    fn judge(&self, view: usize, taken: &[Said], slots: std::ops::Range<usize>, allowed: &mut Allowed) {
        let turns = if self.protocol.slip == Some(Slip::BaseOfOne) || self.protocol.switch != Switch::NONE {
            taken.len()
        } else {
            1
        };
        for turn in 0..turns {
            let mut turned = taken.to_vec();
            turned.rotate_left(turn);
            let Some(plan) = self.product.plan(view, &turned) else { continue };
            for slot in slots.clone() {
                let fixed = slot < plan.top().0 as usize;
                for digest in self.product.follow(&plan, slot).map(usize::from) {
                    if !allowed.digests[slot][digest] {
                        allowed.digests[slot][digest] = true;
                        allowed.because[slot][digest] = turned.clone();
                    }
                    allowed.fixed[slot][digest] |= fixed;
                }
            }
        }
    }

    /// Whether a replica has executed what it has to before it votes or sends COMMIT.
    fn has_waited(&self, world: &World, slot: usize) -> bool {
        let waits = self.protocol.slip != Some(Slip::NothingWaits);
        !waits || slot < self.executed(world) + self.protocol.pipeline
    }

    /// For what a replica in the view may vote.
    fn votable(&mut self, world: &World, view: usize, is_sleeper: bool) -> Digests {
        let mut digests = [[true; 4]; SLOTS_MAX];
        let mut fixed = [[false; 4]; SLOTS_MAX];
        if view > 0 {
            let allowed = self.allowed(world, view);
            (digests, fixed) = (allowed.digests, allowed.fixed);
        }
        if is_sleeper {
            return fixed;
        }
        for slot in (0..self.protocol.slots).filter(|slot| !self.has_waited(world, *slot)) {
            digests[slot] = [false; 4];
        }
        digests
    }

    fn steps_of(
        &mut self,
        world: &World,
        (replica, votable): (usize, Digests),
        bases: u8,
        steps: &mut Vec<(Step, u128)>,
    ) {
        let honest = world.honest[replica];
        let view = honest.view;
        let mut push = |step, change: &dyn Fn(&mut Honest)| {
            let mut after = *world;
            change(&mut after.honest[replica]);
            steps.push((step, self.size.pack(&after)));
        };
        if view + 1 < self.protocol.views {
            for base in (self.least_base(&honest, self.is_sleeper(replica))..=SLOTS_MAX)
                .filter(|base| bases & 1 << base != 0)
            {
                push(Step::ViewChange { replica, view: view + 1, base: Some(base) }, &|honest| {
                    honest.view += 1;
                    honest.bases[view + 1] = base;
                });
            }
        }
        for (slot, votable) in votable.iter().enumerate().take(self.protocol.slots) {
            let voted = honest.votes[slot][view];
            if voted == 0 {
                for digest in self.digests().filter(|digest| votable[usize::from(*digest)]) {
                    let step = Step::Vote { replica, slot: slot + 1, view, digest };
                    push(step, &|honest| honest.votes[slot][view] = digest);
                }
                continue;
            }
            let open = !honest.commits[slot][view] && view + 1 < self.protocol.views;
            if open && self.has_waited(world, slot) && self.is_prepared(world, slot, view, voted) {
                let step = Step::Commit { replica, slot: slot + 1, view, digest: voted };
                push(step, &|honest| honest.commits[slot][view] = true);
            }
        }
    }

    fn two_decisions(&self, world: &World, slot: usize) -> Option<String> {
        let mut decided: Option<(u8, usize)> = None;
        for view in 0..self.protocol.views {
            for digest in self.digests() {
                let is =
                    self.is_committed(world, slot, view, digest) || self.is_fast(world, slot, view, digest);
                match decided {
                    Some((first, before)) if is && first != digest => {
                        let (first, digest) = (letter(first), letter(digest));
                        let slot = slot + 1;
                        return Some(format!(
                            "slot {slot} decided {first} in view {before} and {digest} in view {view}"
                        ));
                    }
                    None if is => decided = Some((digest, view)),
                    _ => {}
                }
            }
        }
        None
    }
}

impl Model for SeveralSlots {
    type Step = Step;

    fn initial(&self) -> u128 {
        let replicas = self.protocol.replicas;
        let mut world = self.size.unpack(0);
        for honest in &mut world.honest[..replicas.quorum() - replicas.faults()] {
            for slot in 0..self.protocol.settled {
                (honest.votes[slot][0], honest.commits[slot][0]) = (1, true);
            }
        }
        self.size.pack(&world)
    }

    fn steps(&mut self, state: u128, steps: &mut Vec<(Step, u128)>) {
        let world = self.size.unpack(state);
        let bases = self.bases(&world);
        let mut votable = [None; VIEWS_MAX];
        for replica in 0..self.size.honest {
            let honest = &world.honest[replica];
            if self.is_sleeper(replica) {
                let votable = self.votable(&world, honest.view, true);
                self.steps_of(&world, (replica, votable), bases, steps);
            } else if !world.honest[..replica].contains(honest) {
                let votable =
                    *votable[honest.view].get_or_insert_with(|| self.votable(&world, honest.view, false));
                self.steps_of(&world, (replica, votable), bases, steps);
            }
        }
    }

    fn canonical(&self, state: u128) -> u128 {
        self.size.canonical(state)
    }

    fn violation(&self, state: u128) -> Option<String> {
        let world = self.size.unpack(state);
        let (executed, bases) = (self.executed(&world), self.bases(&world));
        let base = (executed + 1..8).find(|base| bases & 1 << base != 0);
        let unproven = base
            .map(|base| format!("a view change can prove base {base}, slot {} is not decided", executed + 1));
        (0..self.protocol.slots).find_map(|slot| self.two_decisions(&world, slot)).or(unproven)
    }

    fn reason(&mut self, state: u128, step: &Step) -> Option<String> {
        let Step::Vote { slot, view, digest, .. } = *step else { return None };
        if view == 0 {
            return None;
        }
        let world = self.size.unpack(state);
        let because = self.allowed(&world, view).because[slot - 1][usize::from(digest)].clone();
        let of = |entry: Entry| match view_and_digest(entry) {
            None => "-".to_owned(),
            Some((view, digest)) => format!("{}@{view}", letter(digest)),
        };
        let says = because.iter().map(|said| {
            let (prepared, voted) = said.slots[slot - 1];
            format!("base {} P {} Q {}", said.base, of(prepared), of(voted))
        });
        Some(format!("new view from {}", says.collect::<Vec<_>>().join(", ")))
    }
}
