//! Makes the certificates, logs and lists that `tests/vectors` holds, with keys that nobody keeps.
//!
//! `cargo run -p transparency --example vectors -- plugins/ct_verify/core/tests/vectors`; needs `openssl` for one RSA key.
//! What a case must give is written here by hand, next to how the case is made; nothing asks the code that it tests, but for
//! cutting bytes to sign.

// Whoever runs this sees what went wrong.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SerialNumber, SigningKey,
    date_time_ymd,
};
use serde_json::{Value, json};
use transparency::digest::Sha256;
use transparency::merkle::{consistency_proof, hash_leaf, inclusion_path, root};
use transparency::skeleton::Skeleton;

/// A log of the vectors.
struct Log {
    key: KeyPair,
    /// TLS SignatureAlgorithm.
    algorithm: u8,
}

/// What one timestamp of a case is.
struct Stamp<'a> {
    log: &'a Log,
    time: &'a str,
    extensions: &'a [u8],
}

/// The authority of the vectors.
struct Authority {
    root: String,
    root_issuer: Issuer<'static, KeyPair>,
    issuer: Issuer<'static, KeyPair>,
    issuer_pem: String,
    issuer_spki: Vec<u8>,
}

impl Log {
    fn p256() -> Self {
        Log { key: KeyPair::generate().unwrap(), algorithm: 3 }
    }

    fn rsa() -> Self {
        let made = Command::new("openssl")
            .args([
                "genpkey",
                "-quiet",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-outform",
                "DER",
            ])
            .output()
            .expect("openssl runs");
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pkcs8(&made.stdout));
        Log {
            key: KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap(),
            algorithm: 1,
        }
    }

    fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    fn id(&self) -> Sha256 {
        Sha256::of(&self.spki())
    }

    fn digitally_signed(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(message).unwrap();
        [&[4, self.algorithm][..], &(signature.len() as u16).to_be_bytes(), &signature].concat()
    }
}

/// OpenSSL writes the traditional form or PKCS#8, as its version likes; ring wants the latter.
fn pkcs8(der: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), der).unwrap();
    drop(child.stdin.take());
    child.wait_with_output().unwrap().stdout
}

fn milliseconds(time: &str) -> u64 {
    time.parse::<transparency::Moment>().unwrap().milliseconds()
}

fn authority(name: &str) -> Authority {
    let ca = |common: String| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2045, 1, 1));
        params
    };
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root_params = ca(format!("{name} Root"));
    let root = root_params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_params, root_key);
    let mut params = ca(format!("{name} Issuing CA"));
    params.serial_number = Some(SerialNumber::from(ISSUING_CA));
    let certificate = params.signed_by(&key, &root_issuer).unwrap();
    let issuer_spki = key.subject_public_key_info();
    Authority {
        root: root.pem(),
        root_issuer,
        issuer_pem: certificate.pem(),
        issuer: Issuer::new(params, key),
        issuer_spki,
    }
}

fn leaf_params(name: &str, serial: u64, days: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let start = date_time_ymd(2026, 6, 1);
    // One second less than whole days, as authorities count them.
    let span = std::time::Duration::from_secs(days as u64 * 86_400 - 1);
    (params.not_before, params.not_after) = (start, start + span);
    params
}

/// The timestamp over what a certificate is without its list.
fn sct(stamp: &Stamp<'_>, tbs: &[u8], issuer_spki: &[u8]) -> Vec<u8> {
    let time = milliseconds(stamp.time).to_be_bytes();
    let extensions = [&(stamp.extensions.len() as u16).to_be_bytes()[..], stamp.extensions].concat();
    let signed = [&[0, 0][..], &time, &entry(tbs, issuer_spki), &extensions].concat();
    let signature = stamp.log.digitally_signed(&signed);
    [&[0][..], &stamp.log.id().0, &time, &extensions, &signature].concat()
}

fn entry(tbs: &[u8], issuer_spki: &[u8]) -> Vec<u8> {
    [&[0, 1][..], &Sha256::of(issuer_spki).0, &(tbs.len() as u32).to_be_bytes()[1..], tbs].concat()
}

