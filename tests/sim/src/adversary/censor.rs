//! Does not hear of some requests: as primary it proposes all but those.

use certificate::ReplicaId;
use pbft::{Item, Message, Operation};

use super::{Adversary, Liar};

pub(super) struct Censor;

/// A third of all operations is not to be decided.
fn is_censored(operation: &Operation) -> bool {
    operation.digest().0[0].is_multiple_of(3)
}

impl Adversary for Censor {
    fn hear(&mut self, _: &mut Liar<'_>, _: ReplicaId, message: &Message) -> bool {
        match message {
            Message::Resolve { operation, .. } => !is_censored(operation),
            Message::Observe(set) => !set.items.iter().any(|item| match item {
                Item::Full(observation) => is_censored(&observation.operation),
                Item::Pruned(_) => false,
            }),
            _ => true,
        }
    }
}
