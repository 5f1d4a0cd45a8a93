//! Who may be asked for a verdict: the twin, the programs at an interface, the program on a socket.

use std::{
    collections::HashMap,
    io,
    mem::offset_of,
    net::{IpAddr, SocketAddr},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use aya::{
    maps::{Array, PerCpuValues},
    programs::{
        ProgramError, SchedClassifier, SocketFilter, TcAttachType, TestRun, TestRunOptions, Xdp,
        tc::{self, NlOptions, TcAttachOptions},
    },
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{
    Packet, policy,
    wire::{Wrapping, frame},
};
use crate::{
    FilterStatistics, Kind, PeerStatistics, Policy, Verdict, VerdictCount,
    kernel::{
        Clock, Kernel,
        interrupted::uninterrupted,
        layout::{Config, Count},
    },
    statistics::top,
    twin::{Arrival, Twin},
};

/// One that judges by the policy, in a time that it is told.
pub(super) trait Judge {
    /// Forgets everything but the policy.
    fn reset(&mut self);
    fn at(&mut self, now_ns: u64);
    fn quarantine(&mut self, peer: u8, until_ns: u64);
    fn tighten(&mut self, peer: u8, factor: u32);
    fn judge(&mut self, packet: &Packet) -> Verdict;
    fn statistics(&self) -> FilterStatistics;
}

/// The userspace twin.
pub(super) struct InUserspace {
    twin: Twin,
    now_ns: u64,
}

impl InUserspace {
    pub(super) fn new() -> InUserspace {
        InUserspace { twin: Twin::new(&policy()).expect("the policy is sound"), now_ns: 0 }
    }
}

impl Judge for InUserspace {
    fn reset(&mut self) {
        *self = InUserspace::new();
    }

    fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    fn quarantine(&mut self, peer: u8, until_ns: u64) {
        self.twin.quarantine(peer, until_ns, 7);
    }

    fn tighten(&mut self, peer: u8, factor: u32) {
        self.twin.tighten(peer, factor);
    }

    fn judge(&mut self, packet: &Packet) -> Verdict {
        let Packet { from, datagrams, stride } = packet;
        self.twin.judge(self.now_ns, &Arrival { from: *from, datagrams, stride: *stride })
    }

    fn statistics(&self) -> FilterStatistics {
        FilterStatistics {
            kind: Kind::Userspace,
            verdicts: self.twin.verdicts(),
            peers: self.twin.peers(self.now_ns),
            unknown: top(self.twin.unknown(self.now_ns)),
        }
    }
}

/// The kernel's part with a clock of its own.
pub(super) struct InKernel {
    kernel: Kernel,
    policy: Policy,
    now_ns: u64,
}

impl InKernel {
    fn new(policy: Policy) -> InKernel {
        let kernel = Kernel::open(&policy, Clock::Injected).expect("the maps can be made");
        InKernel { kernel, policy, now_ns: 0 }
    }

    /// Forgets everything but the policy. Loading anew would do the same, a fifth of a second slower.
    fn reset(&mut self) {
        let map = self.kernel.bpf.map_mut("buckets").expect("it is in the object");
        let mut buckets = Array::<_, [u64; 2]>::try_from(map).expect("it is an array");
        for id in 0..=4 {
            buckets.set(id, [0, 0], 0).expect("there is a place for every peer");
        }
        for id in 0..=4 {
            self.kernel.quarantine(id, 0, 0);
            self.kernel.tighten(id, 0);
            let stats = &self.kernel.peer_stats[usize::from(id)];
            let counters =
                [&stats.total_messages, &stats.last_activity_ns, &stats.dropped_messages, &stats.bytes];
            counters.into_iter().for_each(|counter| counter.store(0, Relaxed));
        }
        let processors = aya::util::nr_cpus().expect("there are some");
        for verdict in Verdict::ALL {
            let zeros =
                PerCpuValues::try_from(vec![Count::default(); processors]).expect("as many as there are");
            self.kernel.verdicts.set(verdict as u32, zeros, 0).expect("there is a place for every verdict");
        }
        let sources: Vec<_> =
            self.kernel.unknown.keys().map(|key| key.expect("the map can be read")).collect();
        for source in sources {
            self.kernel.unknown.remove(&source).expect("it was there");
        }
    }

    fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        let map = self.kernel.bpf.map_mut("config").expect("it is in the object");
        let mut config = Array::<_, Config>::try_from(map).expect("it is an array");
        config.set(0, Config { clock_ns: now_ns, ..Config::of(&self.policy) }, 0).expect("it has one place");
    }

    fn verdicts(&self) -> Vec<VerdictCount> {
        self.kernel.verdicts().expect("the map can be read")
    }

    fn peers(&self) -> Vec<PeerStatistics> {
        (1..=4).map(|id| self.kernel.peer(id, self.now_ns)).collect()
    }

    fn statistics(&self, kind: Kind) -> FilterStatistics {
        FilterStatistics {
            kind,
            verdicts: self.verdicts(),
            peers: self.peers(),
            unknown: top(self.kernel.unknown(self.now_ns).expect("the map can be read")),
        }
    }

    /// Returns the verdict that was given since `before`, if one was.
    fn since(&self, before: &[VerdictCount]) -> Option<Verdict> {
        let after = self.verdicts();
        let mut given =
            after.iter().zip(before).filter(|(after, before)| after.datagrams != before.datagrams);
        let verdict = given.next().map(|(after, _)| after.verdict);
        assert!(given.next().is_none(), "one packet, one verdict");
        verdict
    }
}

/// A program at an interface, fed with frames through BPF_PROG_TEST_RUN.
pub(super) struct AtInterface {
    inner: InKernel,
    kind: Kind,
}

impl AtInterface {
    pub(super) fn new(kind: Kind) -> AtInterface {
        AtInterface::with_policy(kind, policy())
    }

    pub(super) fn with_policy(kind: Kind, policy: Policy) -> AtInterface {
        let mut inner = InKernel::new(policy);
        match kind {
            Kind::Tc => {
                let program: &mut SchedClassifier = inner.kernel.program_mut("at_ingress").unwrap();
                uninterrupted(|| program.load()).unwrap();
            }
            Kind::Xdp => {
                let program: &mut Xdp = inner.kernel.program_mut("at_driver").unwrap();
                uninterrupted(|| program.load()).unwrap();
            }
            _ => panic!("there is no such program at an interface"),
        }
        AtInterface { inner, kind }
    }

    /// Runs `frame` through the program at ingress on several threads at once, so many times on each, or fewer: a signal
    /// ends a call of BPF_PROG_TEST_RUN early.
    pub(super) fn judge_at_once(&self, frame: &[u8], threads: usize, times: u32) {
        let program = self.inner.kernel.bpf.program("at_ingress").expect("it is in the object");
        let program = <&SchedClassifier>::try_from(program).expect("it is of this kind");
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let (data_in, repeat) = (Some(frame), times / 100);
                        let _ =
                            program.test_run(TestRunOptions { data_in, repeat, ..TestRunOptions::default() });
                    }
                });
            }
        });
    }

    /// Puts the program where kernels without tcx have it.
    pub(super) fn attach_to_qdisc(&mut self, interface: &str) {
        tc::qdisc_add_clsact(interface).expect("the qdisc is new");
        let program: &mut SchedClassifier = self.inner.kernel.program_mut("at_ingress").unwrap();
        let options = TcAttachOptions::Netlink(NlOptions::default());
        program.attach_with_options(interface, TcAttachType::Ingress, options).expect("the qdisc takes it");
    }

    /// Returns the verdict on `frame`, or nothing when it passed uncounted.
    pub(super) fn judge_frame(&mut self, frame: &[u8], segments: u32, size: u32) -> Option<Verdict> {
        self.try_judge_frame(frame, segments, size).expect("the program runs")
    }

    /// As above, for a frame that BPF_PROG_TEST_RUN may not take.
    pub(super) fn try_judge_frame(
        &mut self,
        frame: &[u8],
        segments: u32,
        size: u32,
    ) -> Result<Option<Verdict>, ProgramError> {
        let before = self.inner.verdicts();
        let mut context = [0; SK_BUFF_BYTES];
        context[offset_of!(SkBuff, gso_segs)..][..4].copy_from_slice(&segments.to_ne_bytes());
        context[offset_of!(SkBuff, gso_size)..][..4].copy_from_slice(&size.to_ne_bytes());
        let mut options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        let kernel = &mut self.inner.kernel;
        let passes = match self.kind {
            Kind::Tc => {
                options.ctx_in = Some(&context);
                let program: &mut SchedClassifier = kernel.program_mut("at_ingress").unwrap();
                program.test_run(options)?.return_value as i32 == -1
            }
            _ => {
                let program: &mut Xdp = kernel.program_mut("at_driver").unwrap();
                program.test_run(options)?.return_value == 2
            }
        };
        let verdict = self.inner.since(&before);
        assert_eq!(passes, verdict.is_none_or(Verdict::passes), "{verdict:?}");
        Ok(verdict)
    }
}