fn list(scts: &[Vec<u8>]) -> Vec<u8> {
    let body: Vec<u8> =
        scts.iter().flat_map(|sct| [&(sct.len() as u16).to_be_bytes()[..], sct].concat()).collect();
    [&(body.len() as u16).to_be_bytes()[..], &body].concat()
}

fn octet_string(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    match body.len() {
        0..=127 => [&[4, length[1]][..], body].concat(),
        128..=255 => [&[4, 0x81, length[1]][..], body].concat(),
        _ => [&[4, 0x82][..], &length, body].concat(),
    }
}

/// The folder that is being filled.
struct Vectors {
    folder: PathBuf,
    authority: Authority,
    cases: Vec<Value>,
    serial: u64,
}

/// What a case must give.
struct Expected<'a> {
    chain: bool,
    scts: Value,
    chrome: bool,
    apple: bool,
    note: &'a str,
}

impl Vectors {
    /// Makes one chain: `mend` may change the parameters, `extension` turns the timestamps into an extension's content.
    fn case(
        &mut self,
        id: &str,
        days: i64,
        stamps: &[Stamp<'_>],
        extension: &dyn Fn(Vec<Vec<u8>>) -> Option<Vec<u8>>,
        expected: Expected<'_>,
    ) {
        self.serial += 1;
        let name = format!("{id}.example.org");
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(&name, self.serial, days);
        let bare = params.signed_by(&key, &self.authority.issuer).unwrap();
        let tbs = Skeleton::parse(bare.der()).unwrap().tbs.to_vec();
        let scts = stamps.iter().map(|stamp| sct(stamp, &tbs, &self.authority.issuer_spki)).collect();
        if let Some(content) = extension(scts) {
            let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            let list = CustomExtension::from_oid_content(&oid, content);
            params.custom_extensions.extend(vec![list; if id == TWO_LISTS { 2 } else { 1 }]);
        }
        let certificate = params.signed_by(&key, &self.authority.issuer).unwrap();
        let file = format!("chains/{id}.pem");
        fs::write(self.folder.join(&file), certificate.pem() + &self.authority.issuer_pem).unwrap();
        self.cases.push(json!({
            "id": id, "chain": file, "log_list": "log_list.json", "roots": "roots.pem", "at": AT, "dns_name": name,
            "expect": {
                "x509_chain_valid": expected.chain, "sct_status": expected.scts,
                "chrome_2026_compliant": expected.chrome, "apple_compliant": expected.apple,
            },
            "note": expected.note,
        }));
    }
}

fn log_json(name: &str, log: &Log, state: (&str, &str)) -> Value {
    json!({
        "description": name, "log_id": log.id().base64(), "key": STANDARD.encode(log.spki()),
        "url": format!("https://{name}.example.org/"), "mmd": 86400, "state": { state.0: { "timestamp": state.1 } },
    })
}

fn static_json(name: &str, log: &Log) -> Value {
    let mut json = log_json(name, log, ("usable", "2025-01-01T00:00:00Z"));
    json["submission_url"] = json!(format!("https://{name}.example.org/"));
    json["monitoring_url"] = json!(format!("https://monitor.{name}.example.org/"));
    json["mmd"] = json!(60);
    json
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("the folder to fill"));
    fs::create_dir_all(folder.join("chains")).unwrap();
    let (alder, birch, cedar, retired, unlisted) =
        (Log::p256(), Log::p256(), Log::rsa(), Log::p256(), Log::p256());
    let bought = Log::p256();
    let mut bought_json = log_json("alder-bought", &bought, ("usable", "2025-01-01T00:00:00Z"));
    bought_json["previous_operators"] = json!([{ "name": "Dogwood", "end_time": "2026-06-02T00:00:00Z" }]);
    let operators = json!([
        { "name": "Alder", "logs": [
            log_json("alder", &alder, ("usable", "2025-01-01T00:00:00Z")),
            log_json("alder-retired", &retired, ("retired", "2026-06-02T00:00:00Z")),
            bought_json,
        ] },
        { "name": "Birch", "tiled_logs": [static_json("birch", &birch)] },
        { "name": "Cedar", "logs": [log_json("cedar", &cedar, ("readonly", "2026-07-01T00:00:00Z"))] },
    ]);
    let listed = |time: &str| json!({ "version": "1.0", "log_list_timestamp": time, "operators": operators });
    write(&folder, "log_list.json", &listed("2026-07-30T00:00:00Z"));
    write(&folder, "log_list_stale.json", &listed("2026-05-01T00:00:00Z"));
    let authority = authority("Vectors");
    fs::write(folder.join("roots.pem"), &authority.root).unwrap();
    let mut vectors = Vectors { folder: folder.clone(), authority, cases: Vec::new(), serial: 0 };
    sct_cases(&mut vectors, [&alder, &birch, &cedar, &retired, &unlisted, &bought]);
    write(&folder, "cases.json", &json!({ "cases": vectors.cases }));
    crls(&vectors);
    write(&folder, "logs.json", &trees(&alder, &birch));
}

