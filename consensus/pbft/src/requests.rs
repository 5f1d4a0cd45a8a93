//! Open requests and the observations held for them: a store with quotas and alarms, no protocol.
//!
//! `accounts.rs` says what one replica may cause to be held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use certificate::{Digest, ReplicaId, ReplicaSet, Sequence};

use crate::accounts::{Account, Accounts, OverQuota};
use crate::held::Held;
use crate::{DECIDED_OPERATIONS_MAX, Operation};

/// How far our own lookup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Own {
    /// The host looks it up since we had executed this slot.
    Looking { after: Sequence },
    /// Seen: signed, or about to be.
    Seen,
    /// Seen, but malformed or too long to be signed.
    Refused,
    /// Nothing of ours: a certified answer was handed out instead, or what was seen counts no more.
    Missing,
}

/// What is to be done about a request at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Alarm {
    /// The primary waits no longer for the rest.
    Grace,
    /// A backup passes its quorum of observations on to the primary.
    Relay,
    /// Send the own observation or request again.
    Resend,
    /// Give it up.
    Expire,
}

/// An operation that somebody wants decided.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// On which account it is open.
    pub(crate) account: Account,
    /// Whether this host wants it.
    pub(crate) mine: bool,
    pub(crate) own: Own,
    /// Peers that asked since a certified answer was handed out last.
    pub(crate) asked_by: ReplicaSet,
    /// Peers whose certified answer the host has since we asked last.
    answered_by: ReplicaSet,
    /// The highest executed slot after which somebody asked or looked.
    pub(crate) asked_after: Sequence,
    pub(crate) observations: BTreeMap<ReplicaId, Held>,
    /// Since when q observations are held.
    pub(crate) quorate_ms: Option<u64>,
    /// Since when the primary may propose it.
    pub(crate) proposable_ms: Option<u64>,
    /// The slot whose accepted proposal contains it.
    pub(crate) in_flight: Option<Sequence>,
    /// Since when the primary has been told.
    pub(crate) relayed_ms: Option<u64>,
    /// How often it was sent again.
    pub(crate) resent: u32,
    alarms: BTreeMap<Alarm, u64>,
}

/// The store.
#[derive(Default)]
pub(crate) struct Requests {
    open: BTreeMap<Digest, Request>,
    alarms: BTreeSet<(u64, Digest, Alarm)>,
    /// What the primary may propose, oldest first.
    proposable: BTreeSet<(u64, Digest)>,
    /// What the primary was told of, oldest first.
    relayed: BTreeSet<(u64, Digest)>,
    accounts: Accounts,
    looking: usize,
    last_slots: BTreeMap<Digest, Sequence>,
    /// The same, oldest first.
    last_order: VecDeque<(Sequence, Digest)>,
}

impl Requests {
    /// The request for an operation.
    pub(crate) fn of(&self, digest: &Digest) -> Option<&Request> {
        self.open.get(digest)
    }

    /// The slot in which the operation was decided last, as far as remembered; 0 for never.
    pub(crate) fn last_slot(&self, digest: &Digest) -> Sequence {
        self.last_slots.get(digest).copied().unwrap_or_default()
    }

    /// Opens a request on an account, with our lookup starting.
    pub(crate) fn open(
        &mut self,
        operation: Operation,
        digest: Digest,
        account: Account,
        after: Sequence,
    ) -> Result<(), OverQuota> {
        assert!(!self.open.contains_key(&digest), "the caller asked whether it is open");
        self.accounts.open(account)?;
        self.looking += 1;
        let request = Request {
            operation,
            account,
            mine: false,
            own: Own::Looking { after },
            asked_by: ReplicaSet::default(),
            answered_by: ReplicaSet::default(),
            asked_after: after,
            observations: BTreeMap::new(),
            quorate_ms: None,
            proposable_ms: None,
            in_flight: None,
            relayed_ms: None,
            resent: 0,
            alarms: BTreeMap::new(),
        };
        self.open.insert(digest, request);
        Ok(())
    }

