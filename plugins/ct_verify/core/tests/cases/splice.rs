//! What the logs saw of a certificate: golden TBSCertificates, and pre-certificates with their final ones.

use rustls_pki_types::CertificateDer;
use transparency::digest::Sha256;
use transparency::log_key::{LogKey, merkle_tree_leaf};
use transparency::merkle::hash_leaf;
use transparency::precertificate::{self, LogEntry, SpliceError};
use transparency::sct::{ListError, parse_extension, parse_sct};
use transparency::skeleton::Skeleton;

use crate::place::{chain, data, own};

fn skeleton<'a>(certificate: &'a CertificateDer<'_>) -> Skeleton<'a> {
    Skeleton::parse(certificate).expect("a certificate")
}

#[test]
fn tbs_without_timestamps_is_the_golden_one() {
    let Some(data) = data() else { return };
    for (pem, golden) in [
        ("azul/cloudflare.pem", "azul/cloudflare-tbs-without-sct.der"),
        (
            "cryptography-vectors/cryptography-scts.pem",
            "cryptography-vectors/cryptography-scts-tbs-precert.der",
        ),
    ] {
        let chain = chain(data.join(pem));
        let tbs = precertificate::tbs_without_scts(&skeleton(&chain[0])).unwrap();
        assert!(tbs == std::fs::read(data.join(golden)).unwrap(), "{pem}");
    }
}

#[test]
fn a_final_certificate_corresponds_to_its_precertificate_alone() {
    let Some(data) = data() else { return };
    let precertificate = chain(data.join("boulder-precert/good/precert.pem"));
    let last = chain(data.join("boulder-precert/good/final.pem"));
    let other = chain(data.join("azul/cloudflare.pem"));
    let corresponds =
        |to: &CertificateDer<'_>| precertificate::corresponds(&skeleton(&precertificate[0]), &skeleton(to));
    assert_eq!(corresponds(&last[0]), Ok(true));
    assert_eq!(corresponds(&other[0]), Ok(false));
    assert_eq!(
        precertificate::corresponds(&skeleton(&last[0]), &skeleton(&precertificate[0])),
        Err(SpliceError::Absent)
    );
}

#[test]
fn a_timestamp_of_a_precertificate_is_that_of_the_final_one() {
    let Some(data) = data() else { return };
    let google = data.join("google-ct-testdata");
    let [issuer, precert, last] = ["ca-cert.pem", "test-embedded-pre-cert.pem", "test-embedded-cert.pem"]
        .map(|name| chain(google.join(name)).remove(0));
    let key = std::fs::read(google.join("ct-server-key-public.pem")).unwrap();
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(&key);
    let key: rustls_pki_types::SubjectPublicKeyInfoDer<'_> = key.unwrap();
    let key = LogKey::from_spki(&key).unwrap();
    let proof = std::fs::read(google.join("test-embedded-pre-cert.proof")).unwrap();
    let sct = parse_sct(&proof).unwrap();
    let tbs = precertificate::tbs_without_poison(&skeleton(&precert)).unwrap();
    assert_eq!(precertificate::tbs_without_scts(&skeleton(&last)).as_ref(), Ok(&tbs));
    let entry = LogEntry::Precertificate { issuer_key_hash: skeleton(&issuer).key_hash(), tbs: &tbs };
    assert_eq!(key.verify_sct(&sct, &entry), Ok(()));
    let foreign = LogEntry::Precertificate { issuer_key_hash: Sha256::of(b""), tbs: &tbs };
    assert!(key.verify_sct(&sct, &foreign).is_err());
    let invalid = chain(google.join("test-invalid-embedded-cert.pem")).remove(0);
    let tbs = precertificate::tbs_without_scts(&skeleton(&invalid)).unwrap();
    let entry = LogEntry::Precertificate { issuer_key_hash: skeleton(&issuer).key_hash(), tbs: &tbs };
    let list = precertificate::sct_list(&skeleton(&invalid)).unwrap().unwrap();
    let entries = parse_extension(list).unwrap();
    let transparency::sct::ListEntry::V1(sct) = entries[0] else { panic!("{entries:?}") };
    assert!(key.verify_sct(&sct, &entry).is_err());
}

