//! `PeerFilter`: what the node holds, whichever place the policy is enforced at.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use socket2::SockRef;

use crate::{
    Behaviour, ConnectionIds, FilterError, FilterStatistics, Kind, Mode, Policy, TIGHTEN_FACTOR_MAX, Verdict,
    clock::{monotonic_ns, nanoseconds},
    kernel::{Kernel, XdpPlace},
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
    loaded: Place,
    /// Whether userspace may take over when the kernel cannot.
    may_fall_back: bool,
    /// Why userspace judges although the kernel was wished for.
    fallback: OnceLock<String>,
    kernel: Option<Kernel>,
    /// Follows what the kernel is told, so that it can take over at any time.
    twin: Mutex<Twin>,
}

/// Where the policy was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Socket,
    Tc,
    Xdp(XdpPlace),
    Userspace,
    Off,
}

impl PeerFilter {
    /// Loads the policy where `mode` says. At an interface it is in force at once, on a socket after [`Self::attach`].
    pub fn load(mode: &Mode, policy: Policy) -> Result<PeerFilter, FilterError> {
        let twin = Twin::new(&policy)?;
        let fallback = OnceLock::new();
        let (loaded, kernel) = match mode {
            Mode::Off => (Place::Off, None),
            Mode::Userspace => (Place::Userspace, None),
            Mode::Socket => (Place::Socket, Some(Kernel::on_socket(&policy)?)),
            Mode::Tc(interface) => (Place::Tc, Some(Kernel::at_ingress(&policy, interface)?)),
            Mode::Xdp(interface) => {
                let (kernel, place) = Kernel::at_driver(&policy, interface)?;
                (Place::Xdp(place), Some(kernel))
            }
            Mode::Auto => match Kernel::on_socket(&policy) {
                Ok(kernel) => (Place::Socket, Some(kernel)),
                Err(error) => {
                    fallback.get_or_init(|| error.fallback_reason());
                    (Place::Userspace, None)
                }
            },
        };
        let ids = ConnectionIds::new(policy.connection_id_key);
        let may_fall_back = *mode == Mode::Auto;
        Ok(PeerFilter {
            inner: Arc::new(Inner { ids, loaded, may_fall_back, fallback, kernel, twin: Mutex::new(twin) }),
        })
    }

    /// Puts the filter on a UDP socket that is not bound yet, for good: nobody can take it off again.
    /// Does nothing where the filter does not sit on the socket.
    ///
    /// # Errors
    ///
    /// A bound socket is refused, because datagrams that nobody judged may wait in it; so is what the kernel refuses.
    /// With [`Mode::Auto`] neither is an error: userspace takes over ([`Self::fallback`] says why).
    pub fn attach(&self, socket: impl AsFd) -> Result<(), FilterError> {
        let Some(kernel) = self.kernel().filter(|_| self.inner.loaded == Place::Socket) else {
            return Ok(());
        };
        match attach_unbound(kernel, socket.as_fd()) {
            Err(error) if self.inner.may_fall_back => {
                self.inner.fallback.get_or_init(|| error.fallback_reason());
                Ok(())
            }
            result => result,
        }
    }

    /// Where the policy is enforced.
    pub fn kind(&self) -> Kind {
        match self.inner.loaded {
            _ if self.inner.fallback.get().is_some() => Kind::Userspace,
            Place::Socket => Kind::Socket,
            Place::Tc => Kind::Tc,
            Place::Xdp(_) => Kind::Xdp,
            Place::Userspace => Kind::Userspace,
            Place::Off => Kind::Off,
        }
    }

    /// Whether the filter sits behind a driver that has no XDP of its own (generic XDP), which is slower.
    pub fn is_generic_xdp(&self) -> bool {
        self.inner.loaded == Place::Xdp(XdpPlace::Generic)
    }