impl Judge for AtInterface {
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn at(&mut self, now_ns: u64) {
        self.inner.at(now_ns);
    }

    fn quarantine(&mut self, peer: u8, until_ns: u64) {
        self.inner.kernel.quarantine(peer, until_ns, 7);
    }

    fn tighten(&mut self, peer: u8, factor: u32) {
        self.inner.kernel.tighten(peer, factor);
    }

    fn judge(&mut self, packet: &Packet) -> Verdict {
        let to = if packet.from.is_ipv4() { "192.0.2.100:7000" } else { "[2001:db8::100]:7000" };
        let frame = frame(packet, to.parse().unwrap(), &Wrapping::default());
        let segments = packet
            .datagrams
            .len()
            .checked_div(packet.stride)
            .map_or(0, |_| packet.datagrams.len().div_ceil(packet.stride) as u32);
        self.judge_frame(&frame, segments, packet.stride as u32).expect("the frame is for the peer port")
    }

    fn statistics(&self) -> FilterStatistics {
        self.inner.statistics(self.kind)
    }
}

/// The fields of `struct __sk_buff` that a test may set, at their places.
#[repr(C)]
struct SkBuff {
    before: [u8; 164],
    gso_segs: u32,
    sk: u64,
    gso_size: u32,
}
const SK_BUFF_BYTES: usize = 192;

