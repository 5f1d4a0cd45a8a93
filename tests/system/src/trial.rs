//! Four replicas of which one misbehaves, under steady load on the honest three, and what these come to say of it.
//!
//! The honest replicas run the program as it is used; the adversary runs the same with the cargo feature `adversary`, or as it is used too, with an
//! upstream that lies to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ask::{Ask, Outcome};
use crate::cluster::{Cluster, READY};
use crate::history::{Witness, judge};
use crate::load::Load;
use crate::program::{eventually, quorate_with_adversaries, run, stdout};
use crate::scene::{REPLICAS, ZONE, stage};
use crate::upstream::Upstream;

/// Every honest replica is asked so often: together 12 slots a second, or fewer when questions share one.
const PACE: Duration = Duration::from_millis(250);
/// What every name of the honest zone has.
const TRUTH: &str = "192.0.2.80";
/// The same where the same few names are asked for again and again.
const PACE_AGAIN: Duration = Duration::from_millis(500);

/// A cluster with an adversary.
pub struct Trial {
    /// The cluster.
    pub cluster: Cluster,
    /// The replica that misbehaves.
    pub adversary: usize,
    load: Load,
    began: Instant,
    /// How long what the honest replicas say may take.
    patience: Duration,
    /// Whether names are decided more than once, as their TTL ends.
    decided_again: bool,
    /// Slots that each honest replica had executed at the beginning.
    executed: BTreeMap<usize, u64>,
    _upstreams: Vec<Upstream>,
    _stage: MutexGuard<'static, ()>,
}

/// When honest replicas had named the adversary.
#[derive(Clone, Debug)]
pub struct Named {
    /// Which of them.
    pub by: Vec<usize>,
    /// Slots since the beginning, by the replica that needed the most.
    pub slots: u64,
    /// Likewise, in seconds.
    pub seconds: f64,
}

impl Trial {
    /// A cluster whose replica `adversary` has `vice`: the words of the Corefile's option.
    ///
    /// Panics: when the honest replicas do not get ready.
    pub fn of(adversary: usize, vice: &str) -> Trial {
        let stage = stage();
        let upstream = Upstream::serve("example.org.", ZONE);
        let mut cluster = Cluster::new(REPLICAS, &[upstream.address.to_string()]);
        cluster.surroundings[adversary].program = Some(quorate_with_adversaries());
        let line = format!("        adversary {vice}\n");
        cluster.edit_corefile(adversary, "        state state\n", &format!("        state state\n{line}"));
        let load = |servers: &[SocketAddr]| Load::start(servers, "trial", PACE);
        Trial::begin(cluster, adversary, vec![upstream], load, stage)
    }

    /// A cluster whose replica `liar` has an upstream of its own, with the zone `lies` where the others have `truth`. The honest ones are asked for
    /// `names` of it again and again; what they say of the liar may take so long (`patience`).
    ///
    /// Panics: when one of the texts is no zone, or the honest replicas do not get ready.
    pub fn of_liar(liar: usize, (truth, lies): (&str, &str), names: &[String], patience: Duration) -> Trial {
        let stage = stage();
        let upstreams = [truth, lies].map(|text| Upstream::serve("example.org.", text));
        let address = |id: usize| upstreams[usize::from(id == liar)].address.to_string();
        let cluster = Cluster::new(REPLICAS, &(0..REPLICAS).map(address).collect::<Vec<String>>());
        let load = |servers: &[SocketAddr]| Load::repeat(servers, names, PACE_AGAIN);
        let mut trial = Trial::begin(cluster, liar, upstreams.into(), load, stage);
        (trial.patience, trial.decided_again) = (patience, true);
        trial
    }

