//! Four replicas with `ct-verify` over a zone with certificates of a test authority, and the logs that these are in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::MutexGuard;

use ct_log::{Authority, Clock, Issued, Kind, TestLog, log_list_json};
use serde_json::Value;
use system_tests::clients::{answers, dig};
use system_tests::cluster::{Cluster, READY};
use system_tests::program::{eventually, run};
use system_tests::scene::{REPLICAS, stage};
use system_tests::upstream::Upstream;
use transparency::Moment;

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

/// The owners of certificates; each stands below `example.org` and below the zones of the other modes.
const MODES: [&str; 4] = ["", ".enforced", ".closed", ".off"];

/// A cluster and all that its certificates come from.
pub struct Court {
    pub cluster: Cluster,
    pub clock: Clock,
    /// A log of RFC 6962.
    pub alder: TestLog,
    /// A static-ct log.
    pub birch: TestLog,
    pub authority: Authority,
    /// The certificates of the zone, by the first label of their owner and what stands between it and the zone.
    pub issued: BTreeMap<String, Issued>,
    _upstream: Upstream,
    _stage: MutexGuard<'static, ()>,
}

/// What `dig` printed, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// `NOERROR`, `SERVFAIL`.
    pub status: String,
    /// Data of the records.
    pub records: Vec<String>,
    /// Extended errors: `15 (Blocked): (why)`.
    pub told: Vec<String>,
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
        let mut issued = BTreeMap::new();
        let zone = zone(&authority, [&alder, &birch], &clock, &mut issued);
        alder.merge();
        birch.merge();
        let upstream = Upstream::serve("example.org.", &zone);
        let mut cluster = Cluster::new(REPLICAS, &[upstream.address.to_string()]);
        for id in 0..REPLICAS {
            let block = format!("    ct-verify {{\n{settings}    }}\n    forward . ");
            cluster.edit_corefile(id, "    forward . ", &block);
            fs::write(cluster.folder(id).join("roots.pem"), authority.root_pem()).unwrap();
        }
        let court =
            Court { cluster, clock, alder, birch, authority, issued, _upstream: upstream, _stage: stage };
        (0..REPLICAS).for_each(|id| court.write_list(id, &court.list(1)));
        court
    }

    /// The same, started, with the list of logs in force at every replica.
    pub fn in_session(settings: &str) -> Court {
        let mut court = Court::files(settings);
        court.cluster.start_all();
        let digest = transparency::digest::Sha256::of(court.list(1).as_bytes()).to_string();
        (0..REPLICAS).for_each(|id| court.waits_for_list(id, &digest));
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
        eventually(
            &format!("list {digest} in force at replica {id}:\n{}", self.cluster.log(id)),
            READY,
            || (self.list_in_force(id)? == digest).then_some(()),
        );
    }

    /// Waits until replica `id` has an input of this kind in force: `log_list`, `roots`, `revocation`.
    pub fn waits_for(&self, id: usize, input: &str) {
        eventually(&format!("{input} in force at replica {id}:\n{}", self.cluster.log(id)), READY, || {
            self.transparency(id)?["in_force"][input]["digest"].is_string().then_some(())
        });
    }

    /// Waits until replica `id` has read the list with this digest from its file.
    pub fn waits_for_own_list(&self, id: usize, digest: &str) {
        eventually(&format!("replica {id} to read list {digest}"), READY, || {
            (self.transparency(id)?["own"]["log_list"]["digest"] == digest).then_some(())
        });
    }

    /// The digest of the list that is in force at replica `id`.
    pub fn list_in_force(&self, id: usize) -> Option<String> {
        self.transparency(id)?["in_force"]["log_list"]["digest"].as_str().map(str::to_owned)
    }

    /// What replica `id` says of its lists, logs and evidence.
    pub fn transparency(&self, id: usize) -> Option<Value> {
        let (status, body) = self.cluster.http(id, "/v1/transparency")?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// Asks replica `id` for records with `dig`.
    pub fn ask(&self, id: usize, name: &str, kind: &str) -> Answer {
        let printed = dig(self.cluster.dns(id), &[name, kind]);
        let after = |mark: &str| printed.split(mark).nth(1).and_then(|rest| rest.split(',').next());
        let told = printed.lines().filter_map(|line| line.strip_prefix("; EDE: "));
        Answer {
            status: after("status: ").unwrap_or_else(|| panic!("no status in {printed}")).to_owned(),
            records: answers(&printed),
            told: told.map(str::to_owned).collect(),
        }
    }

    /// Asks until somebody else's slowness is no reason for the answer any more: one that is certified or blocked.
    pub fn ask_patiently(&self, id: usize, name: &str, kind: &str) -> Answer {
        eventually(&format!("an answer about {name} {kind} of replica {id}"), READY, || {
            let answer = self.ask(id, name, kind);
            (answer.status != "SERVFAIL" || answer.told.iter().any(|told| told.contains("ct-verify")))
                .then_some(answer)
        })
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

/// The zone: certificates that are good, bad and not to be judged, under each mode.
fn zone(
    authority: &Authority,
    logs: [&TestLog; 2],
    clock: &Clock,
    all: &mut BTreeMap<String, Issued>,
) -> String {
    let mut zone = String::from(
        "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n",
    );
    let issuer = authority.issuer_cert_record();
    for mode in MODES {
        let host = |label: &str| format!("{label}{mode}.example.org");
        let good = authority.leaf(&host("good")).issue(&logs);
        let bad = authority.leaf(&host("bad")).without_scts().issue(&logs);
        // Its issuer is nowhere to be found.
        let alone = authority.leaf(&host("alone")).issue(&logs);
        let mixed = [
            authority.leaf(&host("mixed")).issue(&logs),
            authority.leaf(&host("mixed")).without_scts().issue(&logs),
        ];
        // One of the logs promises to take it in, and does not.
        logs[1].drop_next(1);
        let dropped = authority.leaf(&host("dropped")).issue(&logs);
        let own = Issued::self_signed(&host("mail"), clock);
        let spoiled = authority.leaf(&host("spoiled")).with_bad_sct().issue(&logs);
        let mut add = |owner: &str, kind: &str, data: &str| {
            writeln!(zone, "{owner}{mode} IN {kind} {data}").unwrap();
        };
        for (owner, leaf) in [("good", &good), ("bad", &bad), ("spoiled", &spoiled), ("dropped", &dropped)] {
            add(owner, "CERT", &leaf.cert_record());
            add(owner, "CERT", &issuer);
            add(owner, "A", "192.0.2.80");
        }
        add("alone", "CERT", &alone.cert_record());
        mixed.iter().for_each(|leaf| add("mixed", "CERT", &leaf.cert_record()));
        add("mixed", "CERT", &issuer);
        add("_25._tcp.mail", "TLSA", &own.tlsa_record(3, 0, 0));
        add("_465._tcp.mail", "TLSA", &own.tlsa_record(3, 1, 1));
        // That there are no timestamps is seen without the issuer, too.
        add("_443._tcp.bad", "TLSA", &bad.tlsa_record(1, 0, 0));
        if mode.is_empty() {
            // Every name below has these.
            let many = authority.leaf("*.many.example.org").issue(&logs);
            add("*.many", "CERT", &many.cert_record());
            add("*.many", "CERT", &issuer);
        }
        all.extend(
            [("good", good), ("bad", bad), ("alone", alone)]
                .map(|(label, one)| (format!("{label}{mode}"), one)),
        );
    }
    zone
}