fn sct_cases(vectors: &mut Vectors, [alder, birch, cedar, retired, unlisted, bought]: [&Log; 6]) {
    let early = |log| Stamp { log, time: "2026-06-01T00:00:01.500Z", extensions: &[] };
    let placed = Stamp { log: birch, time: "2026-06-01T00:00:02Z", extensions: &[0, 0, 5, 0, 0, 0, 0, 7] };
    let late = |log| Stamp { log, time: "2026-06-03T00:00:00Z", extensions: &[] };
    let future = Stamp { log: birch, time: "2026-08-02T00:00:00Z", extensions: &[0, 0, 5, 0, 0, 0, 0, 8] };
    let birch = || Stamp { log: placed.log, time: placed.time, extensions: placed.extensions };
    let plain = |scts: Vec<Vec<u8>>| Some(octet_string(&list(&scts)));
    let expected = |scts, chrome, apple, note| Expected { chain: true, scts, chrome, apple, note };
    let two = json!(["valid", "valid"]);

    vectors.case(
        "good",
        90,
        &[early(alder), birch()],
        &plain,
        expected(two.clone(), true, true, "two logs, two operators"),
    );
    vectors.case(
        "good-rsa",
        90,
        &[early(cedar), birch()],
        &plain,
        expected(two.clone(), true, true, "an RSA log"),
    );
    let three = json!(["valid", "valid", "valid"]);
    let stamps = [early(alder), birch(), early(cedar)];
    vectors.case("good-year", 365, &stamps, &plain, expected(three, true, true, "three for a year"));
    vectors.case(
        "bad-year",
        365,
        &[early(alder), birch()],
        &plain,
        expected(two.clone(), false, false, "two for a year"),
    );
    vectors.case(
        "good-180-days",
        180,
        &[early(alder), birch()],
        &plain,
        expected(two.clone(), true, true, "not long yet"),
    );
    vectors.case(
        "bad-181-days",
        181,
        &[early(alder), birch()],
        &plain,
        expected(two.clone(), false, false, "long"),
    );
    vectors.case("bad-one", 90, &[early(alder)], &plain, expected(json!(["valid"]), false, false, "one log"));
    vectors.case(
        "bad-twice",
        90,
        &[early(alder), late(alder)],
        &plain,
        expected(two.clone(), false, false, "one log twice"),
    );
    let same = [early(alder), early(retired)];
    vectors.case(
        "bad-operator",
        90,
        &same,
        &plain,
        expected(two.clone(), false, false, "two logs of one operator"),
    );
    vectors.case(
        "good-retired",
        90,
        &[early(retired), birch()],
        &plain,
        expected(two.clone(), true, true, "retired later"),
    );
    vectors.case(
        "bad-retired",
        90,
        &[late(retired), birch()],
        &plain,
        expected(two.clone(), false, false, "retired before"),
    );
    let pair = [early(alder), early(bought)];
    vectors.case(
        "good-bought",
        90,
        &pair,
        &plain,
        expected(two.clone(), true, true, "the second was run by others then"),
    );
    let pair = [early(alder), late(bought)];
    vectors.case(
        "bad-bought",
        90,
        &pair,
        &plain,
        expected(two.clone(), false, false, "both of one operator by then"),
    );
    let statuses = json!(["unknown_log", "valid", "valid"]);
    let stamps = [early(unlisted), early(alder), birch()];
    vectors.case(
        "good-unknown",
        90,
        &stamps,
        &plain,
        expected(statuses, true, true, "one more of an unknown log"),
    );
    let statuses = json!(["valid", "future_timestamp"]);
    vectors.case(
        "bad-future",
        90,
        &[early(alder), future],
        &plain,
        expected(statuses, false, false, "dated after the time"),
    );
    vectors.case("bad-none", 90, &[], &|_| None, expected(json!([]), false, false, "no list"));

    let flipped = |mut scts: Vec<Vec<u8>>| {
        *scts[0].last_mut().unwrap() ^= 1;
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["invalid_signature", "valid"]);
    vectors.case(
        "bad-flipped",
        90,
        &[early(alder), birch()],
        &flipped,
        expected(statuses, false, false, "a bit of a signature"),
    );
    let renamed = |mut scts: Vec<Vec<u8>>| {
        // Behind version, log, time and empty extensions: what the algorithm is said to be.
        assert_eq!(scts[0][43..45], [4, 3]);
        scts[0][44] = 1;
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["invalid_signature", "valid"]);
    vectors.case(
        "bad-algorithm",
        90,
        &[early(alder), birch()],
        &renamed,
        expected(statuses, false, false, "said to be RSA"),
    );
    let unhashed = |mut scts: Vec<Vec<u8>>| {
        scts[0][43] = 0;
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["invalid_signature", "valid"]);
    vectors.case(
        "bad-hash",
        90,
        &[early(alder), birch()],
        &unhashed,
        expected(statuses, false, false, "said to hash nothing"),
    );
    let moved = |mut scts: Vec<Vec<u8>>| {
        scts[1][50] ^= 1;
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["valid", "invalid_signature"]);
    vectors.case(
        "bad-index",
        90,
        &[early(alder), birch()],
        &moved,
        expected(statuses, false, false, "the position is signed"),
    );
    let newer = |mut scts: Vec<Vec<u8>>| {
        scts.insert(0, vec![9, 1, 2, 3]);
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["unsupported_version", "valid", "valid"]);
    vectors.case(
        "good-version",
        90,
        &[early(alder), birch()],
        &newer,
        expected(statuses, true, true, "a version 9 before"),
    );
    let longer = |mut scts: Vec<Vec<u8>>| {
        scts[0].push(0);
        Some(octet_string(&list(&scts)))
    };
    let statuses = json!(["malformed", "valid"]);
    vectors.case(
        "bad-longer",
        90,
        &[early(alder), birch()],
        &longer,
        expected(statuses, false, false, "a byte too many"),
    );
    let duplicate = json!("malformed (duplicate extension)");
    let twice = Expected { chain: false, ..expected(duplicate, false, false, "the list twice") };
    vectors.case(TWO_LISTS, 90, &[early(alder), birch()], &plain, twice);
    let malformed = json!("malformed_list");
    let cut = |scts: Vec<Vec<u8>>| {
        let mut list = list(&scts);
        list.pop();
        Some(octet_string(&list))
    };
    vectors.case(
        "bad-cut",
        90,
        &[early(alder), birch()],
        &cut,
        expected(malformed.clone(), false, false, "a byte too few"),
    );
    let after = |scts: Vec<Vec<u8>>| Some([octet_string(&list(&scts)), vec![0]].concat());
    vectors.case(
        "bad-after",
        90,
        &[early(alder), birch()],
        &after,
        expected(malformed.clone(), false, false, "a byte after"),
    );
    let bare = |scts: Vec<Vec<u8>>| Some(list(&scts));
    vectors.case(
        "bad-bare",
        90,
        &[early(alder), birch()],
        &bare,
        expected(malformed.clone(), false, false, "no OCTET STRING"),
    );
    let empty = |_: Vec<Vec<u8>>| Some(octet_string(&[0, 0]));
    vectors.case("bad-empty", 90, &[], &empty, expected(malformed, false, false, "an empty list"));
    let expired = Expected { chain: false, ..expected(two, true, true, "expired after a month") };
    vectors.case("bad-expired", 30, &[early(alder), birch()], &plain, expired);
}