/// The program on a socket, fed with real packets. Lives in a namespace whose loopback has every address.
pub(super) struct OnSocket {
    inner: InKernel,
    socket: Socket,
    senders: HashMap<SocketAddr, Socket>,
}

impl OnSocket {
    pub(super) fn new() -> OnSocket {
        let mut inner = InKernel::new(policy());
        let program: &mut SocketFilter = inner.kernel.program_mut("on_socket").unwrap();
        uninterrupted(|| program.load()).unwrap();
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        socket.set_only_v6(false).unwrap();
        set_option(&socket, UDP_GRO, 1);
        inner.kernel.attach(std::os::fd::AsFd::as_fd(&socket)).expect("the program can be attached");
        socket.bind(&SockAddr::from(policy().local)).unwrap();
        socket.set_nonblocking(true).unwrap();
        OnSocket { inner, socket, senders: HashMap::new() }
    }

    fn sender(&mut self, from: SocketAddr) -> &Socket {
        self.senders.entry(from).or_insert_with(|| {
            let socket = Socket::new(Domain::for_address(from), Type::DGRAM, None).unwrap();
            socket.bind(&from.into()).unwrap();
            socket
        })
    }

    fn received(&self) -> Option<Vec<u8>> {
        let mut buffer = Vec::with_capacity(70_000);
        match self.socket.recv_from(buffer.spare_capacity_mut()) {
            Ok((bytes, _)) => {
                // SAFETY: the kernel wrote that many bytes.
                unsafe { buffer.set_len(bytes) };
                Some(buffer)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Judge for OnSocket {
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn at(&mut self, now_ns: u64) {
        self.inner.at(now_ns);
    }

    fn quarantine(&mut self, peer: u8, until_ns: u64) {
        self.inner.kernel.quarantine(peer, until_ns, 7);
    }

    fn tighten(&mut self, peer: u8, factor: u32) {
        self.inner.kernel.tighten(peer, factor);
    }

    fn judge(&mut self, packet: &Packet) -> Verdict {
        let before = self.inner.verdicts();
        let to: SocketAddr = match packet.from.ip() {
            IpAddr::V4(_) => "192.0.2.100:7000".parse().unwrap(),
            IpAddr::V6(_) => "[2001:db8::100]:7000".parse().unwrap(),
        };
        let sender = self.sender(packet.from);
        set_option(sender, UDP_SEGMENT, packet.stride as libc::c_int);
        let sent = sender.send_to(&packet.datagrams, &to.into()).expect("loopback takes it");
        assert_eq!(sent, packet.datagrams.len());
        let deadline = Instant::now() + Duration::from_secs(10);
        let verdict = loop {
            if let Some(verdict) = self.inner.since(&before) {
                break verdict;
            }
            assert!(Instant::now() < deadline, "no verdict on {packet:?}");
            std::thread::yield_now();
        };
        // What passes is there, whole; what does not is not.
        let received = loop {
            let received = self.received();
            if received.is_some() || !verdict.passes() {
                break received;
            }
            assert!(Instant::now() < deadline, "{verdict} and yet it did not come: {packet:?}");
        };
        assert_eq!(received, verdict.passes().then(|| packet.datagrams.clone()));
        verdict
    }

    fn statistics(&self) -> FilterStatistics {
        self.inner.statistics(Kind::Socket)
    }
}

fn set_option(socket: &Socket, option: libc::c_int, value: libc::c_int) {
    let size = size_of_val(&value) as libc::socklen_t;
    let fd = std::os::fd::AsRawFd::as_raw_fd(socket);
    // SAFETY: the descriptor is open and the value an int that lives through the call.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_UDP, option, (&raw const value).cast(), size) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

const UDP_SEGMENT: libc::c_int = 103;
const UDP_GRO: libc::c_int = 104;
