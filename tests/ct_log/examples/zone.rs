//! Makes what `zones/certificates` holds: certificates in records, good ones and bad ones, with keys that nobody keeps.
//!
//! `cargo run -p ct-log --example zone -- zones/certificates`

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ct_log::{Authority, Clock, Issued, Kind, TestLog, log_list_json};

/// When all of it is made, and for how long certificates live: as long as their authority, so that the demo needs no repair.
const MADE: &str = "2026-06-01T00:00:00Z";
const DAYS: u64 = 6500;

/// Where the names are.
const PARENT: &str = "ct.example.org";

fn main() {
    let folder = std::env::args().nth(1).expect("expected a folder to write to");
    let clock = Clock::at(MADE);
    let logs = ["Alder", "Birch", "Cedar"].map(|name| TestLog::start(name, Kind::Rfc6962, &clock));
    let [alder, birch, cedar] = &logs;
    let (known, unknown) = (Authority::new("Demo", &clock), Authority::new("Unknown", &clock));
    let issue = |authority: &Authority, host: &str, logs: &[&TestLog]| {
        authority.leaf(&format!("{host}.{PARENT}")).valid(clock.now(), DAYS).issue(logs)
    };
    let good = issue(&known, "good", &[alder, birch, cedar]);
    let bad = issue(&known, "bad", &[alder]);
    let enforced = issue(&known, "bad.enforced", &[alder]);
    let foreign = issue(&unknown, "unknown", &[alder, birch, cedar]);
    let own = Issued::self_signed(&format!("own.{PARENT}"), &clock);

    let mut zone = String::from(
        "\
; Certificates in records, for the demo. Made by `cargo run -p ct-log --example zone`; README.md says what each name is for.
; Relative names only; the certificates name hosts below ct.example.org.
",
    );
    let hosts = [("good", &good), ("bad", &bad), ("unknown", &foreign), ("bad.enforced", &enforced)];
    for (host, issued) in hosts {
        writeln!(zone, "{host}.ct CERT {}", issued.cert_record()).expect("memory");
        writeln!(zone, "_443._tcp.{host}.ct TLSA {}", issued.tlsa_record(1, 0, 0)).expect("memory");
    }
    writeln!(zone, "_443._tcp.own.ct TLSA {}", own.tlsa_record(3, 0, 0)).expect("memory");

    let listed = logs.iter().map(|log| {
        let mut listed = log.listed();
        let name = listed.description.to_lowercase();
        listed.rfc6962_url = format!("https://{name}.{PARENT}/");
        listed
    });
    let listed: Vec<_> = listed.collect();
    let write = |file: &str, text: &str| {
        fs::write(Path::new(&folder).join(file), text).expect("the folder is there and may be written to");
    };
    write("names.zone", &zone);
    write("log_list.json", &(log_list_json(MADE, &listed) + "\n"));
    write("roots.pem", known.root_pem());
    write("intermediates.pem", known.issuer_pem());
    write("good.pem", &good.chain_pem());
    write("bad.pem", &bad.chain_pem());
}
