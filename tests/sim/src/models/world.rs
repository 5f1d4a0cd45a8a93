//! What the honest replicas of a model did, packed into 128 bits, and the counting of votes.
//!
//! The network is a heap of all that was ever sent: a replica may see any part of it at any time. So an honest replica's history is all
//! there is to know: in which view it is, for what it voted in which, whether it sent COMMIT, and up to where each of its view changes
//! keeps silent because all that is decided. Faulty replicas have no state: their vote counts everywhere, and in a view change they say
//! whatever honest signatures allow.

/// Most views of a model.
pub const VIEWS_MAX: usize = 4;
/// Most slots of a model.
pub const SLOTS_MAX: usize = 3;
/// Most honest replicas of a model.
pub const HONEST_MAX: usize = 5;
/// The number that stands for the digest of a null slot. Those of proposals are 1 and 2; 0 is none.
pub const NULL: u8 = 3;

/// How many of what a model has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Honest replicas.
    pub honest: usize,
    /// Views.
    pub views: usize,
    /// Slots.
    pub slots: usize,
    /// Whether view changes have a base.
    pub bases: bool,
    /// Whether honest replicas may forget; with one slot only.
    pub forgetting: bool,
    /// So many of the last honest replicas are not like the others.
    pub named: usize,
}

/// The history of an honest replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Honest {
    /// The view in which it is. It went through all before: a view change more is an opportunity more for those who are faulty.
    pub view: usize,
    /// By slot and view: for what it knows to have voted.
    pub votes: [[u8; VIEWS_MAX]; SLOTS_MAX],
    /// By slot and view: whether it prepared that and sent COMMIT.
    pub commits: [[bool; VIEWS_MAX]; SLOTS_MAX],
    /// By view: the slots up to here are left out of its view change to that view.
    pub bases: [usize; VIEWS_MAX],
    /// By view: votes in the first slot that others hold and it forgot, bit 0 for digest 1, bit 1 for digest 2.
    pub forgotten_votes: [u8; VIEWS_MAX],
    /// By view: the same of COMMITs.
    pub forgotten_commits: [u8; VIEWS_MAX],
}

impl Honest {
    /// What it prepared in the highest view below `view`: view and digest.
    pub fn prepared(&self, slot: usize, view: usize) -> Option<(usize, u8)> {
        let last = (0..view).rev().find(|view| self.commits[slot][*view])?;
        Some((last, self.votes[slot][last]))
    }

    /// For what it voted in the highest view below `view`: view and digest.
    pub fn voted(&self, slot: usize, view: usize) -> Option<(usize, u8)> {
        let last = (0..view).rev().find(|view| self.votes[slot][*view] != 0)?;
        Some((last, self.votes[slot][last]))
    }
}

/// The histories of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct World {
    /// One for each honest replica; those beyond the size of the model are empty.
    pub honest: [Honest; HONEST_MAX],
}

impl World {
    /// How many honest replicas voted for the digest.
    pub fn votes(&self, slot: usize, view: usize, digest: u8) -> usize {
        let voted = |honest: &&Honest| {
            honest.votes[slot][view] == digest || has(honest.forgotten_votes[view], digest)
        };
        self.honest.iter().filter(voted).count()
    }

    /// How many honest replicas sent COMMIT for the digest.
    pub fn commits(&self, slot: usize, view: usize, digest: u8) -> usize {
        let committed = |honest: &&Honest| {
            (honest.commits[slot][view] && honest.votes[slot][view] == digest)
                || has(honest.forgotten_commits[view], digest)
        };
        self.honest.iter().filter(committed).count()
    }
}

fn has(digests: u8, digest: u8) -> bool {
    digests & (1 << (digest - 1)) != 0
}

impl Size {
    /// Bits of one replica. From the lowest: view 2; by slot and view vote 2, commit 1; by view but the first base 2;
    /// by view what is forgotten, 2 and 2.
    fn bits(&self) -> usize {
        let bases = if self.bases { 2 * (self.views - 1) } else { 0 };
        let forgotten = if self.forgetting { 4 * self.views } else { 0 };
        2 + 3 * self.views * self.slots + bases + forgotten
    }

    /// Checks that a state fits.
    pub fn assert_possible(&self) {
        assert!(
            self.views <= VIEWS_MAX && self.slots <= SLOTS_MAX && self.honest <= HONEST_MAX,
            "sizes are small"
        );
        assert!(self.bits() * self.honest <= 128, "a state fits into 128 bits");
        assert!(!self.forgetting || self.slots == 1, "what is forgotten is kept of one slot");
    }

    /// Packs a state.
    pub fn pack(&self, world: &World) -> u128 {
        let mut packed = Packed { bits: 0, at: 0 };
        for honest in &world.honest[..self.honest] {
            packed.put(2, honest.view);
            for slot in 0..self.slots {
                for view in 0..self.views {
                    packed.put(2, usize::from(honest.votes[slot][view]));
                    packed.put(1, usize::from(honest.commits[slot][view]));
                }
            }
            for view in 1..self.views * usize::from(self.bases) {
                packed.put(2, honest.bases[view]);
            }
            for view in 0..self.views * usize::from(self.forgetting) {
                packed.put(2, usize::from(honest.forgotten_votes[view]));
                packed.put(2, usize::from(honest.forgotten_commits[view]));
            }
        }
        packed.bits
    }

