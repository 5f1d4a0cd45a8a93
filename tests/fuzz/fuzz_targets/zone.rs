//! Master files, and the zones that come of them.
#![no_main]

use std::io::ErrorKind;
use std::path::Path;

use hickory_proto::rr::Name;
use plugins::file::master::{ERRORS_MAX, parse};
use plugins::file::zone::Zone;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Each of these may make 65 536 records; what they make is tested elsewhere.
    if text.to_ascii_uppercase().contains("$GENERATE") {
        return;
    }
    let origin = Name::from_ascii("example.org.").expect("a name");
    let include = |path: &Path| match path.to_str() {
        Some("zones/part") => Ok("x 60 A 192.0.2.9\n".to_owned()),
        Some("zones/again") => Ok(text.to_owned()),
        _ => Err(ErrorKind::NotFound.into()),
    };
    match parse(text, Path::new("zones/db"), &origin, &include) {
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= ERRORS_MAX);
            assert!(errors.iter().all(|error| error.at.is_some()));
        }
        Ok(file) => {
            for record in &file.records {
                assert!(record.owner_name().is_fqdn());
                assert!(record.place.0 < file.files.len());
            }
            if let Ok(zone) = Zone::build(&origin, file.records) {
                assert!(zone.node(zone.origin()).is_some(), "the apex is there");
            }
        }
    }
});