#[test]
fn timestamps_of_whole_certificates_verify_as_entries_of_their_own() {
    let Some(data) = data() else { return };
    let folder = data.join("sct-rs-x509entry");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (google, pilot, symantec) =
        (read("google-cert.bin"), read("google-pilot-pubkey.bin"), read("symantec-log-pubkey.bin"));
    for (sct, key) in [("google-sct0.bin", &pilot), ("google-sct1.bin", &symantec)] {
        let (bytes, key) =
            (read(sct), LogKey::from_spki(key).or_else(|_| LogKey::from_spki(&spki_of_point(key))).unwrap());
        let parsed = parse_sct(&bytes).unwrap();
        assert_eq!(key.verify_sct(&parsed, &LogEntry::X509(&google)), Ok(()), "{sct}");
        assert!(merkle_tree_leaf(parsed.timestamp, &LogEntry::X509(&google), parsed.extensions).is_some());
    }
    let key = LogKey::from_spki(&spki_of_point(&read("ecdsa-prime256v1-pub.raw"))).unwrap();
    let outcome = |name: &str| match parse_sct(&read(name)) {
        None => "malformed",
        Some(sct) if sct.log_id != key.id() => "unknown",
        Some(sct) if key.verify_sct(&sct, &LogEntry::X509(b"cert")).is_err() => "invalid",
        Some(_) => "valid",
    };
    for (name, expected) in [
        ("basic", "valid"),
        ("future", "valid"),
        ("wrongcert", "invalid"),
        ("wrongtime", "invalid"),
        ("wrongext", "invalid"),
        ("badsigalg", "invalid"),
        ("wrongid", "unknown"),
        ("junk", "malformed"),
        ("version", "malformed"),
    ] {
        assert_eq!(outcome(&format!("ecdsa_p256-{name}-sct.bin")), expected, "{name}");
    }
    let whole = read("ecdsa_p256-short-sct.bin");
    assert!(parse_sct(&whole).is_some());
    (0..whole.len()).for_each(|length| assert_eq!(parse_sct(&whole[..length]), None, "{length}"));
}

/// SubjectPublicKeyInfo of a bare point on P-256.
fn spki_of_point(point: &[u8]) -> Vec<u8> {
    let head = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    [&head[..], point].concat()
}

#[test]
fn classic_malformed_lists_are_refused() {
    let Some(data) = data() else { return };
    let der = std::fs::read(data.join("cryptography-vectors/invalid-sct-length.der")).unwrap();
    let list = precertificate::sct_list(&Skeleton::parse(&der).unwrap()).unwrap().unwrap().to_vec();
    assert_eq!(parse_extension(&list), Err(ListError::Length));
}

#[test]
fn every_leaf_of_a_real_data_tile_has_the_hash_of_its_level_0_tile() {
    let Some(data) = data() else { return };
    let tiles = data.join("static-ct-real/navigli2025h2/tile");
    let (entries, hashes) =
        (std::fs::read(tiles.join("data/000")).unwrap(), std::fs::read(tiles.join("0/000")).unwrap());
    let entries = transparency::tile::parse_data_tile(&entries).unwrap();
    assert_eq!(entries.len(), 256);
    for (entry, hash) in entries.iter().zip(hashes.chunks_exact(32)) {
        assert_eq!(entry.leaf_hash(), Sha256::from_slice(hash));
        let leaf = merkle_tree_leaf(entry.timestamp, &entry.entry, entry.extensions).unwrap();
        let read = transparency::tile::parse_leaf_input(&leaf).unwrap();
        assert_eq!(read, (entry.timestamp, entry.entry, entry.extensions));
        assert_eq!(hash_leaf(&leaf).0, hash);
    }
}

#[test]
fn a_certificate_with_two_lists_is_not_cut() {
    let chain = chain(own().join("chains/bad-two-lists.pem"));
    assert_eq!(precertificate::sct_list(&skeleton(&chain[0])), Err(SpliceError::Duplicate));
    assert_eq!(precertificate::tbs_without_scts(&skeleton(&chain[0])), Err(SpliceError::Duplicate));
}

#[test]
fn a_presigned_precertificate_takes_name_and_key_identifier_of_the_final_issuer() {
    use rcgen::{CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
    let named = |name: &str| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params
    };
    let keys: [KeyPair; 3] = std::array::from_fn(|_| KeyPair::generate().unwrap());
    let mut signer = named("Signer");
    signer.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 11129, 2, 4, 4])];
    let (issuer_params, mut leaf) = (named("Final"), named("leaf"));
    let issuer = Issuer::from_params(&issuer_params, &keys[0]);
    let signer_certificate = signer.signed_by(&keys[1], &issuer).unwrap();
    leaf.serial_number = Some(rcgen::SerialNumber::from(5u64));
    let last = leaf.signed_by(&keys[2], &issuer).unwrap();
    let mut poison = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 3], vec![5, 0]);
    poison.set_criticality(true);
    leaf.custom_extensions.push(poison);
    let precertificate = leaf.signed_by(&keys[2], &Issuer::from_params(&signer, &keys[1])).unwrap();
    let (precertificate, signed_by) = (skeleton(precertificate.der()), skeleton(signer_certificate.der()));
    assert!(precertificate::is_precertificate(&precertificate));
    assert_eq!(
        precertificate::tbs_of_presigned(&precertificate, &signed_by).as_deref(),
        Ok(skeleton(last.der()).tbs)
    );
    assert_eq!(
        precertificate::tbs_of_presigned(&precertificate, &skeleton(last.der())),
        Err(SpliceError::NoSigner)
    );
}

