//! Four replicas under steady load, to which a test does something, and the judgement of all that they certified meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ask::{Ask, Outcome, ask_all};
use crate::cluster::{Cluster, READY};
use crate::history::{Summary, Witness, judge};
use crate::load::Load;
use crate::network::Network;
use crate::program::eventually;
use crate::upstream::Upstream;

/// n
pub const REPLICAS: usize = 4;
/// Every replica is asked so often.
const PACE: Duration = Duration::from_millis(125);
/// The certified answers of each replica before anything happens to it.
const BEGINNING: usize = 10;
/// Names that are asked again, of every other replica.
const ASKED_AGAIN_MAX: usize = 100;
/// What a client may get while a primary is replaced, beside certified answers: SERVFAIL, or an answer that is safe but whose commits
/// were not in when the client's time was up.
const UNCERTIFIED: [u16; 2] = [0, 2];

/// Every name exists, so that each question can be a new one.
pub(crate) const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n* IN A 192.0.2.80\n";

/// One scene at a time: what makes a primary suspect is that others are faster.
static STAGE: Mutex<()> = Mutex::new(());

/// Nobody else is on stage while this is held.
pub fn stage() -> MutexGuard<'static, ()> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster under load.
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    /// Who asks it, each replica by its id.
    pub load: Load,
    /// The hosts, when each replica has one of its own.
    pub network: Option<Network>,
    again: Vec<Witness>,
    _upstream: Upstream,
    _stage: MutexGuard<'static, ()>,
}

impl Scene {
    /// A cluster on loopback over an upstream, its files as they are made; nothing runs yet.
    pub fn files() -> (Cluster, Upstream) {
        let upstream = Upstream::serve("example.org.", ZONE);
        let cluster = Cluster::new(REPLICAS, &[upstream.address.to_string()]);
        (cluster, upstream)
    }

    /// Starts the cluster, then the load, and waits until every replica has certified answers.
    ///
    /// Panics: when one does not get there.
    pub fn begin(mut cluster: Cluster, upstream: Upstream, network: Option<Network>) -> Scene {
        let stage = stage();
        cluster.start_all();
        let servers: Vec<SocketAddr> = (0..REPLICAS).map(|id| cluster.dns_address(id)).collect();
        let load = Load::start(&servers, "load", PACE);
        let scene = Scene { cluster, load, network, again: Vec::new(), _upstream: upstream, _stage: stage };
        (0..REPLICAS).for_each(|id| scene.certifies(id, BEGINNING));
        scene
    }

    /// Four replicas on loopback, as most tests want them.
    pub fn on_loopback() -> Scene {
        let (cluster, upstream) = Scene::files();
        Scene::begin(cluster, upstream, None)
    }

    /// Four replicas on hosts of their own, whose cables can be pulled.
    pub fn on_a_network() -> Scene {
        let network = Network::new(REPLICAS);
        let hosts: Vec<IpAddr> = (0..REPLICAS).map(|id| network.address(id)).collect();
        let upstream = Upstream::serve_at(network.here(), "example.org.", ZONE);
        let mut cluster = Cluster::on_hosts(&hosts, &[upstream.address.to_string()]);
        for (id, surroundings) in cluster.surroundings.iter_mut().enumerate() {
            surroundings.namespace = Some(network.namespace(id));
        }
        Scene::begin(cluster, upstream, Some(network))
    }

    /// Who is primary, in the eyes of replica `id`.
    pub fn primary(&self, id: usize) -> usize {
        let primary = || self.cluster.status(id)?["primary"].as_u64();
        eventually(&format!("replica {id} to name the primary"), READY, primary) as usize
    }

    /// The view that replica `id` is in.
    ///
    /// Panics: when it does not say so in time.
    pub fn view(&self, id: usize) -> u64 {
        let view = || self.cluster.status(id)?["view"].as_u64();
        eventually(&format!("replica {id} to name its view"), READY, view)
    }

    /// The first certified answer to a question that was asked after `since`, of replicas other than `away`.
    ///
    /// Panics: when there is none for a minute.
    pub fn next_certified(&self, since: Instant, away: usize) -> Ask {
        let what = format!("an answer that the others certify without replica {away}");
        self.wait_for(&what, || self.load.first_certified(since, |ask| ask.server != away))
    }

    /// Waits until replica `id` has given `count` certified answers to questions asked from now on.
    ///
    /// Panics: when it does not for a minute.
    pub fn certifies(&self, id: usize, count: usize) {
        let since = Instant::now();
        let found = || self.load.asks().iter().filter(|ask| answers(ask, id, since)).count();
        self.wait_for(&format!("replica {id} to answer {count} questions"), || {
            (found() >= count).then_some(())
        });
    }

    /// Waits until replica `id` is in `view` or a later one.
    ///
    /// Panics: when it is not for a minute.
    pub fn reaches_view(&self, id: usize, view: u64) {
        self.wait_for(&format!("replica {id} to reach view {view}"), || {
            (self.cluster.status(id)?["view"].as_u64()? >= view).then_some(())
        });
    }

