//! Four replicas with `ct-verify` over a zone with certificates of a test authority, and the logs that these are in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::MutexGuard;

use ct_log::{Authority, Clock, Issued, Kind, Site, TestLog, log_list_json};
use serde_json::Value;
use system_tests::cluster::{Cluster, READY};
use system_tests::program::{eventually, eventually_or, run};
use system_tests::scene::{REPLICAS, stage};
use system_tests::upstream::Upstream;
use transparency::Moment;

use super::answer::Answer;
use super::zone;

/// What is in the block of every replica, but for the file with the logs. Names below `enforced` and `closed` are enforced.
pub const SETTINGS: &str = "        mode flag
        mode enforce enforced.example.org
        mode enforce closed.example.org
        mode off off.example.org
        fail-closed closed.example.org
        roots roots.pem
        allow-private
        state ct
";
/// The line for the file with the logs.
pub const LOG_LIST: &str = "        log-list log_list.json\n";
/// The line that has no log asked.
pub const NO_AUDIT: &str = "        audit off\n";

/// A cluster and all that its certificates come from.
pub struct Court {
    pub cluster: Cluster,
    pub clock: Clock,
    /// A log of RFC 6962.
    pub alder: TestLog,
    /// A static-ct log.
    pub birch: TestLog,
    pub authority: Authority,
    /// Where lists are to be had; `SITE` in settings is its URL.
    pub site: Site,
    /// The certificates of the zone, by the first label of their owner and what stands between it and the zone.
    pub issued: BTreeMap<String, Issued>,
    // One for each replica: each looks names up on a path of its own.
    _upstreams: Vec<Upstream>,
    _stage: MutexGuard<'static, ()>,
}

impl Court {
    /// Makes zone, logs and files of the cluster; `ct-verify` has these lines. Nothing runs yet but the logs.
    pub fn files(settings: &str) -> Court {
        let stage = stage();
        // Replicas have the machine's clock.
        let clock = Clock::of_the_machine();
        let alder = TestLog::start("alder", Kind::Rfc6962, &clock);
        let birch = TestLog::start("birch", Kind::StaticCt, &clock);
        let authority = Authority::new("Alder", &clock);
        let site = Site::start();
        let mut issued = BTreeMap::new();
        let mut text = zone::judged(&authority, [&alder, &birch], &clock, &mut issued);
        text += &zone::changing(&authority, [&alder, &birch], &site, &mut issued);
        alder.merge();
        birch.merge();
        let upstreams: Vec<Upstream> =
            (0..REPLICAS).map(|_| Upstream::serve("example.org.", &text)).collect();
        let addresses: Vec<String> = upstreams.iter().map(|one| one.address.to_string()).collect();
        let mut cluster = Cluster::new(REPLICAS, &addresses);
        for id in 0..REPLICAS {
            let settings = settings.replace("SITE", &site.url(""));
            let block = format!("    ct-verify {{\n{settings}    }}\n    forward . ");
            cluster.edit_corefile(id, "    forward . ", &block);
            fs::write(cluster.folder(id).join("roots.pem"), authority.root_pem()).unwrap();
            fs::write(cluster.folder(id).join("issuer.pem"), authority.issuer_pem()).unwrap();
        }
        let court = Court {
            cluster,
            clock,
            alder,
            birch,
            authority,
            site,
            issued,
            _upstreams: upstreams,
            _stage: stage,
        };
        (0..REPLICAS).for_each(|id| court.write_list(id, &court.list(1)));
        court
    }

    /// The same, started, with the list of logs and the roots in force at every replica.
    pub fn in_session(settings: &str) -> Court {
        let mut court = Court::files(settings);
        court.cluster.start_all();
        let digest = transparency::digest::Sha256::of(court.list(1).as_bytes()).to_string();
        (0..REPLICAS).for_each(|id| court.waits_for_list(id, &digest));
        (0..REPLICAS).for_each(|id| court.waits_for(id, "roots"));
        court
    }

    /// A list of both logs, made so many days ago.
    pub fn list(&self, days: u64) -> String {
        log_list_json(&self.days_ago(days), &[self.alder.listed(), self.birch.listed()])
    }

    /// The beginning of the day that was so many days ago, so that lists made a moment apart are equal.
    pub fn days_ago(&self, days: u64) -> String {
        let day = self.clock.now().seconds() / 86_400 - days;
        Moment::from_seconds((day * 86_400) as i64).to_string()
    }

    /// Gives replica `id` a list of logs.
    pub fn write_list(&self, id: usize, list: &str) {
        // Others never see half a file.
        let folder = self.cluster.folder(id);
        fs::write(folder.join("log_list.new"), list).unwrap();
        fs::rename(folder.join("log_list.new"), folder.join("log_list.json")).unwrap();
    }

