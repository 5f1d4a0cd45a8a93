//! Taking the state of a stable checkpoint from one peer, in chunks, instead of executing slots that are gone.
//!
//! Several chunks are asked for ahead, so that a distance costs its time once. Chunks have one length, and the whole has a deadline however
//! well each of them keeps its own: a peer that only pretends to help is left for the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::codec::Decode;
use certificate::{ReplicaId, Sequence};

use crate::fetch::Asked;
use crate::replica::Replica;
use crate::state::LogState;
use crate::{
    Application, CheckpointCertificate, Fault, Keyring, Message, STATE_CHUNK_BYTES_MAX, StateChunk,
    TRANSFER_CHUNKS_AHEAD_MAX,
};

/// A whole state has so long to come, in milliseconds; doubles with each time that the peer did not help.
const TRANSFER_MS: u64 = 10_000;
/// It doubles so often at most.
const TRANSFER_DOUBLES: u32 = 3;

/// The state of a stable checkpoint, as far as it came.
pub(crate) struct Assembly {
    certificate: CheckpointCertificate,
    total: usize,
    /// What came without a gap.
    bytes: Vec<u8>,
    /// What came before its time, by offset.
    early: BTreeMap<usize, Vec<u8>>,
    /// Chunks are asked for up to here.
    asked: usize,
    /// When the whole must be here.
    until_ms: u64,
}

impl Assembly {
    fn is_of(&self, chunk: &StateChunk) -> bool {
        self.certificate == chunk.certificate && self.total == chunk.total as usize
    }

    /// Takes a chunk that was asked for. Says whether what is here without a gap grew.
    fn take(&mut self, offset: usize, bytes: Vec<u8>) -> bool {
        let before = self.bytes.len();
        if bytes.is_empty() || offset < before || offset >= self.asked {
            return false;
        }
        self.early.insert(offset, bytes);
        while let Some(next) = self.early.remove(&self.bytes.len()) {
            self.bytes.extend_from_slice(&next);
        }
        self.bytes.len() > before
    }

    /// Where the chunks begin that are to be asked for now.
    fn ask_ahead(&mut self) -> Vec<u32> {
        let ahead = TRANSFER_CHUNKS_AHEAD_MAX * STATE_CHUNK_BYTES_MAX;
        let until = self.total.min(self.bytes.len() + ahead);
        let offsets: Vec<u32> =
            (self.asked..until).step_by(STATE_CHUNK_BYTES_MAX).map(|offset| offset as u32).collect();
        self.asked += offsets.len() * STATE_CHUNK_BYTES_MAX;
        offsets
    }
}

/// Whether a chunk is of the one length that it can have: the most, or the rest. None at all announces a state.
fn has_its_length(chunk: &StateChunk) -> bool {
    let (total, offset) = (chunk.total as usize, chunk.offset as usize);
    let announces = offset == 0 && chunk.bytes.is_empty();
    let whole = chunk.bytes.len() == STATE_CHUNK_BYTES_MAX.min(total.saturating_sub(offset));
    offset.is_multiple_of(STATE_CHUNK_BYTES_MAX) && (announces || whole)
}

impl<A: Application, K: Keyring> Replica<A, K> {
    pub(crate) fn on_state_chunk(&mut self, from: ReplicaId, chunk: StateChunk) {
        let sequence = chunk.certificate.sequence;
        if sequence <= self.marks.low {
            return;
        }
        if let Some(own) = self.checkpoints.snapshots.get(&sequence).cloned() {
            if self.certificate_holds(&chunk.certificate) {
                self.on_certified_state(chunk.certificate, own);
            } else {
                self.fault(Fault::InvalidState { from, sequence });
            }
            return;
        }
        if sequence <= self.executed() {
            return;
        }
        // A later part of what is not begun here: the question was given up meanwhile, or the first part of the answer lost.
        let begun =
            |asked: &Asked| asked.state.as_ref().is_some_and(|state| sequence <= state.certificate.sequence);
        if chunk.offset != 0 && !self.fetch.asked.as_ref().is_some_and(begun) {
            return;
        }
        let Some(mut asked) = self.take_asked(from) else { return };
        if !has_its_length(&chunk) || !self.extend_assembly(&mut asked, chunk) {
            self.fault(Fault::InvalidState { from, sequence });
            self.fail_fetch(from);
            return;
        }
        let assembly = asked.state.as_mut().expect("the chunk began or extended the assembly");
        if assembly.bytes.len() == assembly.total {
            let assembly = asked.state.take().expect("the assembly is complete");
            return self.adopt_state(from, assembly);
        }
        let (sequence, offsets) = (assembly.certificate.sequence, assembly.ask_ahead());
        self.fetch.asked = Some(asked);
        for offset in offsets {
            self.send_one(from, Message::FetchState { sequence, offset });
        }
    }

