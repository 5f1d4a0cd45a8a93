//! A changed Corefile while background work is under way: what ran before ends, what is written now holds, and nothing is lost or told twice.

use std::fs;

use ct_log::{Authority, Clock, Kind, Site, TestLog, log_list_json};
use serde_json::Value;
use system_tests::cluster::{READY, http_get};
use system_tests::program::{eventually, eventually_or, run, stderr, stdout};
use system_tests::scene::REPLICAS;
use system_tests::server::{Server, free_port};
use tempfile::TempDir;

use super::answer::Answer;
use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};
use super::zone;

const BAD: (&str, &str) = ("bad.example.org", "CERT");

/// A server without a cluster over the zone of the courts, and what its certificates come from.
struct Alone {
    server: Server,
    dns: u16,
    admin: u16,
    site: Site,
    alder: TestLog,
    authority: Authority,
    _birch: TestLog,
}

impl Alone {
    /// Starts one whose `ct-verify` has these lines; `SITE` in them is where lists are to be had.
    fn start(settings: &str) -> Alone {
        let clock = Clock::of_the_machine();
        let (alder, birch) =
            (TestLog::start("alder", Kind::Rfc6962, &clock), TestLog::start("birch", Kind::StaticCt, &clock));
        let authority = Authority::new("Alder", &clock);
        let text = zone::judged(&authority, [&alder, &birch], &clock, &mut Default::default());
        alder.merge();
        birch.merge();
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("zone", &text);
        write("roots.pem", authority.root_pem());
        write("issuer.pem", authority.issuer_pem());
        let site = Site::start();
        let list = log_list_json(&clock.now().to_string(), &[alder.listed(), birch.listed()]);
        write("log_list.json", &list);
        let (dns, admin) = (free_port(), free_port());
        write("Corefile", &corefile(dns, admin, &site, settings));
        let mut server = Server::launch(folder);
        server.listening().unwrap_or_else(|said| panic!("the server ended: {said}"));
        Alone { server, dns, admin, site, alder, authority, _birch: birch }
    }

    /// Has it take other lines for `ct-verify`, and waits until it says these words in its log once more.
    fn reload(&self, signal: libc::c_int, settings: &str, words: &str) {
        let count = || self.server.stderr().matches(words).count();
        let before = count();
        let text = corefile(self.dns, self.admin, &self.site, settings);
        fs::write(self.server.folder().join("Corefile"), text).unwrap();
        self.server.process.signal(signal);
        eventually_or(
            || format!("`{words}` in:\n{}", self.server.stderr()),
            READY,
            || (before < count()).then_some(()),
        );
    }

    /// What it says of its monitor.
    fn monitor(&self) -> Option<Value> {
        let (_, body) = http_get(self.admin, "/v1/transparency")?;
        Some(serde_json::from_str::<Value>(&body).ok()?["monitor"].clone())
    }

    /// Waits until its monitor has seen all that the log has.
    fn stands_at_the_head(&self) {
        let what = || format!("the monitor to stand at {}:\n{}", self.alder.size(), self.server.stderr());
        eventually_or(what, READY, || {
            let logs = self.monitor()?["logs"].as_array()?.clone();
            let alder = logs.iter().find(|log| log["log"] == "alder")?;
            (alder["position"] == self.alder.size()).then_some(())
        });
    }

    /// Waits until it will know after a reload of so many certificates that it has told of.
    fn keeps_what_it_told(&self, certificates: usize) {
        eventually("the monitor to keep what it has told", READY, || {
            let kept = fs::read(self.server.folder().join("ct/monitor.json")).ok()?;
            let kept: Value = serde_json::from_slice(&kept).ok()?;
            (kept["known"].as_array()?.len() == certificates).then_some(())
        });
    }

    /// How often its log tells of a new certificate for this name.
    fn told(&self, name: &str) -> usize {
        let log = self.server.stderr();
        log.lines().filter(|line| line.contains("new_certificate") && line.contains(name)).count()
    }

    /// Issues a certificate for this name, which the log announces from now on.
    fn issues(&self, name: &str) {
        self.authority.leaf(name).issue(&[&self.alder]);
        self.alder.merge();
    }

    /// Waits until its log tells of a new certificate for this name.
    fn tells_of(&self, name: &str) {
        eventually_or(
            || format!("news of {name}:\n{}", self.server.stderr()),
            READY,
            || (self.told(name) > 0).then_some(()),
        );
    }
}

fn corefile(dns: u16, admin: u16, site: &Site, settings: &str) -> String {
    let settings = settings.replace("SITE", &site.url(""));
    format!(
        "example.org:{dns} {{\n    bind 127.0.0.1\n    prometheus 127.0.0.1:{admin}\n    ct-verify {{\n{settings}    }}\n    file zone\n}}\n"
    )
}

/// Whether the answer comes whole, with a word on what is wrong.
fn is_flagged(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len(), answer.told.len()) == ("NOERROR", 2, 1)
}