fn crls(vectors: &Vectors) {
    let scoped = |issuer: &Issuer<'static, KeyPair>, serial: u64, (this, next): (u8, u8), scope| {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, this, 20),
            next_update: date_time_ymd(2026, next, 20),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: scope,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2026, 6, 10),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().pem().unwrap()
    };
    let list = |issuer, serial, this, next| scoped(issuer, serial, (this, next), None);
    let folder = vectors.folder.join("crl");
    fs::create_dir_all(&folder).unwrap();
    let (issuer, root) = (&vectors.authority.issuer, &vectors.authority.root_issuer);
    fs::write(folder.join("current.crl"), list(issuer, 1, 7, 8)).unwrap();
    fs::write(folder.join("expired.crl"), list(issuer, 1, 6, 7)).unwrap();
    fs::write(folder.join("future.crl"), list(issuer, 1, 8, 9)).unwrap();
    fs::write(folder.join("root.crl"), list(root, ISSUING_CA, 7, 8)).unwrap();
    fs::write(folder.join("root-good.crl"), list(root, 7, 7, 8)).unwrap();
    let authorities_alone = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec!["http://crl.example.org/ca.crl".to_owned()] },
        scope: Some(CrlScope::CaCertsOnly),
    };
    fs::write(folder.join("ca-only.crl"), scoped(issuer, 7, (7, 8), Some(authorities_alone))).unwrap();
    let case = |chain: &str, crl: &str, expect: &str| json!({ "chain": format!("chains/{chain}.pem"), "crl": crl, "expect": expect });
    let cases = [
        case("good", "current.crl", "revoked"),
        case("good-rsa", "current.crl", "good"),
        case("good", "expired.crl", "unknown"),
        case("good", "future.crl", "unknown"),
        case("good", "ca-only.crl", "unknown"),
        case("good-rsa", "root.crl", "revoked"),
        case("good-rsa", "root-good.crl", "unknown"),
    ];
    write(&folder, "cases.json", &json!({ "at": AT, "cases": cases }));
}

