//! Load: names that nobody asked before, or a few again and again, of several replicas.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::ask::{Ask, Transport, ask, query};

/// Clients that ask on and on, at a fixed pace, until they are stopped, and remember what became of each question.
///
/// The pace does not depend on the answers, as that of many clients does not: what a cluster that stands still makes people wait for
/// shows. Every other name goes over TCP and brings its certificate; the others go over UDP and bring its reference.
pub struct Load {
    asks: Arc<Mutex<Vec<Ask>>>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    clients: JoinSet<()>,
}

impl Load {
    /// Asks each of `servers` for a new name below `example.org`, which begins with `label`, every so often.
    ///
    /// Panics: when the machine gives no thread.
    pub fn start(servers: &[SocketAddr], label: &str, every: Duration) -> Load {
        Load::of(servers, Names::New(label.to_owned()), every)
    }

    /// Asks each of `servers` for the next of `names` every so often, and after the last for the first again.
    ///
    /// Panics: when there is no name, or the machine gives no thread.
    pub fn repeat(servers: &[SocketAddr], names: &[String], every: Duration) -> Load {
        assert!(!names.is_empty(), "expected names to ask for");
        Load::of(servers, Names::Again(names.to_vec()), every)
    }

    fn of(servers: &[SocketAddr], names: Names, every: Duration) -> Load {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads can be made");
        let asks: Arc<Mutex<Vec<Ask>>> = Arc::default();
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        for (server, address) in servers.iter().copied().enumerate() {
            let client = Client { server, address, names: names.clone(), asks: asks.clone() };
            clients.spawn_on(client.run(every, stop.subscribe()), runtime.handle());
        }
        Load { asks, stop, runtime, clients }
    }

    /// All questions that have ended so far, in the order of their ends.
    pub fn asks(&self) -> Vec<Ask> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first certified answer so far to a question that was asked after `since` and that `wanted` takes.
    pub fn first_certified(&self, since: Instant, wanted: impl Fn(&Ask) -> bool) -> Option<Ask> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut later = asks.iter().filter(|ask| ask.asked > since && ask.is_certified());
        later.find(|ask| wanted(ask)).cloned()
    }

    /// Stops asking, waits for what is under way, and returns all questions.
    pub fn stop(mut self) -> Vec<Ask> {
        self.stop.send_replace(true);
        self.runtime.block_on(async { while self.clients.join_next().await.is_some() {} });
        self.asks()
    }
}

/// What a load asks for.
#[derive(Clone)]
enum Names {
    /// A new name every time, with this label.
    New(String),
    /// These in turn.
    Again(Vec<String>),
}

impl Names {
    /// The name of question `number` to this server.
    fn name(&self, server: usize, number: u64) -> String {
        match self {
            Names::New(label) => format!("{label}-{server}-{number}.example.org"),
            Names::Again(names) => names[number as usize % names.len()].clone(),
        }
    }
}

/// Who asks one server.
struct Client {
    server: usize,
    address: SocketAddr,
    names: Names,
    asks: Arc<Mutex<Vec<Ask>>>,
}

impl Client {
    async fn run(self, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut under_way = JoinSet::new();
        for number in 0_u64.. {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = pace.tick() => {}
            }
            while under_way.try_join_next().is_some() {}
            let transport = if number % 2 == 0 { Transport::Tcp } else { Transport::Udp };
            let name = self.names.name(self.server, number);
            let (server, address, asks) = (self.server, self.address, self.asks.clone());
            under_way.spawn(async move {
                let ask = ask((server, address), transport, name).await;
                asks.lock().unwrap_or_else(PoisonError::into_inner).push(ask);
            });
        }
        while under_way.join_next().await.is_some() {}
    }
}

/// Asks `servers` for new names below `cold.example.org`, which begin with `label`, as fast as answers come, `in_flight` at a time of each,
/// until it is `enough`; returns how many came.
///
/// Panics: when it is not enough within `limit`.
pub fn flood(
    servers: &[SocketAddr],
    (label, in_flight): (&str, usize),
    limit: Duration,
    mut enough: impl FnMut() -> bool,
) -> u64 {
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for (server, address) in servers.iter().enumerate() {
            let (answered, stop) = (&answered, &stop);
            scope.spawn(move || {
                flood_one(*address, (&format!("{label}-{server}"), in_flight), answered, stop);
            });
        }
        let until = Instant::now() + limit;
        while !enough() && Instant::now() < until {
            std::thread::park_timeout(ENOUGH_POLL);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(enough(), "not enough within {limit:?}: {} answers", answered.load(Ordering::Relaxed));
    });
    answered.into_inner()
}

fn flood_one(
    address: SocketAddr,
    (label, in_flight): (&str, usize),
    answered: &AtomicU64,
    stop: &AtomicBool,
) {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).expect("the machine has free ports");
    socket.connect(address).expect("the server can be reached");
    socket.set_read_timeout(Some(LOST_AFTER)).expect("a time-out can be set");
    let mut buffer = [0; 4096];
    let mut asked = 0_u64;
    let mut send = || {
        asked += 1;
        // A server that is gone refuses: the flood goes on when it is back.
        let _ = socket.send(&query(asked as u16, &format!("{label}-{asked}.cold.example.org"), None));
    };
    (0..in_flight).for_each(|_| send());
    while !stop.load(Ordering::Relaxed) {
        // A lost query is replaced.
        if socket.recv(&mut buffer).is_ok_and(|length| length > 12 && buffer[3] & 0xf == 0) {
            answered.fetch_add(1, Ordering::Relaxed);
        }
        send();
    }
}

/// After so long without an answer the flood takes one as lost.
const LOST_AFTER: Duration = Duration::from_millis(500);
/// How often the flood asks whether it is enough.
const ENOUGH_POLL: Duration = Duration::from_millis(50);
