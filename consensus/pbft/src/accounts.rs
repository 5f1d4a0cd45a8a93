//! Who pays for what is held: a request is charged to an account, an observation to its observer.
//!
//! An account is of a replica that asked, or of one whose observation opened the request. A liar can make an honest replica observe whatever
//! it asks of it alone, so what those observations open elsewhere takes no room of what that replica asks for. And an observer's
//! room has a share for each account, so that one replica's questions do not crowd out what it answers to everybody else.

use std::collections::BTreeMap;

use certificate::ReplicaId;

use crate::{HELD_BYTES_PER_REPLICA_MAX, OPEN_REQUESTS_PER_ORIGIN_MAX, OPENED_BY_OBSERVATIONS_MAX};

/// Why a request was opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Opened {
    /// The replica, or its host, asked.
    Asked,
    /// The replica observed what nobody had asked us for.
    Observed,
}

/// What a request is charged to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Account {
    pub(crate) replica: ReplicaId,
    pub(crate) opened: Opened,
}

impl Account {
    fn requests_max(self) -> usize {
        match self.opened {
            Opened::Asked => OPEN_REQUESTS_PER_ORIGIN_MAX,
            Opened::Observed => OPENED_BY_OBSERVATIONS_MAX,
        }
    }
}

/// There is no room left on an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OverQuota(pub(crate) Account);

/// What is charged to whom.
#[derive(Default)]
pub(crate) struct Accounts {
    open: BTreeMap<Account, usize>,
    /// Bytes by observer and account of the request.
    held: BTreeMap<(ReplicaId, Account), usize>,
    /// The same in all, by observer.
    held_of: BTreeMap<ReplicaId, usize>,
}

impl Accounts {
    /// Charges a request.
    pub(crate) fn open(&mut self, account: Account) -> Result<(), OverQuota> {
        let open = self.open.entry(account).or_default();
        if *open >= account.requests_max() {
            return Err(OverQuota(account));
        }
        *open += 1;
        Ok(())
    }

    /// Takes back the charge of a request.
    pub(crate) fn close(&mut self, account: Account) {
        *self.open.get_mut(&account).expect("an open request is on somebody's account") -= 1;
    }

    /// Charges an observation of `bytes` in place of one of `freed` bytes.
    ///
    /// An account has one of `shares` of what its observer may fill: with one share a replica of the cluster, liars cannot fill the whole.
    pub(crate) fn hold(
        &mut self,
        (observer, account): (ReplicaId, Account),
        (freed, bytes): (usize, usize),
        shares: usize,
    ) -> Result<(), OverQuota> {
        let all = self.held_of.entry(observer).or_default();
        let held = self.held.entry((observer, account)).or_default();
        let (wanted, all_wanted) = (*held - freed + bytes, *all - freed + bytes);
        if wanted > HELD_BYTES_PER_REPLICA_MAX / shares || all_wanted > HELD_BYTES_PER_REPLICA_MAX {
            return Err(OverQuota(account));
        }
        (*held, *all) = (wanted, all_wanted);
        Ok(())
    }

    /// Takes back the charge of an observation.
    pub(crate) fn release(&mut self, observer: ReplicaId, account: Account, bytes: usize) {
        let held = self.held.get_mut(&(observer, account));
        *held.expect("what is held is on somebody's account") -= bytes;
        *self.held_of.get_mut(&observer).expect("what is held is of somebody") -= bytes;
    }

    /// Bytes of all observations that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_of.values().sum()
    }
}