    /// Why userspace judges although `auto` would rather have the kernel do it.
    pub fn fallback(&self) -> Option<&str> {
        self.inner.fallback.get().map(String::as_str)
    }

    /// Shuts `peer` out for `span` from now; a quarantine in force is replaced. `reason` is kept for those who look.
    pub fn quarantine(&self, peer: u8, span: Duration, reason: u32) {
        let until_ns = monotonic_ns().saturating_add(nanoseconds(span));
        self.set_quarantine(peer, until_ns, reason);
    }

    /// Lifts the quarantine of `peer`.
    pub fn release(&self, peer: u8) {
        self.set_quarantine(peer, 0, 0);
    }

    /// Divides the rates of `peer` by `factor`, at most [`crate::TIGHTEN_FACTOR_MAX`]; 1 is normal.
    pub fn tighten(&self, peer: u8, factor: u32) {
        let factor = factor.clamp(1, TIGHTEN_FACTOR_MAX);
        if let Some(kernel) = &self.inner.kernel {
            kernel.tighten(peer, factor);
        }
        self.twin().tighten(peer, factor);
    }

    /// Notes what was seen in the messages of `peer`.
    pub fn behaviour(&self, peer: u8, change: Behaviour) {
        if let Some(kernel) = &self.inner.kernel {
            kernel.behaviour(peer, change);
        }
        self.twin().behaviour(peer, change);
    }

    /// Returns what was counted since the filter was loaded.
    pub fn statistics(&self) -> Result<FilterStatistics, FilterError> {
        let now_ns = monotonic_ns();
        let twin = self.twin();
        let kind = self.kind();
        Ok(match self.kernel() {
            Some(kernel) => FilterStatistics {
                kind,
                verdicts: kernel.verdicts()?,
                peers: twin.peer_ids().into_iter().map(|id| kernel.peer(id, now_ns)).collect(),
                unknown: top(kernel.unknown(now_ns)?),
            },
            None => FilterStatistics {
                kind,
                verdicts: twin.verdicts(),
                peers: twin.peers(now_ns),
                unknown: top(twin.unknown(now_ns)),
            },
        })
    }

    /// Judges in userspace what the socket handed over, and counts it. To be asked when [`Self::kind`] is
    /// [`Kind::Userspace`]; with [`Kind::Off`] everything passes.
    ///
    /// `datagrams` are `stride` bytes each, the last one maybe fewer (GRO; `RecvMeta::stride` of quinn).
    pub fn judge(&self, from: SocketAddr, datagrams: &[u8], stride: usize) -> Verdict {
        if self.inner.loaded == Place::Off {
            return Verdict::PassUnproven;
        }
        self.twin().judge(monotonic_ns(), &Arrival { from, datagrams, stride })
    }

    /// Makes and checks the connection ids that the filter knows as ours. QUIC must use them for every connection.
    pub fn connection_ids(&self) -> ConnectionIds {
        self.inner.ids
    }

    fn set_quarantine(&self, peer: u8, until_ns: u64, reason: u32) {
        if let Some(kernel) = &self.inner.kernel {
            kernel.quarantine(peer, until_ns, reason);
        }
        self.twin().quarantine(peer, until_ns, reason);
    }

    /// The kernel's part, while it is the one that judges.
    fn kernel(&self) -> Option<&Kernel> {
        self.inner.kernel.as_ref().filter(|_| self.inner.fallback.get().is_none())
    }

    fn twin(&self) -> MutexGuard<'_, Twin> {
        self.inner.twin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attach_unbound(kernel: &Kernel, socket: BorrowedFd<'_>) -> Result<(), FilterError> {
    let address = SockRef::from(&socket).local_addr().ok().and_then(|address| address.as_socket());
    match address.filter(|address| address.port() != 0) {
        Some(address) => Err(FilterError::AlreadyBound { address }),
        None => kernel.attach(socket),
    }
}

impl std::fmt::Debug for PeerFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PeerFilter").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
