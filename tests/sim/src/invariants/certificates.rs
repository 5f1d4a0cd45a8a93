//! S4: every certificate that an honest replica makes or passes on verifies by a count of our own, and no two that verify name different digests
//! for one slot, whoever shows them.

use std::collections::BTreeMap;

use certificate::{
    CertifiedAnswer, Class, Digest, MessageType, QuorumCertificate, ReplicaSet, Sequence, Signature, View,
};
use pbft::{Decided, Keyring, Message};

use super::{Laws, Step};

/// What certificates were seen to say.
#[derive(Default)]
pub(super) struct Certificates {
    digests: BTreeMap<Sequence, Digest>,
}

/// The parts of a commit certificate.
struct Shown<'a> {
    view: View,
    sequence: Sequence,
    digest: Digest,
    signers: ReplicaSet,
    signatures: &'a [Signature],
}

impl Certificates {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        for decided in &step.ready.decided {
            let shown = Shown {
                view: decided.view,
                sequence: decided.header.sequence,
                digest: decided.header.digest(),
                signers: decided.signers,
                signatures: &decided.signatures,
            };
            if !shown.holds(laws) {
                return Err(format!("the certificate of slot {} does not hold", shown.sequence));
            }
            self.note(&shown)?;
            check_by_stranger(decided, laws)?;
        }
        Ok(())
    }

    /// A certificate in a message of anybody counts when it holds.
    pub(super) fn hear(&mut self, message: &Message, laws: &Laws) -> Result<(), String> {
        let certificate = match message {
            Message::Slot(slot) => &slot.certificate,
            Message::ViewChange(change) => match &change.decided {
                Some(decided) => decided,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let shown = Shown {
            view: certificate.view,
            sequence: certificate.sequence,
            digest: certificate.digest,
            signers: certificate.signers,
            signatures: &certificate.signatures,
        };
        if shown.holds(laws) { self.note(&shown) } else { Ok(()) }
    }

    pub(super) fn forget(&mut self, below: Sequence) {
        self.digests = self.digests.split_off(&below);
    }

    fn note(&mut self, shown: &Shown<'_>) -> Result<(), String> {
        let first = *self.digests.entry(shown.sequence).or_insert(shown.digest);
        if first != shown.digest {
            let (first, digest) = (first.short(), shown.digest.short());
            return Err(format!("two certificates for slot {}: {first} and {digest}", shown.sequence));
        }
        Ok(())
    }
}

impl Shown<'_> {
    fn holds(&self, laws: &Laws) -> bool {
        let domain = &laws.parameters.domain;
        let preimage = domain.vote_preimage(MessageType::Commit, self.view, self.sequence, self.digest);
        let members = self.signers.iter().all(|signer| u32::from(signer.0) < laws.shape.count);
        let mut signed = self.signers.iter().zip(self.signatures);
        members
            && self.signers.len() == laws.quorum()
            && self.signatures.len() == self.signers.len()
            && signed.all(|(signer, signature)| laws.keys.verify(signer, &preimage, signature))
    }
}

/// With real keys and a cluster file, the verifier that strangers use has a say.
fn check_by_stranger(decided: &Decided, laws: &Laws) -> Result<(), String> {
    let Some(cluster) = laws.judge.cluster().filter(|_| laws.keys.are_real()) else { return Ok(()) };
    if decided.leaves.is_empty() {
        return Ok(());
    }
    let certificate = QuorumCertificate {
        domain: laws.parameters.domain,
        view: decided.view,
        header: decided.header.clone(),
        signers: decided.signers,
        signatures: decided.signatures.clone(),
    };
    let answers =
        CertifiedAnswer::of_slot(&certificate, &decided.leaves).map_err(|error| error.to_string())?;
    for answer in answers {
        let now_ms = answer.leaf.time_ms.max(decided.header.time_ms);
        // A leaf of long ago is past its time; whether it is genuine is what is asked here.
        let grace_ms = u64::MAX / 4;
        certificate::verify::verify(&answer, cluster, None, now_ms, grace_ms, Class::NoAgreement)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
