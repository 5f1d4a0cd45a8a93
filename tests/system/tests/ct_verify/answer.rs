//! One answer as a client sees it.

use system_tests::clients::{answers, dig};

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

impl Answer {
    /// The answer of the server at this port of the loopback to a question: name and type.
    pub fn to((name, kind): (&str, &str), port: u16) -> Answer {
        let printed = dig(port, &[name, kind]);
        let after = |mark: &str| printed.split(mark).nth(1).and_then(|rest| rest.split(',').next());
        let told = printed.lines().filter_map(|line| line.strip_prefix("; EDE: "));
        Answer {
            status: after("status: ").unwrap_or_else(|| panic!("no status in {printed}")).to_owned(),
            records: answers(&printed),
            told: told.map(str::to_owned).collect(),
        }
    }
}
