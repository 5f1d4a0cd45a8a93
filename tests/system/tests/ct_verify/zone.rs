//! The zone of a court: certificates that are good, bad, not to be judged, and those of which more may be known one day.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ct_log::{Authority, Clock, Issued, Site, TestLog};

/// The owners of certificates; each stands below `example.org` and below the zones of the other modes.
const MODES: [&str; 4] = ["", ".enforced", ".closed", ".off"];

/// Certificates that are good, bad and not to be judged, under each mode.
pub fn judged(
    authority: &Authority,
    logs: [&TestLog; 2],
    clock: &Clock,
    all: &mut BTreeMap<String, Issued>,
) -> String {
    let mut zone = String::from(
        "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nserved IN A 127.0.0.1\n",
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
        let own = Issued::self_signed(&host("mail"), clock);
        let spoiled = authority.leaf(&host("spoiled")).with_bad_sct().issue(&logs);
        let mut add = |owner: &str, kind: &str, data: &str| {
            writeln!(zone, "{owner}{mode} IN {kind} {data}").unwrap();
        };
        for (owner, leaf) in [("good", &good), ("bad", &bad), ("spoiled", &spoiled)] {
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

/// Certificates of which more may be known one day: `leaving` and `listed` may be revoked, and `listed` says where its list is; one of the logs
/// promises to take `dropped` in, and does not. Their records live two seconds.
pub fn changing(
    authority: &Authority,
    logs: [&TestLog; 2],
    site: &Site,
    all: &mut BTreeMap<String, Issued>,
) -> String {
    let mut zone = String::new();
    for mode in ["", ".enforced"] {
        for label in ["leaving", "listed", "dropped"] {
            let leaf = authority.leaf(&format!("{label}{mode}.example.org"));
            let leaf = if label == "listed" { leaf.with_crl_at(&site.url("/named.crl")) } else { leaf };
            if label == "dropped" {
                logs[1].drop_next(1);
            }
            let issued = leaf.issue(&logs);
            for data in [issued.cert_record(), authority.issuer_cert_record()] {
                writeln!(zone, "{label}{mode} 2 IN CERT {data}").unwrap();
            }
            all.insert(format!("{label}{mode}"), issued);
        }
    }
    zone
}