    /// Waits until replica `id` has executed what the others have.
    ///
    /// Panics: when it has not for a minute.
    pub fn catches_up(&self, id: usize) {
        let executed = |id: usize| self.cluster.status(id)?["executed"].as_u64();
        let others: Vec<usize> = (0..REPLICAS).filter(|other| *other != id).collect();
        let goal = others.iter().filter_map(|other| executed(*other)).max().expect("somebody answers");
        self.wait_for(&format!("replica {id} to execute slot {goal}"), || {
            (executed(id)? >= goal).then_some(())
        });
    }

    /// Asks all replicas but `away` for names that were certified before `until`, again when one of them says SERVFAIL: the answers stand
    /// beside the first ones when all are judged.
    ///
    /// Panics: when there is a name that one of them does not answer with a certificate for a minute.
    pub fn ask_again(&mut self, until: Instant, away: usize) {
        let before = self.load.asks().into_iter().filter(|ask| ask.ended < until && ask.slot().is_some());
        let before: BTreeMap<String, Ask> = before.map(|ask| (ask.name.clone(), ask)).collect();
        let again = before.values().rev().take(ASKED_AGAIN_MAX);
        let servers: Vec<usize> = (0..REPLICAS).filter(|id| *id != away).collect();
        let mut questions: Vec<(usize, SocketAddr, String)> = again
            .flat_map(|ask| servers.iter().map(|id| (*id, self.cluster.dns_address(*id), ask.name.clone())))
            .collect();
        let (mut witnesses, mut rounds, began) = (Vec::new(), Vec::new(), Instant::now());
        self.wait_for("what was certified before to be answered again", || {
            let asks = ask_all(std::mem::take(&mut questions));
            witnesses.extend(asks.iter().filter_map(|ask| ask.witness(before[&ask.name].asked_ms)));
            let open = asks.into_iter().filter(|ask| !ask.is_certified());
            questions =
                open.map(|ask| (ask.server, self.cluster.dns_address(ask.server), ask.name)).collect();
            rounds.push((began.elapsed(), questions.len()));
            questions.is_empty().then_some(())
        });
        if let [.., (first, open), _] = &rounds[..rounds.len().min(2)] {
            let (last, _) = rounds[rounds.len() - 1];
            println!("{open} answers were SERVFAIL after {first:.1?}, none after {last:.1?}");
        }
        self.again.extend(witnesses);
    }

    /// Asks `look` until it finds something.
    ///
    /// Panics: when it finds nothing for a minute, with what the replicas say about themselves.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + READY;
        eventually(what, READY * 2, || {
            let found = look();
            assert!(
                found.is_some() || Instant::now() < deadline,
                "waited for {what}; the replicas:\n{}",
                self.account()
            );
            found
        })
    }

    /// How every replica stands, for messages.
    pub fn account(&self) -> String {
        let statuses =
            (0..REPLICAS).map(|id| self.cluster.status(id).map_or("silent".to_owned(), |s| s.to_string()));
        statuses.collect::<Vec<_>>().join("\n")
    }

    /// The service is back: every replica certifies, all have executed the same, none has a proof against another. Then everything that
    /// clients got is judged.
    ///
    /// Panics: when any of that does not hold.
    pub fn end(self) -> (Vec<Ask>, Summary) {
        (0..REPLICAS).for_each(|id| self.certifies(id, 1));
        let asks = self.load.stop();
        let status = |id: usize, key: &str| self.cluster.status(id)?[key].as_u64();
        eventually("all replicas to have executed the same", READY, || {
            let first = status(0, "executed")?;
            (1..REPLICAS).all(|id| status(id, "executed") == Some(first)).then_some(())
        });
        for id in 0..REPLICAS {
            let proofs = proofs(&self.cluster, id);
            assert!(proofs.is_empty(), "replica {id} proves {proofs:?}; its log:\n{}", self.cluster.log(id));
        }
        for ask in &asks {
            let expected = match &ask.outcome {
                Outcome::Certificate(_) | Outcome::Reference(_) | Outcome::Lost(_) => true,
                Outcome::Rcode(rcode) => UNCERTIFIED.contains(rcode),
            };
            assert!(expected, "expected an answer, SERVFAIL or nothing, got {ask:?}");
        }
        let mut witnesses: Vec<Witness> = asks.iter().filter_map(|ask| ask.witness(ask.asked_ms)).collect();
        witnesses.extend(self.again);
        let judged = judge(&self.cluster.dir.join("cluster.toml"), &witnesses);
        let summary =
            judged.unwrap_or_else(|findings| panic!("what was certified does not hold:\n{findings}"));
        assert_eq!(summary.certificates, witnesses.len());
        (asks, summary)
    }
}

/// Whether `ask` is a certified answer of replica `id` to a question asked after `since`.
fn answers(ask: &Ask, id: usize, since: Instant) -> bool {
    ask.server == id && ask.asked > since && ask.is_certified()
}

/// What replica `id` holds as proof against others. A proposal that it refused, for its time, proves nothing.
fn proofs(cluster: &Cluster, id: usize) -> Vec<String> {
    let evidence = std::fs::read_dir(cluster.folder(id).join("state/evidence"));
    let names = evidence.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !name.contains("refused-proposal")).collect()
}
