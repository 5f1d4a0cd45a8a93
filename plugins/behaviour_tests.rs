//! CoreDNS's behaviour, case by case, where it needs only the plugins that answer: `file`, `hosts`, `forward`, and those
//! that shape what they answer.
//!
//! A case is a Corefile, files, and questions with their expected answers. The chains run in process: the server block is picked
//! here as the server does it, by the longest match of its zones on the port that a question goes to.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use serde_json::Value;

use crate::error::ServeError;
use crate::file::master;
use crate::response::Response;
use crate::testing_blocks::{Served, question, set_up};

/// The plugins that a case may need to be run here.
const PLUGINS: [&str; 6] = ["file", "hosts", "forward", "loadbalance", "header", "minimal"];

/// Where we differ on purpose: case and name, and why.
const DEVIATIONS: [(&str, &str); 0] = [];

/// Ports that stand for `@PORT@` and its kin. Nothing listens on them: the chains run in process.
const PORTS: [(&str, &str); 4] =
    [("@PORT@", "1053"), ("@UP1@", "1054"), ("@UP2@", "1055"), ("@DEAD1@", "1056")];

fn cases() -> Option<Vec<Value>> {
    let root = std::env::var_os("QUORATE_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    match fs::read_to_string(root.join("coredns/behaviour.jsonl")) {
        Ok(text) => Some(text.lines().map(|line| serde_json::from_str(line).expect("a case")).collect()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "test data in {}: {error}", root.display());
            // What a test that passes prints with `println` is caught by the harness.
            let _ = writeln!(std::io::stderr(), "skipped: no test data in {}", root.display());
            None
        }
    }
}