#[test]
fn what_ran_before_a_reload_ends_and_what_is_written_now_holds() {
    let before = format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}        refresh 10s\n        crl SITE/before.crl\n");
    let after = before.replace("before", "after").replace("mode flag\n", "mode enforce\n");
    let alone = Alone::start(&before);
    let asked = |path: &str| alone.site.control().asked(path);
    let asked_so_often = |path: &str, times| {
        assert!(alone.site.control().wait_until_asked(path, times), "{path}:\n{}", alone.server.stderr());
    };
    asked_so_often("before.crl", 1);
    let flagged = Answer::to(BAD, alone.dns);
    assert!(is_flagged(&flagged), "{flagged:?}");
    alone.reload(libc::SIGUSR1, &after, "INFO quorate::cli::serve: reloaded");
    let blocked = Answer::to(BAD, alone.dns);
    assert_eq!((blocked.status.as_str(), blocked.records.len()), ("SERVFAIL", 0), "{blocked:?}");
    // The old one ends when the queries of its time are done, within seconds.
    asked_so_often("after.crl", 2);
    let old = asked("before.crl");
    // Meanwhile it would have asked at least once more.
    asked_so_often("after.crl", 4);
    assert_eq!(asked("before.crl"), old);
}

#[test]
fn a_reload_that_is_refused_leaves_all_as_it_was() {
    let lines = format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}        refresh 10s\n        crl SITE/before.crl\n");
    let alone = Alone::start(&lines);
    assert!(alone.site.control().wait_until_asked("before.crl", 1));
    let two = format!(
        "{}    }}\n    file zone\n}}\nexample.net:{} {{\n    bind 127.0.0.1\n    ct-verify {{\n        state ct\n",
        lines.replace("before", "after").replace("mode flag\n", "mode enforce\n"),
        alone.dns
    );
    alone.reload(libc::SIGHUP, &two, "the running configuration is kept");
    assert!(alone.server.stderr().contains("`ct` is in use by another block"), "{}", alone.server.stderr());
    let flagged = Answer::to(BAD, alone.dns);
    assert!(is_flagged(&flagged), "{flagged:?}");
    let asked = alone.site.control().asked("before.crl");
    assert!(alone.site.control().wait_until_asked("before.crl", asked + 1), "it goes on");
    assert_eq!(alone.site.control().asked("after.crl"), 0);
    // The folder is still its own, and what is written right is taken.
    alone.reload(libc::SIGHUP, &lines, "INFO quorate::cli::serve: reloaded");
}

#[test]
fn the_monitor_goes_on_where_the_one_before_the_reload_stood() {
    let lines = format!("{SETTINGS}{LOG_LIST}        monitor example.org issuer Alder\n");
    let alone = Alone::start(&lines);
    alone.stands_at_the_head();
    alone.issues("first.example.org");
    // A new one asks the logs at once.
    alone.reload(libc::SIGUSR1, &lines, "INFO quorate::cli::serve: reloaded");
    alone.tells_of("first.example.org");
    alone.stands_at_the_head();
    alone.keeps_what_it_told(1);
    alone.issues("second.example.org");
    let read = alone.alder.control().asked("get-entries?start=0");
    alone.reload(libc::SIGUSR1, &lines, "INFO quorate::cli::serve: reloaded");
    alone.tells_of("second.example.org");
    alone.stands_at_the_head();
    assert_eq!((alone.told("first.example.org"), alone.told("second.example.org")), (1, 1));
    assert_eq!(alone.alder.control().asked("get-entries?start=0"), read, "what it has read it reads no more");
}

#[test]
fn nothing_certified_and_nothing_in_force_is_lost_when_all_replicas_reload() {
    let mut court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    let in_force = |id: usize| court_in_force(&court, id);
    let before: Vec<_> = (0..REPLICAS).map(in_force).collect();
    let kept = |court: &Court, id: usize, file: &str| {
        court.ask_patiently(id, BAD.0, BAD.1);
        let path = court.cluster.dir.join(file);
        let (saved, cluster) = (path.to_str().unwrap(), court.cluster_file());
        let server = format!("@127.0.0.1:{}", court.cluster.dns(id));
        let asked = run(&["query", BAD.0, BAD.1, &server, "--cluster", &cluster, "--save", saved]);
        assert_eq!(asked.status.code(), Some(0), "{}{}", stdout(&asked), stderr(&asked));
        fs::read(path).unwrap()
    };
    let certificates: Vec<Vec<u8>> =
        (0..REPLICAS).map(|id| kept(&court, id, &format!("before-{id}.qrt"))).collect();
    for id in 0..REPLICAS {
        court.cluster.edit_corefile(id, "mode flag\n", "mode enforce\n");
        court.cluster.signal(id, libc::SIGHUP);
    }
    for id in 0..REPLICAS {
        let what = || format!("replica {id} to reload:\n{}", court.cluster.log(id));
        eventually_or(what, READY, || court.cluster.log(id).contains("reloaded").then_some(()));
    }
    for id in 0..REPLICAS {
        // What was certified holds to its end; what is new is judged as it is written now.
        assert!(kept(&court, id, &format!("after-{id}.qrt")) == certificates[id], "replica {id}");
        let is_withheld = |answer: &Answer| answer.status == "SERVFAIL" && !answer.told.is_empty();
        let mixed = court.ask_patiently(id, "mixed.example.org", "CERT");
        assert!(is_withheld(&mixed) && mixed.told[0].contains("Blocked"), "replica {id}: {mixed:?}");
        let what = || format!("{:?} in force at replica {id}: {:?}", before[id], court_in_force(&court, id));
        eventually_or(what, READY, || (court_in_force(&court, id) == before[id]).then_some(()));
    }
}

/// What is in force at replica `id`, by its digest, and since when.
fn court_in_force(court: &Court, id: usize) -> Vec<[Value; 3]> {
    let said = eventually("a replica to say what is in force", READY, || court.transparency(id));
    let inputs = said["in_force"].as_object().unwrap().iter();
    inputs.map(|(kind, one)| [kind.as_str().into(), one["digest"].clone(), one["since"].clone()]).collect()
}
