//! S11: a new view that an honest replica begins, enters or passes on is computed from exactly n-f view changes that hold, and proposes what follows
//! from them. The rule is written here a second time, in another form than the product's.

use std::collections::BTreeSet;

use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Sequence, Signature, SlotHeader, View};
use pbft::{Keyring, Message, NewView, Prepared, Proof, Record, SlotClaim, ViewChange};

use super::{Laws, Step};

/// The new views that were found sound.
#[derive(Default)]
pub(super) struct NewViews {
    sound: BTreeSet<(View, Signature)>,
}

impl NewViews {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        for record in &step.ready.persist {
            self.judge(record, laws)?;
        }
        for (_, message) in &step.ready.send {
            if let Message::NewView(new_view) = message
                && !self.sound.contains(&(new_view.view, new_view.signature))
            {
                return Err(format!("sent a new view {} that nobody honest entered", new_view.view));
            }
        }
        Ok(())
    }

    /// A log may hold a new view that was entered when the power went, and that is sent only now.
    pub(super) fn restarted(&mut self, records: &[Record], laws: &Laws) {
        for record in records {
            // One that is not sound stays unknown, and is found when it is sent.
            let _ = self.judge(record, laws);
        }
    }

    fn judge(&mut self, record: &Record, laws: &Laws) -> Result<(), String> {
        let Record::Entered { new_view, view_changes } = record else { return Ok(()) };
        if !self.sound.contains(&(new_view.view, new_view.signature)) {
            let changes: Vec<&ViewChange> = view_changes.iter().map(|change| &**change).collect();
            check_new_view(new_view, &changes, laws)
                .map_err(|found| format!("new view {}: {found}", new_view.view))?;
            self.sound.insert((new_view.view, new_view.signature));
        }
        Ok(())
    }
}

/// Bases, sizes and proofs first; then slot by slot.
pub(super) fn check_new_view(new_view: &NewView, changes: &[&ViewChange], laws: &Laws) -> Result<(), String> {
    let needed = (laws.shape.count - laws.shape.faults) as usize;
    let names: Vec<ReplicaId> = new_view.view_changes.iter().map(|(replica, _)| *replica).collect();
    let members = names.iter().all(|replica| u32::from(replica.0) < laws.shape.count);
    if names.len() != needed || !names.is_sorted_by(|one, next| one < next) || !members {
        return Err(format!("expected {needed} view changes by replica, found those of {names:?}"));
    }
    let given: Vec<(ReplicaId, Digest)> = changes.iter().map(|one| (one.replica, one.digest())).collect();
    if given != new_view.view_changes {
        return Err("expected the view changes that it names, found others".to_string());
    }
    for change in changes {
        check_view_change(change, new_view.view, laws)
            .map_err(|found| format!("view change of {}: {found}", change.replica))?;
    }
    let base = changes.iter().map(|change| base_of(change, laws)).max().unwrap_or(0);
    let claimed = changes.iter().flat_map(|change| &change.slots).map(|slot| slot.sequence.0);
    let proposed = base + new_view.proposals.len() as u64;
    for sequence in base + 1..=claimed.max().unwrap_or(0).max(proposed) {
        let claims =
            changes.iter().filter_map(|change| change.slots.iter().find(|slot| slot.sequence.0 == sequence));
        let chosen = choose(&claims.collect::<Vec<_>>(), laws);
        let found = new_view.proposals.get((sequence - base - 1) as usize);
        let null = SlotHeader::null(Sequence(sequence), laws.parameters.cluster_digest).digest();
        let holds = match (chosen, found) {
            // Null slots stand before chosen ones alone.
            (None, None) => true,
            (None, Some((digest, _))) => *digest == null && sequence < proposed,
            (Some(chosen), Some((digest, _))) => *digest == chosen,
            (Some(_), None) => false,
        };
        if !holds {
            let (chosen, found) = (chosen.map(|it| it.short()), found.map(|(it, _)| it.short()));
            return Err(format!("slot {sequence}: expected {chosen:?}, found {found:?}"));
        }
        let signed = |(digest, signature): &(Digest, Signature)| {
            let place = (MessageType::PrePrepare, new_view.view, Sequence(sequence), *digest);
            is_signed(primary(new_view.view, laws), place, signature, laws)
        };
        if !found.is_none_or(signed) {
            return Err(format!("slot {sequence}: the primary did not sign its proposal"));
        }
    }
    Ok(())
}