    /// Unpacks a state.
    pub fn unpack(&self, state: u128) -> World {
        let mut packed = Packed { bits: state, at: 0 };
        let mut world = World { honest: [Honest::default(); HONEST_MAX] };
        for honest in &mut world.honest[..self.honest] {
            honest.view = packed.take(2);
            for slot in 0..self.slots {
                for view in 0..self.views {
                    honest.votes[slot][view] = packed.take(2) as u8;
                    honest.commits[slot][view] = packed.take(1) != 0;
                }
            }
            for view in 1..self.views * usize::from(self.bases) {
                honest.bases[view] = packed.take(2);
            }
            for view in 0..self.views * usize::from(self.forgetting) {
                honest.forgotten_votes[view] = packed.take(2) as u8;
                honest.forgotten_commits[view] = packed.take(2) as u8;
            }
        }
        world
    }

    /// The least of all states that differ from this one in the names of replicas, and in each slot of digests 1 and 2.
    ///
    /// Sound because nothing in a model asks who somebody is, the primary of every view is whoever it has to be, and what is proposed in one
    /// slot has nothing to do with another. The null digest keeps its name.
    pub fn canonical(&self, state: u128) -> u128 {
        let bits = self.bits();
        let mask = (1u128 << bits) - 1;
        let mut least = u128::MAX;
        for swapped in 0..1usize << self.slots {
            let low =
                (0..self.slots).filter(|slot| swapped & (1 << slot) != 0).map(|slot| self.low_bits(slot));
            let low = low.fold(0, |all, slot| all | slot);
            let mut replicas = [0; HONEST_MAX];
            for (at, replica) in replicas[..self.honest].iter_mut().enumerate() {
                let one = (state >> (at * bits)) & mask;
                *replica = (one & !(low | low << 1)) | (one & low) << 1 | (one >> 1 & low);
            }
            replicas[..self.honest - self.named].sort_unstable();
            let together = replicas[..self.honest].iter().rev().fold(0, |all, one| all << bits | one);
            least = least.min(together);
        }
        least
    }

    /// The lower bit of everything in a replica that is a digest or a set of digests of the slot. To swap the two bits is to swap 1 and 2.
    fn low_bits(&self, slot: usize) -> u128 {
        let start = 2 + slot * 3 * self.views;
        let votes = (0..self.views).map(|view| start + 3 * view);
        let forgotten = if self.forgetting { 2 * self.views } else { 0 };
        let sets = (0..forgotten).map(|at| self.bits() - 2 * forgotten + 2 * at);
        votes.chain(sets).fold(0, |all, bit| all | 1 << bit)
    }
}

struct Packed {
    bits: u128,
    at: usize,
}

impl Packed {
    fn put(&mut self, width: usize, value: usize) {
        debug_assert!(value < 1 << width, "the value fits");
        self.bits |= (value as u128) << self.at;
        self.at += width;
    }

    fn take(&mut self, width: usize) -> usize {
        let value = (self.bits >> self.at) as usize & ((1 << width) - 1);
        self.at += width;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> Size {
        Size { honest: 3, views: 3, slots: 2, bases: true, forgetting: false, named: 0 }
    }

    fn world() -> World {
        let mut world = World { honest: [Honest::default(); HONEST_MAX] };
        world.honest[0].view = 2;
        world.honest[0].votes = [[1, 2, 0, 0], [2, 0, 0, 0], [0; 4]];
        world.honest[0].commits[0][1] = true;
        world.honest[0].bases = [0, 1, 2, 0];
        world.honest[2].votes[1] = [NULL, 0, 1, 0];
        world
    }

    #[test]
    fn unpacked_state_is_what_was_packed() {
        assert_eq!(size().unpack(size().pack(&world())), world());
    }

    #[test]
    fn forgotten_votes_are_packed_too() {
        let size = Size { slots: 1, forgetting: true, bases: false, ..size() };
        let mut world = World { honest: [Honest::default(); HONEST_MAX] };
        world.honest[1].forgotten_votes[2] = 3;
        world.honest[2].forgotten_commits[1] = 2;
        assert_eq!(size.unpack(size.pack(&world)), world);
    }

    #[test]
    fn names_of_replicas_and_digests_do_not_matter() {
        let mut other = world();
        other.honest.swap(0, 2);
        other.honest[2].votes[0] = [2, 1, 0, 0];
        let size = size();
        assert_eq!(size.canonical(size.pack(&other)), size.canonical(size.pack(&world())));
    }

    #[test]
    fn replica_that_is_not_like_the_others_keeps_its_place() {
        let mut other = world();
        other.honest.swap(0, 2);
        let size = Size { named: 1, ..size() };
        assert_ne!(size.canonical(size.pack(&other)), size.canonical(size.pack(&world())));
    }

    #[test]
    fn what_was_voted_for_in_one_slot_is_swapped_for_all_replicas_or_none() {
        let mut other = world();
        other.honest[2].votes[1] = [NULL, 0, 2, 0];
        let size = size();
        assert_ne!(size.canonical(size.pack(&other)), size.canonical(size.pack(&world())));
    }

    #[test]
    fn canonical_state_is_its_own_canonical_state() {
        let size = size();
        let canonical = size.canonical(size.pack(&world()));
        assert_eq!(size.canonical(canonical), canonical);
    }
}