    fn begin(
        mut cluster: Cluster,
        adversary: usize,
        upstreams: Vec<Upstream>,
        load: impl FnOnce(&[SocketAddr]) -> Load,
        stage: MutexGuard<'static, ()>,
    ) -> Trial {
        (0..REPLICAS).for_each(|id| cluster.start_replica(id));
        let honest: Vec<usize> = (0..REPLICAS).filter(|id| *id != adversary).collect();
        honest.iter().for_each(|id| cluster.wait_until_ready(*id));
        let servers: Vec<SocketAddr> = honest.iter().map(|id| cluster.dns_address(*id)).collect();
        let executed = honest.iter().map(|id| (*id, number(&cluster, *id, "executed"))).collect();
        let load = load(&servers);
        let began = Instant::now();
        Trial {
            cluster,
            adversary,
            load,
            began,
            patience: READY,
            decided_again: false,
            executed,
            _upstreams: upstreams,
            _stage: stage,
        }
    }

    /// Those who do not misbehave.
    pub fn honest(&self) -> Vec<usize> {
        (0..REPLICAS).filter(|id| *id != self.adversary).collect()
    }

    /// What replica `by` says of replica `of`.
    pub fn assessment(&self, by: usize, of: usize) -> Option<Value> {
        let (status, body) = self.cluster.http(by, "/v1/assessments")?;
        assert_eq!(status, 200, "{body}");
        let said: Value = serde_json::from_str(&body).expect("assessments are JSON");
        let replicas = said["replicas"].as_array().expect("a list of replicas");
        replicas.iter().find(|one| one["id"] == of).cloned()
    }

    /// Waits until every honest replica says of the adversary what is `wanted`, and says how long that took.
    ///
    /// Panics: when one does not for a minute, or as long as the trial has patience, with what it says.
    pub fn named(&self, wanted: impl Fn(&Value) -> bool) -> Named {
        self.named_by(self.honest().len(), wanted)
    }

    /// Waits until so many honest replicas say of the adversary what is `wanted`. Whom two of three have shut out has nothing to vote on any more: the
    /// third may never see what it does.
    ///
    /// Panics: when they do not for a minute, or as long as the trial has patience, with what one says.
    pub fn named_by(&self, least: usize, wanted: impl Fn(&Value) -> bool) -> Named {
        let mut named: BTreeMap<usize, u64> = BTreeMap::new();
        let deadline = Instant::now() + self.patience;
        while named.len() < least {
            for by in self.honest() {
                let said = self.assessment(by, self.adversary);
                if !named.contains_key(&by) && said.as_ref().is_some_and(&wanted) {
                    named.insert(by, number(&self.cluster, by, "executed") - self.executed[&by]);
                }
                assert!(
                    named.contains_key(&by) || Instant::now() < deadline,
                    "replica {by} says only {said:?}; its log:\n{}",
                    self.cluster.log(by)
                );
            }
            std::thread::park_timeout(POLL);
        }
        let slots = named.values().copied().max().unwrap_or(0);
        Named { by: named.into_keys().collect(), slots, seconds: self.began.elapsed().as_secs_f64() }
    }

    /// Whether replica `by` has a connection to the adversary.
    pub fn connected(&self, by: usize) -> Option<bool> {
        let status = self.cluster.status(by)?;
        let connected = status["connected"].as_array().expect("a list of replicas");
        Some(connected.iter().any(|id| id == self.adversary))
    }

    /// Waits until every honest replica has executed so many more slots.
    ///
    /// Panics: when one does not for a minute.
    pub fn slots_pass(&self, slots: u64) {
        for id in self.honest() {
            let goal = number(&self.cluster, id, "executed") + slots;
            eventually(&format!("replica {id} to execute {slots} slots"), READY, || {
                (number(&self.cluster, id, "executed") >= goal).then_some(())
            });
        }
    }

