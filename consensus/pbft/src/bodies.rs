//! The bodies of what a new view fixed: its primary names digests, and whoever lacks a batch asks one peer after the other.
//!
//! At least one honest replica has each: it voted for it, and keeps what it voted for until the slot is behind a stable checkpoint. What was not judged is
//! passed on by nobody.

use std::sync::Arc;

use certificate::{Digest, ReplicaId, Sequence, SlotHeader};

use crate::log::Slot;
use crate::parameters::doubled;
use crate::replica::Replica;
use crate::{Application, Batch, Fault, Keyring, Message, PrePrepare, Vote, judge};

/// The next peer is asked after so long, in milliseconds.
const ASK_BODY_MS: u64 = 20;
/// Peers are asked less often after so many times around, in milliseconds.
const ASK_BODY_MOST_MS: u64 = 500;

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Asks the next peer for what is missing.
    pub(crate) fn ask_for_bodies(&mut self) {
        let now = self.now.monotonic_ms;
        let open = |sequence: &Sequence| self.slots.get(sequence).is_some_and(|slot| slot.decided.is_none());
        self.views.lacking.retain(open);
        if self.views.lacking.is_empty() || now < self.views.ask_body_ms {
            return;
        }
        let peers: Vec<ReplicaId> =
            self.peers.iter().filter(|(_, peer)| peer.connected).map(|(id, _)| *id).collect();
        let rounds = self.views.asked_bodies / peers.len().max(1);
        let wait = doubled(ASK_BODY_MS, rounds as u32, ASK_BODY_MOST_MS);
        self.views.ask_body_ms = now.saturating_add(wait);
        let Some(peer) = peers.get(self.views.asked_bodies % peers.len().max(1)).copied() else { return };
        self.views.asked_bodies += 1;
        let lacking = self.views.all_fixed().filter(|vote| self.views.lacking.contains(&vote.sequence));
        let lacking: Vec<Vote> = lacking.collect();
        for Vote { sequence, digest, .. } in lacking {
            self.send_one(peer, Message::FetchBatch { sequence, digest });
        }
    }

    /// The header and body of what a view fixed, if they are here. What still waited to be judged is so now: the primary of a view that was given
    /// up may have sent any body beside the header, and whoever placed that would blame the new primary for it.
    pub(crate) fn body_at_hand(&self, slot: &Slot, digest: Digest) -> Option<(SlotHeader, Arc<Batch>)> {
        slot.body(digest).or_else(|| {
            let PrePrepare { header, batch, .. } = slot.waiting.as_ref()?;
            let holds = header.digest() == digest && judge::bound(header, batch, &self.application).is_some();
            holds.then(|| (header.clone(), batch.clone()))
        })
    }

    /// A body came that was asked for.
    pub(crate) fn on_batch(&mut self, from: ReplicaId, header: SlotHeader, batch: Arc<Batch>) {
        if self.views.lacking.contains(&header.sequence) {
            self.take_body(from, header, batch);
        }
    }

    /// Takes the body of what the view fixed; any other is not wanted.
    pub(crate) fn take_body(&mut self, from: ReplicaId, header: SlotHeader, batch: Arc<Batch>) {
        let sequence = header.sequence;
        let Some(vote) = self.views.fixed(sequence).filter(|vote| vote.digest == header.digest()) else {
            return;
        };
        if judge::bound(&header, &batch, &self.application).is_none() {
            self.fault(Fault::InvalidBatch { from, sequence });
            return;
        }
        self.place(vote, header, batch);
    }

    /// Sends a body to a peer that asks; gives its size.
    pub(crate) fn send_batch(&mut self, peer: ReplicaId, sequence: Sequence, digest: Digest) -> usize {
        let Some((header, batch)) = self.slots.get(&sequence).and_then(|slot| slot.body(digest)) else {
            return 0;
        };
        let bytes = SlotHeader::LENGTH + batch.encoded_len();
        self.send_one(peer, Message::Batch { header, batch });
        bytes
    }

    /// Sends a view change to a peer that asks; gives its size, near enough.
    pub(crate) fn send_view_change(&mut self, peer: ReplicaId, digest: Digest) -> usize {
        let Some(message) = self.views.find(digest) else { return 0 };
        let bytes = 2048 * (1 + message.slots.len());
        self.send_one(peer, Message::ViewChange(message));
        bytes
    }
}
