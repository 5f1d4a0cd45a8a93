//! What tells one proof from another: what was contradicted, not by which of its many signatures. So a proof that comes again, from whomever, is known.

use certificate::Digest;
use pbft::Fault;

use crate::Offence;

/// A fingerprint of what a proof is about; equal for proofs of the same contradiction.
pub(crate) fn fingerprint(fault: &Fault) -> u64 {
    let mut bytes = match fault {
        Fault::MalformedObservation { set, item, .. } => {
            [&[set.replica.0], &set.signature.0[..], &item.to_be_bytes()].concat()
        }
        Fault::InvalidViewChange { message, .. } => {
            format!("{} {}", message.replica, message.view).into_bytes()
        }
        Fault::InvalidNewView { primary, message, .. } => format!("{primary} {}", message.view).into_bytes(),
        Fault::Equivocation { first, .. } => format!("{fault} {:?}", first.phase).into_bytes(),
        other => other.to_string().into_bytes(),
    };
    bytes.extend(Offence::of(fault).map_or("", |(_, offence)| offence.name()).bytes());
    let digest = Digest::of(&bytes);
    u64::from_be_bytes(digest.0[..8].try_into().expect("a digest has eight bytes"))
}
