//! The sizes of a model with several slots, and what one can do wrong in it.

use certificate::Replicas;
use pbft::planted::Switch;

/// The sizes of the model, and what it does wrong.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// n and f; f is 1.
    pub replicas: Replicas,
    /// Views, the first included.
    pub views: usize,
    /// Slots.
    pub slots: usize,
    /// How many of them are decided at the start, in the first view, by the fewest honest replicas.
    pub settled: usize,
    /// Whether the honest replica with the highest number sleeps through the first view. Then it is the primary of new views: it signs what they
    /// fix before it has executed what is before that, and votes for nothing else.
    pub sleeper: bool,
    /// The pipeline.
    pub pipeline: usize,
    /// Whether there is a checkpoint after every slot; otherwise never one.
    pub checkpoints: bool,
    /// Different digests that a primary may propose: 2, or 3 with the null digest.
    pub digests: u8,
    /// A bug of the product.
    pub switch: Switch,
    /// A mistake around it.
    pub slip: Option<Slip>,
}

/// What one can do wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slip {
    /// The base of a new view is that of one view change.
    BaseOfOne,
    /// The base of a view change is its decided slot, not a pipeline less.
    BaseIsDecided,
    /// Votes and COMMITs do not wait for the slots before.
    NothingWaits,
    /// The sleeper says nothing of what it signed as primary in its next view change, whose base is too low to reach it.
    PrimaryForgetsWhatItSigned,
    /// A new view forgets what its view changes claim behind its base.
    ClaimsDropped,
}

impl Protocol {
    /// The protocol of the product in a cluster of four.
    pub fn product(views: usize, slots: usize, pipeline: usize) -> Protocol {
        let replicas = Replicas::new(4, 1).expect("four replicas tolerate one that is faulty");
        let (checkpoints, switch, slip) = (false, Switch::NONE, None);
        Protocol {
            replicas,
            views,
            slots,
            settled: 0,
            sleeper: false,
            pipeline,
            checkpoints,
            digests: 2,
            switch,
            slip,
        }
    }
}
