//! Certificates of the test authority, judged.

use ct_log::{Authority, Clock, Issued, Kind, TestLog, log_list_json};
use rustls_pki_types::CertificateDer;
use transparency::chain::Purpose;
use transparency::log_list::LogList;
use transparency::precertificate::corresponds;
use transparency::revocation::{Crl, CrlSet, RevocationMode, RevocationStatus};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::sct_check::SctStatus;
use transparency::skeleton::Skeleton;
use transparency::verdict::CtOutcome;
use transparency::{Conclusion, Pinned, Policy, Question, Verdict, judge};

struct Bench {
    clock: Clock,
    logs: [TestLog; 2],
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let logs =
            [TestLog::start("alder", Kind::Rfc6962, &clock), TestLog::start("birch", Kind::StaticCt, &clock)];
        Bench { authority: Authority::new("Alder", &clock), clock, logs }
    }

    fn logs(&self) -> [&TestLog; 2] {
        [&self.logs[0], &self.logs[1]]
    }

    fn judge(&self, issued: &Issued, name: &str, crls: &[Vec<u8>]) -> Verdict {
        let listed = self.logs.each_ref().map(TestLog::listed);
        let list = LogList::parse(log_list_json("2026-07-30T00:00:00Z", &listed).as_bytes()).unwrap();
        let anchors = anchors_from_pem(self.authority.root_pem().as_bytes()).unwrap();
        let roots = RootStore::new("test", anchors.into_iter().map(|anchor| (anchor, RootKind::Public)));
        let chain: Vec<CertificateDer<'_>> =
            issued.chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let question = Question {
            chain: &chain,
            name: Some(name),
            purpose: Purpose::Server,
            audited: &[],
            networks: None,
        };
        let pinned = Pinned {
            policy: &Policy::Chrome2026,
            log_list: Some(&list),
            roots: &roots,
            intermediates: &Intermediates::default(),
            crls: &CrlSet::new(crls.iter().map(|crl| Crl::parse(crl))),
            revocation: RevocationMode::Soft,
            private_roots_need_logs: false,
        };
        judge(&question, &pinned, self.clock.now())
    }
}

#[test]
fn a_certificate_with_timestamps_of_two_logs_is_valid() {
    let bench = Bench::new();
    let issued = bench.authority.leaf("www.example.org").also_for(&["example.org"]).issue(&bench.logs());
    for name in ["www.example.org", "example.org"] {
        let verdict = bench.judge(&issued, name, &[]);
        assert_eq!(verdict.verdict, Conclusion::Valid, "{:?}", verdict.reasons);
        assert_eq!(verdict.ct.outcome, CtOutcome::Compliant);
        assert_eq!(verdict.ct.counted_logs, 2);
    }
}

#[test]
fn the_certificate_is_the_one_that_the_precertificate_announced() {
    let bench = Bench::new();
    let leaf = bench.authority.leaf("www.example.org");
    let leaf =
        leaf.with_crl_at("http://crl.example.org/ca.crl").with_issuer_at("http://aia.example.org/ca.der");
    let issued = leaf.issue(&bench.logs());
    let certificate = Skeleton::parse(issued.der()).unwrap();
    assert_eq!(corresponds(&Skeleton::parse(&issued.precertificate).unwrap(), &certificate), Ok(true));
    let facts = transparency::facts::Facts::read(&certificate).unwrap();
    let said = format!("{facts:?}");
    assert!(said.contains("http://crl.example.org/ca.crl"), "{said}");
    assert!(said.contains("http://aia.example.org/ca.der"), "{said}");
}

#[test]
fn each_way_to_go_wrong_is_told_from_the_others() {
    let bench = Bench::new();
    let (leaf, logs) = (|| bench.authority.leaf("www.example.org"), bench.logs());
    let now = bench.clock.now();
    let judged = |issued: &Issued, name: &str| bench.judge(issued, name, &[]);

    let missing = judged(&leaf().without_scts().issue(&logs), "www.example.org");
    assert_eq!((missing.verdict, missing.ct.outcome), (Conclusion::Invalid, CtOutcome::NotCompliant));
    assert!(missing.ct.scts.is_empty() && missing.chain.x509_chain_valid);

    let spoiled = judged(&leaf().with_bad_sct().issue(&logs), "www.example.org");
    let statuses: Vec<SctStatus> = spoiled.ct.scts.iter().map(|sct| sct.status).collect();
    assert_eq!(statuses, [SctStatus::InvalidSignature, SctStatus::Valid]);
    assert_eq!(spoiled.verdict, Conclusion::Invalid);

    let other_name = judged(&leaf().issue(&logs), "other.example.org");
    assert!(other_name.verdict == Conclusion::Invalid && other_name.ct.outcome == CtOutcome::Compliant);

    let long_ago = transparency::Moment::from_seconds(now.seconds() as i64 - 100 * 86_400);
    let expired = judged(&leaf().valid(long_ago, 90).issue(&logs), "www.example.org");
    assert_eq!((expired.verdict, expired.chain.within_validity), (Conclusion::Invalid, false));

    let stranger = Authority::new("Other", &bench.clock).leaf("www.example.org").issue(&logs);
    let stranger = judged(&stranger, "www.example.org");
    assert!(stranger.verdict == Conclusion::Invalid && stranger.ct.outcome == CtOutcome::Compliant);

    let own = judged(&Issued::self_signed("www.example.org", &bench.clock), "www.example.org");
    assert_eq!(own.verdict, Conclusion::Invalid);
}

#[test]
fn a_revoked_certificate_is_in_the_list_of_its_authority() {
    let bench = Bench::new();
    let [revoked, good] =
        ["www.example.org", "mail.example.org"].map(|name| bench.authority.leaf(name).issue(&bench.logs()));
    bench.authority.revoke(revoked.serial);
    let crls = [bench.authority.crl(), bench.authority.root_crl()];
    let verdict = bench.judge(&revoked, "www.example.org", &crls);
    assert_eq!((verdict.verdict, verdict.revocation), (Conclusion::Invalid, RevocationStatus::Revoked));
    let verdict = bench.judge(&good, "mail.example.org", &crls);
    assert_eq!((verdict.verdict, verdict.revocation), (Conclusion::Valid, RevocationStatus::Good));
}

#[test]
fn records_for_zones_carry_the_certificate() {
    let bench = Bench::new();
    let issued = bench.authority.leaf("www.example.org").issue(&bench.logs());
    let certificate = Skeleton::parse(issued.der()).unwrap();
    for (usage, selector, matching) in [(3, 1, 1), (3, 0, 1), (1, 0, 0), (2, 1, 2)] {
        let text = issued.tlsa_record(usage, selector, matching);
        let hex = text.rsplit(' ').next().unwrap();
        let data: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let rdata = [&[usage, selector, matching][..], &data].concat();
        assert!(transparency::tlsa::Tlsa::read(&rdata).unwrap().matches(&certificate), "{text}");
    }
    assert!(issued.cert_record().starts_with("1 0 0 MII"));
}
