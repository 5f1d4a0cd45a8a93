//! The policy in the kernel: loads the committed object, fills its maps, puts a program in its place.
//!
//! Maps are filled before a program is put anywhere. Afterwards nothing here needs a privilege: quarantines and
//! counters of peers are shared memory, the rest is read through descriptors that are already open.

mod interface;
pub(crate) mod interrupted;
pub(crate) mod layout;
mod refusal;
mod shared;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, HashMap, Map, MapData, PerCpuArray},
    programs::{SchedClassifier, SocketFilter, TcAttachType, Xdp, XdpMode, tc},
};

use self::{
    interrupted::uninterrupted,
    layout::{Config, Count, PeerStats, RawSource, Standing, Unknown},
    refusal::os_error,
    shared::{Cell, Shared},
};
use crate::{
    Behaviour, FilterError, PeerStatistics, Policy, UnknownSource, Verdict, VerdictCount,
    address::from_octets,
    statistics::thousandths,
    twin::{ago, quarantine_state},
    unknown::UNKNOWN_SOURCES_MAX,
};

/// A loaded program and its maps. Dropping it takes the program off an interface again; a socket keeps it.
pub(crate) struct Kernel {
    pub(crate) bpf: Ebpf,
    quarantine: Shared<Standing>,
    pub(crate) peer_stats: Shared<PeerStats>,
    pub(crate) verdicts: PerCpuArray<MapData, Count>,
    pub(crate) unknown: HashMap<MapData, [u8; 16], Unknown>,
}

/// How XDP runs on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum XdpPlace {
    /// In the driver.
    Native,
    /// Behind the driver, which has no XDP of its own.
    Generic,
}

/// Whose time the program goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The kernel's monotonic clock.
    Kernel,
    /// What the map `config` says: for tests, in which time is an argument.
    #[cfg(test)]
    Injected,
}

impl Kernel {
    /// Loads the program that [`Kernel::attach`] then puts on sockets.
    pub(crate) fn on_socket(policy: &Policy) -> Result<Kernel, FilterError> {
        let mut kernel = Kernel::open(policy, Clock::Kernel)?;
        let program: &mut SocketFilter = kernel.program_mut(ON_SOCKET)?;
        uninterrupted(|| program.load()).map_err(|error| refusal::on_socket("load the program", error))?;
        Ok(kernel)
    }

    /// Loads the program and puts it at the ingress of `interface`.
    pub(crate) fn at_ingress(policy: &Policy, interface: &str) -> Result<Kernel, FilterError> {
        check_place(policy, interface)?;
        let mut kernel = Kernel::open(policy, Clock::Kernel)?;
        let program: &mut SchedClassifier = kernel.program_mut(AT_INGRESS)?;
        let refused = |what| move |error| refusal::at_interface(what, interface, error);
        uninterrupted(|| program.load()).map_err(refused("load the program"))?;
        // Kernels before 6.6 have no tcx: there the program hangs on the qdisc clsact, which may have to be made.
        if program.attach(interface, TcAttachType::Ingress).is_err() {
            let _ = tc::qdisc_add_clsact(interface);
            program.attach(interface, TcAttachType::Ingress).map_err(refused("attach the program"))?;
        }
        Ok(kernel)
    }

    /// Loads the program and puts it at the driver of `interface`, or behind it where the driver cannot.
    pub(crate) fn at_driver(policy: &Policy, interface: &str) -> Result<(Kernel, XdpPlace), FilterError> {
        check_place(policy, interface)?;
        let mut kernel = Kernel::open(policy, Clock::Kernel)?;
        let program: &mut Xdp = kernel.program_mut(AT_DRIVER)?;
        let refused = |what| move |error| refusal::at_interface(what, interface, error);
        uninterrupted(|| program.load()).map_err(refused("load the program"))?;
        let place = match program.attach(interface, XdpMode::Driver) {
            Ok(_) => XdpPlace::Native,
            Err(error) if matches!(os_error(&error), Some(libc::EBUSY | libc::EPERM)) => {
                return Err(refused("attach the program")(error));
            }
            Err(_) => {
                program.attach(interface, XdpMode::Skb).map_err(refused("attach the program"))?;
                XdpPlace::Generic
            }
        };
        Ok((kernel, place))
    }