/// What may have been decided in a slot: the best prepared digest, unless T votes for one reach a higher view.
fn choose(claims: &[&SlotClaim], laws: &Laws) -> Option<Digest> {
    let (n, f) = (laws.shape.count as usize, laws.shape.faults as usize);
    let fast_quorum = (n + 3 * f) / 2 + 1;
    let threshold = fast_quorum + (n - f) - n - f;
    let votes: Vec<(View, Digest)> =
        claims.iter().filter_map(|claim| claim.voted.map(|voted| (voted.view, voted.digest))).collect();
    let is_supported = |(view, digest): &&(View, Digest)| {
        votes.iter().filter(|(later, same)| same == digest && later >= view).count() >= threshold
    };
    let supported: BTreeSet<(View, Digest)> = votes.iter().filter(is_supported).copied().collect();
    let best = supported.last().map(|(view, _)| *view);
    let mut fast = supported.iter().filter(|(view, _)| Some(*view) == best);
    let fast = fast.next().filter(|_| fast.next().is_none());
    let prepared = claims.iter().filter_map(|claim| claim.prepared.as_ref());
    let slow = prepared.map(|prepared| (prepared.view, prepared.digest)).max();
    match (slow, fast) {
        (Some((prepared, digest)), fast) if fast.is_none_or(|(view, _)| *view <= prepared) => Some(digest),
        (_, fast) => fast.map(|(_, digest)| *digest),
    }
}

fn base_of(change: &ViewChange, laws: &Laws) -> u64 {
    let stable = change.stable.as_ref().map_or(0, |stable| stable.sequence.0);
    let decided = change.decided.as_ref().map_or(0, |decided| decided.sequence.0);
    stable.max(decided.saturating_sub(laws.parameters.pipeline))
}

/// A view change that a new view stands on: signed, to this view, and each claim is proven.
fn check_view_change(change: &ViewChange, view: View, laws: &Laws) -> Result<(), String> {
    let parameters = &laws.parameters;
    if change.view != view || !change.verify_signature(&parameters.domain, &laws.keys) {
        return Err(format!("to view {}, or not signed", change.view));
    }
    let enough = |signers: ReplicaSet| signers.len() == laws.quorum();
    let stable = change.stable.as_ref().is_none_or(|stable| {
        enough(stable.signers) && stable.verify(parameters.replicas, &parameters.domain, &laws.keys)
    });
    let decided = change.decided.as_ref().is_none_or(|decided| {
        let place = (MessageType::Commit, decided.view, decided.sequence, decided.digest);
        enough(decided.signers) && are_signed(decided.signers, place, &decided.signatures, laws)
    });
    if !stable || !decided {
        return Err("its base is not proven".to_string());
    }
    for slot in &change.slots {
        let prepared = slot.prepared.as_ref().is_none_or(|it| it.view < view && is_prepared(it, slot, laws));
        let voted = slot.voted.is_none_or(|it| {
            let place = (MessageType::PrePrepare, it.view, slot.sequence, it.digest);
            it.view < view && is_signed(primary(it.view, laws), place, &it.signature, laws)
        });
        if !prepared || !voted {
            return Err(format!("what it claims of slot {} is not proven", slot.sequence));
        }
    }
    Ok(())
}

fn is_prepared(prepared: &Prepared, slot: &SlotClaim, laws: &Laws) -> bool {
    let place = |phase| (phase, prepared.view, slot.sequence, prepared.digest);
    match &prepared.proof {
        Proof::Commits { signers, signatures } => {
            signers.len() == laws.quorum()
                && are_signed(*signers, place(MessageType::Commit), signatures, laws)
        }
        Proof::Prepares { primary: signature, signers, signatures } => {
            let leader = primary(prepared.view, laws);
            !signers.contains(leader)
                && signers.len() + 1 == laws.quorum()
                && is_signed(leader, place(MessageType::PrePrepare), signature, laws)
                && are_signed(*signers, place(MessageType::Prepare), signatures, laws)
        }
    }
}

/// Phase, view, slot, digest.
type Place = (MessageType, View, Sequence, Digest);

fn primary(view: View, laws: &Laws) -> ReplicaId {
    ReplicaId((view.0 % u64::from(laws.shape.count)) as u8)
}

fn is_signed(replica: ReplicaId, place: Place, signature: &Signature, laws: &Laws) -> bool {
    let (phase, view, sequence, digest) = place;
    let preimage = laws.parameters.domain.vote_preimage(phase, view, sequence, digest);
    laws.keys.verify(replica, &preimage, signature)
}

fn are_signed(signers: ReplicaSet, place: Place, signatures: &[Signature], laws: &Laws) -> bool {
    let mut signed = signers.iter().zip(signatures);
    signers.len() == signatures.len()
        && signed.all(|(signer, signature)| is_signed(signer, place, signature, laws))
}