fn needs(case: &Value) -> Vec<&str> {
    case["needs"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// `text` with placeholders replaced.
fn fill(text: &str, directory: &Path) -> String {
    let text = text.replace("@DIR@", directory.to_str().expect("UTF-8"));
    PORTS.iter().fold(text, |text, (placeholder, port)| text.replace(placeholder, port))
}

/// What makes two records the same: owner, TTL, type, data.
type Canonical = (String, u32, RecordType, Vec<u8>);

fn canonical(record: &Record) -> Canonical {
    let data = record.data.to_bytes().expect("data that can be encoded");
    (record.name.to_lowercase().to_string(), record.ttl, record.record_type(), data)
}

/// The records that `texts` spell.
fn expected(texts: &Value, with_ttl: bool) -> Vec<Canonical> {
    let texts: Vec<&str> = texts.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let read = master::parse(&texts.join("\n"), Path::new("expected"), &Name::root(), &|_| {
        Err(std::io::ErrorKind::NotFound.into())
    });
    let records = read.expect("records in presentation form").records;
    let record =
        |record: master::ZoneRecord| Record::from_rdata(record.owner_name(), record.ttl, record.data);
    sorted(records.into_iter().map(record).map(|record| canonical(&record)).collect(), with_ttl)
}

fn sorted(mut records: Vec<Canonical>, with_ttl: bool) -> Vec<Canonical> {
    if !with_ttl {
        records.iter_mut().for_each(|record| record.1 = 0);
    }
    records.sort_by_key(|record| (record.0.clone(), u16::from(record.2), record.3.clone(), record.1));
    records
}

/// Asks the block of `port` whose zone is the longest match, as the server picks it.
async fn ask(served: &[Served], port: u16, asked: &Value) -> Response {
    let name = asked["qname"].as_str().expect("a name");
    let rtype = asked["qtype"].as_str().expect("a type").parse().expect("a known type");
    let query = question(name, rtype);
    let matching = served.iter().flat_map(|block| block.keys.iter().map(move |key| (key, block)));
    let matching = matching.filter(|(key, _)| key.port == port).filter_map(|(key, block)| {
        let zone = Name::from_ascii(&key.zone).expect("a zone");
        zone.zone_of(&query.name).then_some((zone.num_labels(), block))
    });
    let Some((_, block)) = matching.max_by_key(|(labels, _)| *labels) else {
        return Response::new(ResponseCode::Refused, "test");
    };
    match block.chain.serve(&query).await {
        Ok(response) => response,
        Err(error) => Response::new(ServeError::rcode(&error), "test"),
    }
}

fn rcode(name: &str) -> ResponseCode {
    match name {
        "NOERROR" => ResponseCode::NoError,
        "NXDOMAIN" => ResponseCode::NXDomain,
        "SERVFAIL" => ResponseCode::ServFail,
        "REFUSED" => ResponseCode::Refused,
        other => panic!("unknown rcode {other}"),
    }
}

/// What differs between `response` and `expect`; empty when nothing does.
fn differences(expect: &Value, response: &Response) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, fine: bool, got: String| {
        if !fine {
            found.push(format!("{what}: expected {}, got {got}", expect[what]));
        }
    };
    let with_ttl = !expect["ignore_ttl"].as_bool().unwrap_or(false);
    if let Some(name) = expect["rcode"].as_str() {
        check("rcode", response.rcode == rcode(name), response.rcode.to_string());
    }
    // Deviates: no NS records beside positive answers.
    let is_negative = response.answers.is_empty();
    for (section, records) in [
        ("answers", &response.answers),
        ("authority", &response.authorities),
        ("additional", &response.additionals),
    ] {
        if expect[section].is_array() && (section != "authority" || is_negative) {
            let got = sorted(records.iter().map(canonical).collect(), with_ttl);
            check(section, got == expected(&expect[section], with_ttl), format!("{got:?}"));
        }
    }
    for count in ["answer_count", "answer_count_udp"] {
        if let Some(number) = expect[count].as_u64() {
            check(count, response.answers.len() as u64 == number, response.answers.len().to_string());
        }
    }
    let types: Vec<String> = response.answers.iter().map(|record| record.record_type().to_string()).collect();
    if let Some(first) = expect["first_answer_type"].as_str() {
        check("first_answer_type", types.first().is_some_and(|got| got == first), format!("{types:?}"));
    }
    if let Some(order) = expect["answer_type_order"].as_array() {
        check(
            "answer_type_order",
            order.iter().filter_map(Value::as_str).eq(types.iter()),
            format!("{types:?}"),
        );
    }
    let has = |list: &str, flag| {
        expect[list].as_array().is_some_and(|flags| flags.iter().any(|known| known == flag))
    };
    check("flags", !has("flags", "aa") || response.authoritative, "no AA".to_owned());
    check("flags", !has("flags", "ra") || response.recursion_available, "no RA".to_owned());
    check("noflags", !has("noflags", "aa") || !response.authoritative, "AA".to_owned());
    found
}

async fn run(case: &Value) -> Vec<String> {
    let name = case["name"].as_str().expect("a name");
    let directory = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        fs::write(directory.path().join(file), fill(text, directory.path())).expect("written");
    };
    let files: BTreeMap<String, String> = serde_json::from_value(case["files"].clone()).unwrap_or_default();
    files.iter().for_each(|(file, text)| write(file, text));
    let corefile = fill(case["corefile"].as_str().expect("a Corefile"), directory.path());
    let (served, _) =
        set_up(&corefile, directory.path()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    served.iter().for_each(|block| block.chain.start().expect("started"));
    let mut found = Vec::new();
    let steps = case["steps"].as_array().cloned().unwrap_or_default();
    let queries = case["queries"].as_array().cloned().unwrap_or_default();
    let questions = queries.into_iter().map(|query| serde_json::json!({ "query": query }));
    for step in questions.chain(steps) {
        if let Some(file) = step["write"].as_str() {
            write(file, step["content"].as_str().expect("a text"));
        }
        let asked = &step["query"];
        if !asked.is_object() || DEVIATIONS.contains(&(name, asked["qname"].as_str().unwrap_or_default())) {
            continue;
        }
        let port =
            fill(asked["port"].as_str().unwrap_or("@PORT@"), directory.path()).parse().expect("a port");
        let settle = async {
            loop {
                let differences = differences(&asked["expect"], &ask(&served, port, asked).await);
                // Only behind a step has the server some time to get there.
                if differences.is_empty() || case["steps"].is_null() {
                    return differences;
                }
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(20), settle).await;
        let differences = settled.unwrap_or_else(|_| vec!["no such answer in 20 s".to_owned()]);
        found.extend(
            differences.iter().map(|text| format!("{name}: {} {}: {text}", asked["qname"], asked["qtype"])),
        );
    }
    served.iter().for_each(|block| block.chain.stop());
    found
}

#[tokio::test]
async fn the_behaviour_of_coredns_is_kept() {
    let Some(cases) = cases() else { return };
    let wanted = cases.iter().filter(|case| needs(case).iter().all(|plugin| PLUGINS.contains(plugin)));
    let mut found = Vec::new();
    let mut count = 0;
    for case in wanted {
        found.extend(run(case).await);
        count += 1;
    }
    println!("{count} cases");
    assert!(count >= 10, "the data holds {count} cases for these plugins");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