    /// Puts the program on `socket` and locks it there.
    pub(crate) fn attach(&self, socket: BorrowedFd<'_>) -> Result<(), FilterError> {
        let program = self.bpf.program(ON_SOCKET).ok_or_else(missing)?;
        let program =
            <&SocketFilter>::try_from(program).map_err(|error| kernel("find the program", error))?;
        program.attach(socket).map_err(|error| refusal::on_socket("attach the program", error))?;
        crate::socket_options::lock_filter(socket)
            .map_err(|error| kernel("lock the program on the socket", error))
    }

    /// Creates and fills the maps.
    pub(crate) fn open(policy: &Policy, clock: Clock) -> Result<Kernel, FilterError> {
        let sources = policy.sources()?;
        let mut loader = EbpfLoader::new();
        let injected = u64::from(clock != Clock::Kernel);
        loader.override_global("injected_clock", &injected, true);
        let mut bpf = loader.load(OBJECT).map_err(refusal::creating)?;
        let mut config: Array<_, Config> = typed(bpf.map_mut("config").ok_or_else(missing)?)?;
        config.set(0, Config::of(policy), 0).map_err(|error| kernel("fill a map", error))?;
        let mut peers: HashMap<_, RawSource, u32> = typed(bpf.map_mut("peers").ok_or_else(missing)?)?;
        for (source, id) in sources {
            let (key, value) = (RawSource::from(source), u32::from(id));
            peers.insert(key, value, 0).map_err(|error| kernel("fill a map", error))?;
        }
        Ok(Kernel {
            quarantine: share(&bpf, "quarantine")?,
            peer_stats: share(&bpf, "peer_stats")?,
            verdicts: typed(take(&mut bpf, "verdicts")?)?,
            unknown: typed(take(&mut bpf, "unknown_stats")?)?,
            bpf,
        })
    }

    pub(crate) fn program_mut<'a, P>(&'a mut self, name: &'static str) -> Result<P, FilterError>
    where
        P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
    {
        let program = self.bpf.program_mut(name).ok_or_else(missing)?;
        P::try_from(program).map_err(|error| kernel("find the program", error))
    }

    /// The reason is there before the quarantine is: who reads between the two sees no wrong reason for long.
    pub(crate) fn quarantine(&self, peer: u8, until_ns: u64, reason: u32) {
        let standing = &self.quarantine[usize::from(peer)];
        standing.reason.store(reason, Relaxed);
        standing.quarantined_until_ns.store(until_ns, Relaxed);
    }

    pub(crate) fn tighten(&self, peer: u8, factor: u32) {
        self.quarantine[usize::from(peer)].tightened.store(factor, Relaxed);
    }

    pub(crate) fn behaviour(&self, peer: u8, change: Behaviour) {
        let stats = &self.peer_stats[usize::from(peer)];
        let counter = match change {
            Behaviour::InvalidSignature => &stats.invalid_signatures,
            Behaviour::TimingViolation => &stats.timing_violations,
            Behaviour::ContradictoryResponse => &stats.contradictory_responses,
            Behaviour::Reputation(score) => return stats.reputation_score.store(thousandths(score), Relaxed),
            Behaviour::Faultless => return stats.consecutive_faults.store(0, Relaxed),
        };
        counter.fetch_add(1, Relaxed);
        stats.consecutive_faults.fetch_add(1, Relaxed);
    }