    /// The question that a chunk of this peer answers. One may be thought answered by a status that was sent before.
    fn take_asked(&mut self, from: ReplicaId) -> Option<Asked> {
        if self.fetch.asked.is_some() || !self.was_asked(from) {
            return self.fetch.asked.take_if(|asked| asked.peer == from);
        }
        let (executed, deadline_ms) = (self.executed(), self.now.monotonic_ms);
        Some(Asked { peer: from, deadline_ms, executed, target: executed.next(), state: None })
    }

    /// Adds a chunk to what came before; a later checkpoint than the one before starts anew. `false` when it is garbage.
    fn extend_assembly(&self, asked: &mut Asked, chunk: StateChunk) -> bool {
        let now = self.now.monotonic_ms;
        let renewed = now.saturating_add(self.parameters.timeouts.fetch_ms);
        let offset = chunk.offset as usize;
        if let Some(state) = asked.state.as_mut().filter(|state| state.is_of(&chunk)) {
            if state.take(offset, chunk.bytes) {
                asked.deadline_ms = renewed.min(state.until_ms);
            }
            return true;
        }
        let sequence = chunk.certificate.sequence;
        if asked.state.as_ref().is_some_and(|state| sequence <= state.certificate.sequence) {
            // One that was under way when the peer went on to a later checkpoint.
            return asked.state.as_ref().is_some_and(|state| sequence < state.certificate.sequence);
        }
        if offset != 0 || !self.certificate_holds(&chunk.certificate) {
            return false;
        }
        let failures = self.peers.get(&asked.peer).map_or(0, |peer| peer.failures);
        let allowed = TRANSFER_MS << failures.min(TRANSFER_DOUBLES);
        let until_ms = asked.state.as_ref().map_or(now.saturating_add(allowed), |state| state.until_ms);
        asked.deadline_ms = renewed.min(until_ms);
        asked.state = Some(Assembly {
            certificate: chunk.certificate,
            total: chunk.total as usize,
            early: BTreeMap::new(),
            asked: chunk.bytes.len(),
            bytes: chunk.bytes,
            until_ms,
        });
        true
    }

    fn certificate_holds(&self, certificate: &CheckpointCertificate) -> bool {
        certificate.sequence.0.is_multiple_of(self.parameters.checkpoint_interval)
            && certificate.verify(self.parameters.replicas, &self.parameters.domain, &self.keyring)
    }

    /// Takes a whole state instead of executing the slots up to it. Nothing at or below it is voted for any more.
    fn adopt_state(&mut self, from: ReplicaId, assembly: Assembly) {
        let sequence = assembly.certificate.sequence;
        let state = LogState::from_bytes(&assembly.bytes)
            .ok()
            .filter(|state| state.executed() == sequence)
            .filter(|_| LogState::digest_of(&assembly.bytes) == assembly.certificate.digest);
        let Some(state) = state else {
            self.fault(Fault::InvalidState { from, sequence });
            self.fail_fetch(from);
            return;
        };
        self.log = state;
        self.clocks.progress(self.now.monotonic_ms);
        self.stabilize(assembly.certificate, Arc::new(assembly.bytes));
        self.touched.extend((1..=self.parameters.pipeline).map(|ahead| Sequence(sequence.0 + ahead)));
        self.ask_again();
    }
}