/// Tree heads, proofs and checkpoints over the numbers from 0 up as leaves.
fn trees(rfc6962: &Log, tiled: &Log) -> Value {
    let leaves: Vec<Sha256> = (0u32..300).map(|number| hash_leaf(&number.to_be_bytes())).collect();
    let texts = |hashes: Vec<Sha256>| hashes.iter().map(Sha256::base64).collect::<Vec<_>>();
    let signed = |log: &Log, size: u64, time: u64, root: &Sha256| {
        let message = [&[0, 1][..], &time.to_be_bytes(), &size.to_be_bytes(), &root.0].concat();
        log.digitally_signed(&message)
    };
    let time = milliseconds(AT) - 1000;
    let head = |size: usize, root: &Sha256, time: u64| {
        json!({
            "tree_size": size, "timestamp": time, "sha256_root_hash": root.base64(),
            "tree_head_signature": STANDARD.encode(signed(rfc6962, size as u64, time, root)),
        })
    };
    let origin = "birch.example.org";
    let checkpoint = |size: usize, root: &Sha256| {
        let key_id = Sha256::of_pieces(&[origin.as_bytes(), b"\n\x05", &tiled.id().0]);
        let body = [&key_id.0[..4], &time.to_be_bytes(), &signed(tiled, size as u64, time, root)].concat();
        format!("{origin}\n{size}\n{}\n\n\u{2014} {origin} {}\n", root.base64(), STANDARD.encode(body))
    };
    let (old, new) = (root(&leaves[..200]), root(&leaves));
    json!({
        "about": "leaves are the numbers from 0 up, each as four bytes, the most significant first",
        "at": AT,
        "rfc6962": {
            "key": STANDARD.encode(rfc6962.spki()),
            "heads": [head(200, &old, time), head(300, &new, time)],
            "split": head(200, &new, time),
            "shrunk": head(200, &old, time + 500),
            "consistency": texts(consistency_proof(&leaves, 200).unwrap()),
            "inclusion": { "index": 123, "path": texts(inclusion_path(&leaves, 123).unwrap()) },
        },
        "static": {
            "key": STANDARD.encode(tiled.spki()),
            "origin": origin,
            "checkpoint": checkpoint(300, &new),
            "split": checkpoint(300, &old),
        },
    })
}

/// The case whose certificate has its list in two extensions.
const TWO_LISTS: &str = "bad-two-lists";
/// The serial number of the issuing authority.
const ISSUING_CA: u64 = 1000;
const AT: &str = "2026-08-01T00:00:00Z";
