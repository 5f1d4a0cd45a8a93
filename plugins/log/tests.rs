//! Tests of `log`.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use prometheus_client::metrics::counter::Counter;

use super::format::Format;
use super::handler::{Log, Rule};
use super::record::{Class, Record};
use super::writer::{Job, QUEUE_MAX, Writer};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::{Client, Query};
use crate::rehearsal::{
    Script, a, answer, certified, denial, glance, messages, plugins, query, soa, with_edns,
};
use crate::response::Response;

/// What was written, to be read after the writer has stopped.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

fn rule(zones: &[&str], classes: &[Class], format: &str) -> Rule {
    let labels = |zone: &&str| {
        zone.split('.').filter(|label| !label.is_empty()).map(|label| label.as_bytes().to_vec()).collect()
    };
    Rule {
        zones: zones.iter().map(labels).collect(),
        classes: classes.to_vec(),
        format: Arc::new(Format::parse(format)),
    }
}

const ALL: &[Class] = &[Class::Success, Class::Denial, Class::Error];

/// The record of a query that took the long way.
fn record(query: &Query, result: Result<Response, ServeError>) -> Record {
    Record::of_query(query, &result, Duration::from_micros(1500), SystemTime::UNIX_EPOCH)
}

fn ask() -> Query {
    Query { id: 4711, ..query("Example.org.", RecordType::A) }
}

fn one() -> Result<Response, ServeError> {
    Ok(answer(vec![a("example.org.", 300, 1)]))
}

#[test]
fn common_format_is_coredns_s() {
    let asked = with_edns(ask(), true);
    let mut response = one().unwrap();
    (response.authoritative, response.recursion_available, response.authentic_data) = (true, true, true);
    assert_eq!(
        Format::default().line(&record(&asked, Ok(response))),
        "[INFO] 192.0.2.1:40000 - 4711 \"A IN Example.org. udp 40 true 1232\" NOERROR qr,aa,rd,ra,ad 45 0.001500000s\n"
    );
}

#[test]
fn every_token_is_known_and_other_words_stay() {
    let format = "{type} {name} {class} {proto} {remote} {local} {port} {size} {rcode} {rsize} {>id} {>opcode} {>do} \
        {>bufsize} {>rflags} {origin} {/forward/upstream} {what} {";
    let line = Format::parse(format).line(&record(&ask(), Err(ServeError::NoPlugin)));
    assert_eq!(
        line,
        "[INFO] A Example.org. IN udp 192.0.2.1 192.0.2.53 40000 40 REFUSED 29 4711 0 false 512 qr,rd - - {what} {\n"
    );
}

#[test]
fn addresses_of_version_6_stand_in_brackets() {
    let asked = ask();
    let client = Client { address: "[2001:db8::1]:53".parse().unwrap(), ..asked.client };
    let line = Format::parse("{remote}:{port}").line(&record(&Query { client, ..asked }, one()));
    assert_eq!(line, "[INFO] [2001:db8::1]:53\n");
}

#[test]
fn json_line_is_an_object_with_all_there_is() {
    let line = Format::parse("{json}").line(&record(&ask(), one().map(certified)));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "time": 0.0, "remote": "192.0.2.1", "port": 40_000, "local": "192.0.2.53", "proto": "udp", "id": 4711,
            "name": "Example.org.", "type": "A", "class": "IN", "size": 40, "do": false, "bufsize": 512,
            "rcode": "NOERROR", "rflags": "qr,rd", "rsize": 45, "duration": 0.0015, "origin": "test", "certified": true,
        })
    );
}

#[test]
fn no_name_can_break_the_line() {
    let name = hickory_proto::rr::Name::from_labels([&b"a.b\n\" \\\xff"[..], b"org"]).unwrap();
    let line = Format::parse("{name}").line(&record(&Query { name_as_asked: name, ..ask() }, one()));
    assert_eq!(line, "[INFO] a\\.b\\010\\\"\\032\\\\\\255.org.\n");
    let root = Query { name_as_asked: hickory_proto::rr::Name::root(), ..ask() };
    assert_eq!(Format::parse("{name}").line(&record(&root, one())), "[INFO] .\n");
}

#[test]
fn classes_are_told_apart() {
    let class = |result| record(&ask(), result).outcome.class;
    assert_eq!(class(one()), Class::Success);
    for rcode in [ResponseCode::NXDomain, ResponseCode::NoError] {
        assert_eq!(class(Ok(denial(rcode, soa("example.org.", 60, 60)))), Class::Denial, "{rcode}");
    }
    assert_eq!(class(Err(ServeError::NotReady("busy".into()))), Class::Error);
    assert_eq!(class(Ok(Response::new(ResponseCode::Refused, "test"))), Class::Error);
}