#[test]
fn a_timestamp_that_names_another_log_is_not_believed_though_its_signature_fits() {
    let chain = chain(own().join("chains/good.pem"));
    let list = std::fs::read(own().join("log_list.json")).unwrap();
    let list = transparency::log_list::LogList::parse(&list).unwrap();
    let leaf = skeleton(&chain[0]);
    let entries = parse_extension(precertificate::sct_list(&leaf).unwrap().unwrap()).unwrap();
    let transparency::sct::ListEntry::V1(mut sct) = entries[0] else { panic!("{entries:?}") };
    let key = list.log(&sct.log_id).unwrap().key.clone();
    let tbs = precertificate::tbs_without_scts(&leaf).unwrap();
    let entry = LogEntry::Precertificate { issuer_key_hash: skeleton(&chain[1]).key_hash(), tbs: &tbs };
    assert_eq!(key.verify_sct(&sct, &entry), Ok(()));
    // The signature does not cover the log's identity.
    sct.log_id = transparency::digest::LogId(Sha256::of(b"another"));
    assert!(key.verify_sct(&sct, &entry).is_err());
}

#[test]
fn classic_embedded_timestamps_verify() {
    let Some(data) = data() else { return };
    let config = std::fs::read_to_string(data.join("openssl-ct/log_list.cnf")).unwrap();
    let mut keys: Vec<LogKey> = config
        .lines()
        .filter_map(|line| line.strip_prefix("key = "))
        .map(|key| LogKey::from_spki(&crate::place::base64(&serde_json::Value::from(key.trim()))).unwrap())
        .collect();
    for name in ["2023-06-20", "2025-04-10", "2025-12-14"] {
        let list = std::fs::read(data.join(format!("log-lists/{name}.json"))).unwrap();
        let list = transparency::log_list::LogList::parse(&list).unwrap();
        keys.extend(list.logs().map(|log| log.key.clone()));
    }
    for (leaf, issuer, least) in [
        ("openssl-ct/embeddedSCTs1.pem", "openssl-ct/embeddedSCTs1_issuer.pem", 1),
        ("google-ct-testdata/test-embedded-cert.pem", "google-ct-testdata/ca-cert.pem", 1),
        ("cryptography-vectors/cryptography-scts.pem", "cryptography-vectors/letsencryptx3.pem", 0),
        ("azul/cloudflare.pem", "", 2),
    ] {
        let mut certificates = chain(data.join(leaf));
        if !issuer.is_empty() {
            certificates.extend(chain(data.join(issuer)));
        }
        let read = skeleton(&certificates[0]);
        let tbs = precertificate::tbs_without_scts(&read).unwrap();
        let entry =
            LogEntry::Precertificate { issuer_key_hash: skeleton(&certificates[1]).key_hash(), tbs: &tbs };
        let entries = parse_extension(precertificate::sct_list(&read).unwrap().unwrap()).unwrap();
        let mut known = 0;
        for parsed in &entries {
            let transparency::sct::ListEntry::V1(sct) = parsed else { panic!("{leaf}: {parsed:?}") };
            if let Some(key) = keys.iter().find(|key| key.id() == sct.log_id) {
                assert_eq!(key.verify_sct(sct, &entry), Ok(()), "{leaf}");
                known += 1;
            }
        }
        assert!(known >= least, "{leaf}: {known} of {}", entries.len());
    }
}

#[test]
fn a_detached_signature_fits_its_bytes_and_key_alone() {
    use rcgen::{PublicKeyData, SigningKey};
    let pair = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let [key, other] =
        [&pair, &other].map(|pair| LogKey::from_spki(&pair.subject_public_key_info()).unwrap());
    let signature = pair.sign(b"list").unwrap();
    assert_eq!(key.verify_detached(b"list", &signature), Ok(()));
    assert!(key.verify_detached(b"lists", &signature).is_err());
    assert!(other.verify_detached(b"list", &signature).is_err());
}