    pub(crate) fn verdicts(&self) -> Result<Vec<VerdictCount>, FilterError> {
        let count = |verdict: Verdict| {
            let counts =
                self.verdicts.get(&(verdict as u32), 0).map_err(|error| kernel("read a map", error))?;
            Ok(VerdictCount {
                verdict,
                datagrams: counts.iter().map(|count| count.datagrams).sum(),
                bytes: counts.iter().map(|count| count.bytes).sum(),
            })
        };
        Verdict::ALL.into_iter().map(count).collect()
    }

    pub(crate) fn peer(&self, id: u8, now_ns: u64) -> PeerStatistics {
        let (stats, standing) = (&self.peer_stats[usize::from(id)], &self.quarantine[usize::from(id)]);
        let until_ns = standing.quarantined_until_ns.load(Relaxed);
        PeerStatistics {
            id,
            total_messages: stats.total_messages.load(Relaxed),
            invalid_signatures: stats.invalid_signatures.load(Relaxed),
            timing_violations: stats.timing_violations.load(Relaxed),
            contradictory_responses: stats.contradictory_responses.load(Relaxed),
            last_activity: ago(stats.last_activity_ns.load(Relaxed), now_ns),
            reputation_score: stats.reputation_score.load(Relaxed),
            consecutive_faults: stats.consecutive_faults.load(Relaxed),
            dropped_messages: stats.dropped_messages.load(Relaxed),
            bytes: stats.bytes.load(Relaxed),
            quarantine: quarantine_state(until_ns, standing.reason.load(Relaxed), now_ns),
            tightened: standing.tightened.load(Relaxed).max(1),
        }
    }

    /// Under a flood entries go while they are listed; the list then starts again, so that some may come twice.
    pub(crate) fn unknown(&self, now_ns: u64) -> Result<Vec<UnknownSource>, FilterError> {
        let entries = self.unknown.iter().take(UNKNOWN_SOURCES_MAX).collect::<Result<BTreeMap<_, _>, _>>();
        let source = |(octets, seen): ([u8; 16], Unknown)| UnknownSource {
            address: from_octets(octets),
            datagrams: seen.datagrams,
            bytes: seen.bytes,
            last_seen: Duration::from_nanos(now_ns.saturating_sub(seen.last_ns)),
        };
        Ok(entries.map_err(|error| kernel("read a map", error))?.into_iter().map(source).collect())
    }
}

fn check_place(policy: &Policy, interface: &str) -> Result<(), FilterError> {
    if policy.local.port() == 0 {
        return Err(FilterError::PortUnknown);
    }
    interface::check(interface)
}

fn take(bpf: &mut Ebpf, name: &'static str) -> Result<Map, FilterError> {
    bpf.take_map(name).ok_or_else(missing)
}

fn typed<M, T: TryFrom<M, Error = aya::maps::MapError>>(map: M) -> Result<T, FilterError> {
    T::try_from(map).map_err(|error| kernel("open a map", error))
}

/// The map stays in `bpf` as well: the programs refer to its descriptor when they are loaded.
fn share<T: Cell>(bpf: &Ebpf, name: &str) -> Result<Shared<T>, FilterError> {
    let Some(Map::Array(data)) = bpf.map(name) else { return Err(missing()) };
    Shared::map(data.fd().as_fd()).map_err(|error| kernel("share a map", error))
}

/// The object is part of this crate, and so are the names in it.
fn missing() -> FilterError {
    kernel("find a part of the object", io::Error::from(io::ErrorKind::NotFound))
}

fn kernel(what: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FilterError {
    FilterError::Kernel { what, source: error.into() }
}

/// The names of the programs in `bpf/peer_filter.bpf.c`.
const ON_SOCKET: &str = "on_socket";
const AT_INGRESS: &str = "at_ingress";
const AT_DRIVER: &str = "at_driver";

/// What `bpf/build` made of `bpf/peer_filter.bpf.c`.
static OBJECT: &[u8] = include_bytes_aligned!("../../bpf/peer_filter.bpf.o");
