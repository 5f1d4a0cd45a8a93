//! One server without a cluster, with `ct-verify` over the zone of the courts, and the logs that its certificates are in.

use std::collections::BTreeMap;
use std::fs;

use ct_log::{Authority, Clock, Kind, Site, TestLog, log_list_json};
use serde_json::Value;
use system_tests::cluster::{READY, http_get};
use system_tests::program::{eventually, eventually_or};
use system_tests::server::{Server, free_port};
use tempfile::TempDir;

use super::answer::Answer;
use super::zone;

/// What the log says when a changed Corefile was taken.
pub const RELOADED: &str = "INFO quorate::cli::serve: reloaded";

/// A running server.
pub struct Alone {
    pub server: Server,
    /// Where lists are to be had; `SITE` in settings is its URL.
    pub site: Site,
    /// A log of RFC 6962; another one, static, is in the list with it.
    pub alder: TestLog,
    pub authority: Authority,
    dns: u16,
    admin: u16,
    _birch: TestLog,
}

impl Alone {
    /// Starts one that has these lines in its `ct-verify` of each of these zones. `log_list.json` has two logs, `one_log.json` one of them.
    pub fn start(blocks: &[(&str, &str)]) -> Alone {
        let clock = Clock::of_the_machine();
        let (alder, birch) =
            (TestLog::start("alder", Kind::Rfc6962, &clock), TestLog::start("birch", Kind::StaticCt, &clock));
        let authority = Authority::new("Alder", &clock);
        let (site, mut issued) = (Site::start(), BTreeMap::new());
        let mut text = zone::judged(&authority, [&alder, &birch], &clock, &mut issued);
        text += &zone::changing(&authority, [&alder, &birch], &site, &mut issued);
        alder.merge();
        birch.merge();
        let (folder, now) = (TempDir::new().unwrap(), clock.now().to_string());
        let (dns, admin) = (free_port(), free_port());
        for (name, text) in [
            ("zone", &text[..]),
            ("roots.pem", authority.root_pem()),
            ("issuer.pem", authority.issuer_pem()),
            ("log_list.json", &log_list_json(&now, &[alder.listed(), birch.listed()])),
            ("one_log.json", &log_list_json(&now, &[alder.listed()])),
            ("Corefile", &corefile((dns, admin), &site, blocks)),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut server = Server::launch(folder);
        server.listening().unwrap_or_else(|said| panic!("the server ended: {said}"));
        Alone { server, site, alder, authority, dns, admin, _birch: birch }
    }

    /// Has it take other blocks, and waits until it says these words in its log once more.
    pub fn reload(&self, signal: libc::c_int, blocks: &[(&str, &str)], words: &str) {
        let count = || self.server.stderr().matches(words).count();
        let before = count();
        let text = corefile((self.dns, self.admin), &self.site, blocks);
        fs::write(self.server.folder().join("Corefile"), text).unwrap();
        self.server.process.signal(signal);
        let what = || format!("`{words}` in:\n{}", self.server.stderr());
        eventually_or(what, READY, || (before < count()).then_some(()));
    }

    /// Its answer to a question: name and type.
    pub fn ask(&self, question: (&str, &str)) -> Answer {
        Answer::to(question, self.dns)
    }

    /// The sum of what this metric says with all these labels; `None` when nothing has them.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<u64> {
        let (_, metrics) = http_get(self.admin, "/metrics")?;
        let begin = format!("{name}{{");
        let lines = metrics.lines().filter(|line| line.starts_with(&begin));
        let ours = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        ours.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .reduce(|sum, next| sum + next)
    }

    /// What it says of its lists, logs and monitor.
    pub fn transparency(&self) -> Option<Value> {
        let (_, body) = http_get(self.admin, "/v1/transparency")?;
        serde_json::from_str(&body).ok()
    }

    /// Waits until its monitor has seen all that the log has, and will know after a restart of so many certificates that it has told of.
    pub fn has_told_of(&self, certificates: usize) {
        let what = || format!("the monitor to stand at {}:\n{}", self.alder.size(), self.server.stderr());
        eventually_or(what, READY, || {
            let logs = self.transparency()?["monitor"]["logs"].as_array()?.clone();
            let alder = logs.iter().find(|log| log["log"] == "alder")?;
            (alder["position"] == self.alder.size()).then_some(())
        });
        eventually("the monitor to keep what it has told", READY, || {
            let kept = fs::read(self.server.folder().join("ct/monitor.json")).ok()?;
            let kept: Value = serde_json::from_slice(&kept).ok()?;
            (kept["known"].as_array()?.len() == certificates).then_some(())
        });
    }

    /// How often its log tells of a new certificate for this name.
    pub fn told(&self, name: &str) -> usize {
        let log = self.server.stderr();
        log.lines().filter(|line| line.contains("new_certificate") && line.contains(name)).count()
    }

    /// Issues a certificate for this name, which the log announces from now on.
    pub fn issues(&self, name: &str) {
        self.authority.leaf(name).issue(&[&self.alder]);
        self.alder.merge();
    }

    /// Waits until its log tells of a new certificate for this name.
    pub fn tells_of(&self, name: &str) {
        let what = || format!("news of {name}:\n{}", self.server.stderr());
        eventually_or(what, READY, || (self.told(name) > 0).then_some(()));
    }
}

/// A block for each zone; the first one also serves what an operator looks at.
fn corefile((dns, admin): (u16, u16), site: &Site, blocks: &[(&str, &str)]) -> String {
    let block = |(number, (zone, settings)): (usize, &(&str, &str))| {
        let settings = settings.replace("SITE", &site.url(""));
        let admin = if number == 0 { format!("    prometheus 127.0.0.1:{admin}\n") } else { String::new() };
        format!(
            "{zone}:{dns} {{\n    bind 127.0.0.1\n{admin}    ct-verify {{\n{settings}    }}\n    file zone example.org\n    whoami\n}}\n"
        )
    };
    blocks.iter().enumerate().map(block).collect()
}