    /// Forgets a request and all that is held for it.
    pub(crate) fn close(&mut self, digest: &Digest) {
        let Some(request) = self.open.remove(digest) else { return };
        for (alarm, due) in &request.alarms {
            self.alarms.remove(&(*due, *digest, *alarm));
        }
        if let Some(since) = request.proposable_ms {
            self.proposable.remove(&(since, *digest));
        }
        if let Some(since) = request.relayed_ms {
            self.relayed.remove(&(since, *digest));
        }
        if matches!(request.own, Own::Looking { .. }) {
            self.looking -= 1;
        }
        self.accounts.close(request.account);
        for (replica, held) in &request.observations {
            self.accounts.release(*replica, request.account, held.bytes());
        }
    }

    /// Notes that this host wants it, or that somebody asked after a slot.
    pub(crate) fn ask(&mut self, digest: &Digest, mine: bool, after: Sequence) {
        if let Some(request) = self.open.get_mut(digest) {
            request.mine |= mine;
            request.asked_after = request.asked_after.max(after);
        }
    }

    /// Notes that our own lookup is over; gives the slot after which it started.
    pub(crate) fn looked(&mut self, digest: &Digest) -> Option<Sequence> {
        let request = self.open.get_mut(digest)?;
        let Own::Looking { after } = request.own else { return None };
        request.own = Own::Seen;
        self.looking -= 1;
        Some(after)
    }

    /// Notes that nothing of ours will count: what was seen is no observation, or none any more.
    pub(crate) fn lack(&mut self, digest: &Digest, own: Own) {
        if let Some(request) = self.open.get_mut(digest).filter(|request| request.own == Own::Seen) {
            request.own = own;
        }
    }

    /// Notes that a peer waits for what comes of it.
    pub(crate) fn wait(&mut self, digest: &Digest, peer: ReplicaId) {
        if let Some(request) = self.open.get_mut(digest) {
            request.asked_by.insert(peer);
        }
    }

    /// Notes the certified answer of a peer for a request of this host. Says whether it is the first since we asked.
    pub(crate) fn answer(&mut self, digest: &Digest, peer: ReplicaId) -> bool {
        let request = self.open.get_mut(digest).filter(|request| request.mine);
        request.is_some_and(|request| request.answered_by.insert(peer))
    }

    /// Notes that the peers are asked again.
    pub(crate) fn forget_answers(&mut self, digest: &Digest) {
        if let Some(request) = self.open.get_mut(digest) {
            request.answered_by = ReplicaSet::default();
        }
    }

    /// Notes that a certified answer goes out instead of an observation of ours; gives the peers that asked.
    pub(crate) fn hand_out(&mut self, digest: &Digest) -> ReplicaSet {
        if self.looked(digest).is_none() {
            return ReplicaSet::default();
        }
        self.lack(digest, Own::Missing);
        self.open.get_mut(digest).map(|request| std::mem::take(&mut request.asked_by)).unwrap_or_default()
    }

    /// Notes that our own lookup starts over.
    pub(crate) fn look_again(&mut self, digest: &Digest, after: Sequence) {
        let Some(request) = self.open.get_mut(digest) else { return };
        if !matches!(request.own, Own::Looking { .. }) {
            self.looking += 1;
        }
        request.own = Own::Looking { after };
    }

    /// Holds an observation for an open request, in place of another one of the same replica. `together.rs` says which is the better.
    pub(crate) fn hold(&mut self, digest: &Digest, held: Held, shares: usize) -> Result<(), OverQuota> {
        let replica = held.seal.replica;
        let Some(request) = self.open.get_mut(digest) else { return Ok(()) };
        let freed = request.observations.get(&replica).map_or(0, Held::bytes);
        self.accounts.hold((replica, request.account), (freed, held.bytes()), shares)?;
        request.observations.insert(replica, held);
        Ok(())
    }

    /// Drops the observations that `keep` does not want.
    pub(crate) fn retain(&mut self, digest: &Digest, keep: impl Fn(&Held) -> bool) {
        let Some(request) = self.open.get_mut(digest) else { return };
        let account = request.account;
        let gone: Vec<(ReplicaId, usize)> = request
            .observations
            .iter()
            .filter(|(_, held)| !keep(held))
            .map(|(replica, held)| (*replica, held.bytes()))
            .collect();
        for (replica, _) in &gone {
            request.observations.remove(replica);
        }
        for (replica, bytes) in gone {
            self.accounts.release(replica, account, bytes);
        }
    }

    /// Notes since when q observations are held, or that they no longer are.
    pub(crate) fn set_quorate(&mut self, digest: &Digest, since: Option<u64>) {
        let Some(request) = self.open.get_mut(digest) else { return };
        request.quorate_ms = since;
        if since.is_none() {
            self.set_proposable(digest, None);
            self.set_relayed(digest, None);
        }
    }