    /// Waits until the list with this digest is in force at replica `id`.
    pub fn waits_for_list(&self, id: usize, digest: &str) {
        eventually_or(
            || format!("list {digest} in force at replica {id}:\n{}", self.cluster.log(id)),
            READY,
            || (self.list_in_force(id)? == digest).then_some(()),
        );
    }

    /// Waits until replica `id` has an input of this kind in force: `log_list`, `roots`, `revocation`.
    pub fn waits_for(&self, id: usize, input: &str) {
        let what = || format!("{input} in force at replica {id}:\n{}", self.cluster.log(id));
        eventually_or(what, READY, || self.in_force(id, input));
    }

    /// The digest of the input of this kind that is in force at replica `id`.
    pub fn in_force(&self, id: usize, input: &str) -> Option<String> {
        self.transparency(id)?["in_force"][input]["digest"].as_str().map(str::to_owned)
    }

    /// Waits until replica `id` has on its disk what is in force, and returns the digests.
    pub fn keeps_in_force(&self, id: usize) -> Vec<String> {
        let index = self.cluster.folder(id).join("ct/in-force.json");
        let what = || format!("replica {id} to keep what is in force:\n{}", self.cluster.log(id));
        eventually_or(what, READY, || {
            let said = self.transparency(id)?;
            let inputs = said["in_force"].as_object()?.values();
            let digests: Vec<String> =
                inputs.filter_map(|input| input["digest"].as_str().map(str::to_owned)).collect();
            let kept = fs::read_to_string(&index).ok()?;
            digests.iter().all(|digest| kept.contains(digest)).then_some(digests)
        })
    }

    /// Waits until every replica has another input of this kind in force than the one with this digest.
    pub fn waits_for_successor(&self, input: &str, before: &str) {
        for id in 0..REPLICAS {
            let what = || format!("another {input} in force at replica {id}:\n{}", self.cluster.log(id));
            eventually_or(what, READY, || (self.in_force(id, input)? != before).then_some(()));
        }
    }

    /// Waits until replica `id` has read the list with this digest from its file.
    pub fn waits_for_own_list(&self, id: usize, digest: &str) {
        eventually(&format!("replica {id} to read list {digest}"), READY, || {
            (self.transparency(id)?["own"]["log_list"]["digest"] == digest).then_some(())
        });
    }

    /// The digest of the list that is in force at replica `id`.
    pub fn list_in_force(&self, id: usize) -> Option<String> {
        self.in_force(id, "log_list")
    }

    /// What replica `id` says of its lists, logs and evidence.
    pub fn transparency(&self, id: usize) -> Option<Value> {
        let (status, body) = self.cluster.http(id, "/v1/transparency")?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// The first number of this metric of replica `id` that has this label.
    pub fn metric(&self, id: usize, name: &str, label: &str) -> Option<u64> {
        let (_, metrics) = self.cluster.http(id, "/metrics")?;
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(label))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Asks replica `id` for records with `dig`.
    pub fn ask(&self, id: usize, name: &str, kind: &str) -> Answer {
        Answer::to((name, kind), self.cluster.dns(id))
    }

    /// Asks until somebody else's slowness is no reason for the answer any more: one that is certified or blocked.
    pub fn ask_patiently(&self, id: usize, name: &str, kind: &str) -> Answer {
        eventually(&format!("an answer about {name} {kind} of replica {id}"), READY, || {
            let answer = self.ask(id, name, kind);
            (answer.status != "SERVFAIL" || answer.told.iter().any(|told| told.contains("ct-verify")))
                .then_some(answer)
        })
    }

    /// Asks until the answer is as `wanted`, and returns it.
    pub fn ask_until(
        &self,
        id: usize,
        (name, kind): (&str, &str),
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let last = RefCell::new(None);
        let what = || format!("another answer about {name} {kind} of replica {id} than {:?}", last.borrow());
        eventually_or(what, READY, || {
            let answer = self.ask(id, name, kind);
            if wanted(&answer) {
                return Some(answer);
            }
            last.replace(Some(answer));
            None
        })
    }

    /// A time so many seconds ago.
    pub fn seconds_ago(&self, seconds: u64) -> Moment {
        Moment::from_seconds((self.clock.now().seconds() - seconds) as i64)
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> String {
        self.cluster.dir.join("cluster.toml").to_str().unwrap().to_owned()
    }

    /// Puts a chain into a file.
    pub fn chain_file(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.cluster.dir.join(name);
        fs::write(&path, pem).unwrap();
        path
    }

    /// Has the cluster judge a chain, asking replica `id`.
    pub fn check(&self, id: usize, pem: &str, name: &str) -> Output {
        let chain = self.chain_file("chain.pem", pem);
        let at = format!("@127.0.0.1:{}", self.cluster.admin(id));
        let cluster = self.cluster_file();
        run(&[
            "certificate",
            "check",
            chain.to_str().unwrap(),
            "--name",
            name,
            "--cluster",
            &cluster,
            &at,
            "--json",
        ])
    }
}
