//! Cutting extensions out of certificates. What remains must be a certificate's content again, and have no such extension.
#![no_main]

use transparency::precertificate::{
    corresponds, sct_list, tbs_of_presigned, tbs_without_poison, tbs_without_scts,
};
use transparency::skeleton::Skeleton;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(certificate) = Skeleton::parse(bytes) else { return };
    assert_eq!(tbs_without_scts(&certificate).is_ok(), matches!(sct_list(&certificate), Ok(Some(_))));
    for tbs in [tbs_without_scts(&certificate), tbs_without_poison(&certificate)].into_iter().flatten() {
        assert!(tbs.len() < certificate.tbs.len());
        // The shortest algorithm and signature there are make a certificate of it.
        let rest = [0x30, 0x00, 0x03, 0x01, 0x00];
        let length = ((tbs.len() + rest.len()) as u32).to_be_bytes();
        let skipped = length.iter().take_while(|byte| **byte == 0).count();
        let head = match tbs.len() + rest.len() {
            0..=127 => vec![0x30, length[3]],
            _ => [&[0x30, 0x80 | (4 - skipped) as u8][..], &length[skipped..]].concat(),
        };
        let whole = [&head[..], &tbs, &rest].concat();
        let again = Skeleton::parse(&whole).expect("what is left is a certificate");
        assert_eq!(
            (again.issuer, again.subject, again.spki),
            (certificate.issuer, certificate.subject, certificate.spki)
        );
    }
    let _ = tbs_of_presigned(&certificate, &certificate);
    let _ = corresponds(&certificate, &certificate);
});