    /// Notes since when the primary may propose it.
    pub(crate) fn set_proposable(&mut self, digest: &Digest, since: Option<u64>) {
        let Some(request) = self.open.get_mut(digest) else { return };
        if let Some(before) = std::mem::replace(&mut request.proposable_ms, since) {
            self.proposable.remove(&(before, *digest));
        }
        if let Some(since) = since {
            self.proposable.insert((since, *digest));
        }
    }

    /// Notes since when the primary was told.
    pub(crate) fn set_relayed(&mut self, digest: &Digest, since: Option<u64>) {
        let Some(request) = self.open.get_mut(digest) else { return };
        if let Some(before) = std::mem::replace(&mut request.relayed_ms, since) {
            self.relayed.remove(&(before, *digest));
        }
        if let Some(since) = since {
            self.relayed.insert((since, *digest));
        }
    }

    /// Notes that a proposal contains it, or that none does any more.
    pub(crate) fn set_in_flight(&mut self, digest: &Digest, slot: Option<Sequence>) {
        let Some(request) = self.open.get_mut(digest) else { return };
        request.in_flight = slot;
        if slot.is_some() {
            self.set_proposable(digest, None);
            self.set_relayed(digest, None);
        }
    }

    /// Counts a send.
    pub(crate) fn count_resend(&mut self, digest: &Digest) -> u32 {
        let Some(request) = self.open.get_mut(digest) else { return 0 };
        request.resent = request.resent.saturating_add(1);
        request.resent
    }

    /// Sets or clears an alarm.
    pub(crate) fn set_alarm(&mut self, digest: &Digest, alarm: Alarm, due: Option<u64>) {
        let Some(request) = self.open.get_mut(digest) else { return };
        if let Some(before) = request.alarms.remove(&alarm) {
            self.alarms.remove(&(before, *digest, alarm));
        }
        if let Some(due) = due {
            request.alarms.insert(alarm, due);
            self.alarms.insert((due, *digest, alarm));
        }
    }

    /// Lets an alarm that is set go off no later than this.
    pub(crate) fn hasten_alarm(&mut self, digest: &Digest, alarm: Alarm, due: u64) {
        let set = self.open.get(digest).and_then(|request| request.alarms.get(&alarm));
        if set.is_some_and(|before| *before > due) {
            self.set_alarm(digest, alarm, Some(due));
        }
    }

    /// The next alarm that is due.
    pub(crate) fn pop_alarm(&mut self, now_ms: u64) -> Option<(Digest, Alarm)> {
        let (due, digest, alarm) = *self.alarms.first()?;
        if due > now_ms {
            return None;
        }
        self.set_alarm(&digest, alarm, None);
        Some((digest, alarm))
    }

    /// When the next alarm is due.
    pub(crate) fn next_alarm(&self) -> Option<u64> {
        self.alarms.first().map(|(due, _, _)| *due)
    }

    /// What the primary may propose, oldest first.
    pub(crate) fn proposable(&self) -> impl Iterator<Item = (u64, Digest)> + '_ {
        self.proposable.iter().copied()
    }

    /// How many requests the primary may propose.
    pub(crate) fn proposable_len(&self) -> usize {
        self.proposable.len()
    }

    /// The oldest relayed request that no proposal contains, and since when.
    pub(crate) fn oldest_relayed(&self) -> Option<(u64, Digest)> {
        self.relayed.first().copied()
    }

    /// Remembers in which slot an operation was decided.
    pub(crate) fn remember(&mut self, digest: Digest, slot: Sequence) {
        self.last_slots.insert(digest, slot);
        self.last_order.push_back((slot, digest));
        while self.last_order.len() > DECIDED_OPERATIONS_MAX {
            let (slot, digest) = self.last_order.pop_front().expect("the order is not empty");
            if self.last_slots.get(&digest) == Some(&slot) {
                self.last_slots.remove(&digest);
            }
        }
    }

    /// How many lookups of ours are under way.
    pub(crate) fn looking(&self) -> usize {
        self.looking
    }

    /// Every open request.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Digest, &Request)> {
        self.open.iter()
    }

    /// How many requests are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of observations that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.accounts.held_bytes()
    }
}
