//! `PeerFilter`: what the node holds, whichever place the policy is enforced at.

use std::{
    net::SocketAddr,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use crate::{
    Behaviour, ConnectionIds, FilterError, FilterStatistics, Kind, Mode, Policy, Verdict,
    clock::{monotonic_ns, nanoseconds},
    statistics::top,
    twin::{Arrival, Twin},
};

/// The filter on the peer port. Clones share one filter.
#[derive(Clone)]
pub struct PeerFilter {
    inner: Arc<Inner>,
}

struct Inner {
    ids: ConnectionIds,
    loaded: Kind,
    /// Why userspace judges although the kernel was wished for.
    fallback: OnceLock<String>,
    twin: Mutex<Twin>,
}

impl PeerFilter {
    /// Loads the policy where `mode` says. At an interface it is in force at once, on a socket after [`Self::attach`].
    pub fn load(mode: &Mode, policy: Policy) -> Result<PeerFilter, FilterError> {
        let twin = Twin::new(&policy)?;
        let loaded = match mode {
            Mode::Off => Kind::Off,
            _ => Kind::Userspace,
        };
        Ok(PeerFilter {
            inner: Arc::new(Inner {
                ids: ConnectionIds::new(policy.connection_id_key),
                loaded,
                fallback: OnceLock::new(),
                twin: Mutex::new(twin),
            }),
        })
    }

    /// Puts the filter on a UDP socket that is not bound yet, for good: nobody can take it off again.
    /// Does nothing where the filter does not sit on the socket.
    pub fn attach(&self, _socket: impl AsFd) -> Result<(), FilterError> {
        Ok(())
    }

    /// Where the policy is enforced.
    pub fn kind(&self) -> Kind {
        match self.inner.fallback.get() {
            Some(_) => Kind::Userspace,
            None => self.inner.loaded,
        }
    }

    /// Why userspace judges although `auto` would rather have the kernel do it.
    pub fn fallback(&self) -> Option<&str> {
        self.inner.fallback.get().map(String::as_str)
    }

    /// Shuts `peer` out for `span` from now; a quarantine in force is replaced. `reason` is kept for those who look.
    pub fn quarantine(&self, peer: u8, span: Duration, reason: u32) {
        let until_ns = monotonic_ns().saturating_add(nanoseconds(span));
        self.twin().quarantine(peer, until_ns, reason);
    }

    /// Lifts the quarantine of `peer`.
    pub fn release(&self, peer: u8) {
        self.twin().quarantine(peer, 0, 0);
    }

    /// Divides the rates of `peer` by `factor`, at most [`crate::TIGHTEN_FACTOR_MAX`]; 1 is normal.
    pub fn tighten(&self, peer: u8, factor: u32) {
        self.twin().tighten(peer, factor);
    }

    /// Notes what was seen in the messages of `peer`.
    pub fn behaviour(&self, peer: u8, change: Behaviour) {
        self.twin().behaviour(peer, change);
    }

    /// Returns what was counted since the filter was loaded.
    pub fn statistics(&self) -> Result<FilterStatistics, FilterError> {
        let now_ns = monotonic_ns();
        let twin = self.twin();
        Ok(FilterStatistics {
            kind: self.kind(),
            verdicts: twin.verdicts(),
            peers: twin.peers(now_ns),
            unknown: top(twin.unknown(now_ns)),
        })
    }

    /// Judges in userspace what the socket handed over, and counts it. To be asked when [`Self::kind`] is
    /// [`Kind::Userspace`]; with [`Kind::Off`] everything passes.
    ///
    /// `datagrams` are `stride` bytes each, the last one maybe fewer (GRO; `RecvMeta::stride` of quinn).
    pub fn judge(&self, from: SocketAddr, datagrams: &[u8], stride: usize) -> Verdict {
        if self.inner.loaded == Kind::Off {
            return Verdict::PassUnproven;
        }
        self.twin().judge(monotonic_ns(), &Arrival { from, datagrams, stride })
    }

    /// Makes and checks the connection ids that the filter knows as ours. QUIC must use them for every connection.
    pub fn connection_ids(&self) -> ConnectionIds {
        self.inner.ids
    }

    fn twin(&self) -> MutexGuard<'_, Twin> {
        self.inner.twin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for PeerFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PeerFilter").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