    /// The evidence of a kind against the adversary that replica `by` keeps; waits for it.
    ///
    /// Panics: when there is none for a minute.
    pub fn evidence(&self, by: usize, kind: &str) -> PathBuf {
        let folder = self.cluster.folder(by).join("state/evidence");
        let end = format!("-{kind}-{}.txt", self.adversary);
        eventually(&format!("evidence of {kind} at replica {by}"), READY, || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            files.map(|file| file.path()).find(|path| path.to_string_lossy().ends_with(&end))
        })
    }

    /// The replica misbehaves no more: it is started anew, as the program that is used.
    ///
    /// Panics: when its Corefile cannot be written.
    pub fn reform(&mut self, vice: &str) {
        let id = self.adversary;
        self.cluster.kill_replica(id);
        self.cluster.edit_corefile(id, &format!("        adversary {vice}\n"), "");
        self.cluster.surroundings[id].program = None;
        self.cluster.start_replica(id);
    }

    /// Every honest replica gives a right answer with a certificate now, and all that `verified` says; of a hundred questions to them so many at
    /// least got a certified answer in time.
    ///
    /// Panics: when any of that does not hold.
    pub fn end(self, certified_percent: usize) {
        let cluster_file = self.cluster.dir.join("cluster.toml");
        let path = cluster_file.to_str().expect("the path is UTF-8");
        for by in self.honest() {
            let server = format!("@{}", self.cluster.dns_address(by));
            let name = format!("in-the-end-{by}.example.org");
            let asked = eventually(&format!("replica {by} to answer with a certificate"), READY, || {
                let asked = run(&["query", &name, "A", &server, "--cluster", path]);
                asked.status.success().then_some(asked)
            });
            assert!(stdout(&asked).contains(TRUTH), "{}", stdout(&asked));
        }
        let asks = self.verified();
        let certified = asks.iter().filter(|ask| ask.is_certified()).count();
        println!("{certified} of {} answers were certified in time", asks.len());
        assert!(
            certified * 100 >= asks.len() * certified_percent,
            "only {certified} of {} questions to honest replicas got certified answers: {:?}",
            asks.len(),
            others(&asks)
        );
    }

    /// What honest replicas certified verifies, and they think nothing bad of each other. Returns all questions to them.
    ///
    /// Panics: when any of that does not hold.
    pub fn verified(self) -> Vec<Ask> {
        for by in self.honest() {
            self.honest().into_iter().filter(|of| *of != by).for_each(|of| self.thinks_well(by, of));
        }
        let asks = self.load.stop();
        let mut witnesses: Vec<Witness> = asks.iter().filter_map(|ask| ask.witness(ask.asked_ms)).collect();
        if self.decided_again {
            // A name has many slots, one after the other.
            witnesses.iter_mut().for_each(|witness| witness.name = None);
        }
        let judged = judge(&self.cluster.dir.join("cluster.toml"), &witnesses);
        judged.unwrap_or_else(|findings| panic!("what was certified does not hold:\n{findings}"));
        asks
    }

    /// Replica `by` holds nothing against the honest replica `of`.
    fn thinks_well(&self, by: usize, of: usize) {
        let said = self.assessment(by, of).expect("the replica answers");
        let conduct = ["proven", "invalid-signatures", "violations", "low-accuracy"];
        let indicators = said["indicators"].as_array().expect("a list").iter();
        let bad: Vec<&Value> = indicators.filter(|it| conduct.iter().any(|word| *it == word)).collect();
        let well = said["is_byzantine"] == false && said["quarantined"].is_null() && bad.is_empty();
        assert!(well, "replica {by} says of honest replica {of}: {said}; its log:\n{}", self.cluster.log(by));
    }
}

/// How often what replicas say is looked at.
const POLL: Duration = Duration::from_millis(20);

/// What became of those that got no certified answer.
fn others(asks: &[Ask]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for ask in asks.iter().filter(|ask| !ask.is_certified()) {
        let word = match &ask.outcome {
            Outcome::Rcode(rcode) => format!("rcode {rcode}"),
            Outcome::Lost(why) => why.clone(),
            Outcome::Certificate(_) | Outcome::Reference(_) => continue,
        };
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn number(cluster: &Cluster, id: usize, key: &str) -> u64 {
    let number = || cluster.status(id)?[key].as_u64();
    eventually(&format!("replica {id} to say `{key}`"), READY, number)
}