/// The lines of a chain of `rules` and `cache`, after each of `names` was asked for twice.
async fn logged(rules: Vec<Rule>, names: &[&str]) -> Vec<String> {
    let (sink, writer) = (Sink::default(), Writer::new(Counter::default()));
    writer.start(sink.clone()).unwrap();
    let log = Arc::new(Log::new(rules, writer));
    let chain = Chain::new(vec![log.clone(), Script::new([one()])]);
    for name in names {
        chain.serve(&query(name, RecordType::A)).await.unwrap();
    }
    chain.stop();
    sink.lines()
}

#[tokio::test]
async fn first_rule_that_matches_decides() {
    let rules = vec![
        rule(&["quiet.example.org."], &[Class::Error], "{name}"),
        rule(&["example.org."], ALL, "one {name}"),
        rule(&["."], ALL, "two {name}"),
    ];
    let names = ["a.quiet.example.org.", "www.EXAMPLE.org.", "example.net.", "notexample.org.", "."];
    assert_eq!(
        logged(rules, &names).await,
        [
            "[INFO] one www.EXAMPLE.org.",
            "[INFO] two example.net.",
            "[INFO] two notexample.org.",
            "[INFO] two ."
        ]
    );
}

#[tokio::test]
async fn query_that_no_rule_matches_is_not_logged() {
    assert_eq!(logged(vec![rule(&["example.net."], ALL, "{name}")], &["example.org."]).await, [""; 0]);
}

#[test]
fn hits_at_a_glance_are_logged_with_the_replys_size_and_flags() {
    let (sink, writer) = (Sink::default(), Writer::new(Counter::default()));
    writer.start(sink.clone()).unwrap();
    let log = Arc::new(Log::new(
        vec![rule(&["."], ALL, "{>id} {name} {rcode} {rsize} {>rflags} {origin}")],
        writer,
    ));
    let chain = Chain::new(vec![log, Arc::new(crate::rehearsal::Answered(3))]);
    assert!(glance(&chain, &ask()).is_some());
    chain.stop();
    assert_eq!(sink.lines(), ["[INFO] 4711 Example.org. NXDOMAIN 12 qr,rd,ra cache"]);
}

/// A sink that waits for a word before each write.
struct Stuck(Receiver<()>, Sender<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.1.send(());
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn writer_that_is_stuck_costs_lines_and_no_time() {
    let (dropped, writing, go) = (Counter::default(), channel(), channel());
    let writer = Writer::new(dropped.clone());
    writer.start(Stuck(go.1, writing.0)).unwrap();
    let format = Arc::new(Format::default());
    let put = || writer.put(Job { record: record(&ask(), one()), format: format.clone() });
    put();
    writing.1.recv().expect("the thread is writing the first line");
    (0..QUEUE_MAX).for_each(|_| put());
    assert_eq!(dropped.get(), 0);
    (0..5).for_each(|_| put());
    assert_eq!(dropped.get(), 5);
    drop(go.0);
    writer.stop();
    put();
    assert_eq!(dropped.get(), 6, "nobody writes any more");
}

#[test]
fn every_form_of_the_syntax_is_accepted() {
    for text in [
        "log",
        "log example.org example.net 192.0.2.0/24",
        "log {common}",
        "log . \"{remote} {name}\"",
        "log \"plain words\"",
        "log example.org {json} {\n class denial error\n}\nlog . {\n class all\n}",
    ] {
        assert_eq!((messages(text), plugins(text)), (vec![], vec!["log"]), "{text}");
    }
}

#[test]
fn mistakes_are_told() {
    for (text, expected) in [
        ("log stdout", "Corefile:2:5: warning: log: `stdout` is taken for a zone"),
        ("log a..b", "Corefile:2:5: error: log: expected a zone or network, got `a..b`"),
        (
            "log {\n class fine\n}",
            "Corefile:3:8: error: log: class: expected `all`, `success`, `denial` or `error`, got `fine`",
        ),
        (
            "log {\n class\n}",
            "Corefile:3:7: error: log: class: expected at least 1 argument (each `all`, `success`, `denial` or `error`), got 0",
        ),
    ] {
        assert_eq!(messages(text), [expected], "{text}");
    }
}
