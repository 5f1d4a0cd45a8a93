//! A server that answers what a test tells it to, and serves the files of the dashboard as they stand in the tree, without the headers that protect it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use system_tests::program::root;

/// Text that leaves a mark on the document if it becomes markup.
pub const HOSTILE: &str = "<img src=x onerror=\"document.documentElement.dataset.taken=1\">";

/// The server. It lives as long as the tests.
pub struct Told {
    /// Where it listens, on loopback.
    pub port: u16,
}

/// A status of HTTP, and what goes with it.
type Answer = (u16, String);

impl Told {
    /// Serves, below `/v1/` and at `/metrics`, what `say` says to a path that was asked for so many times before.
    pub fn serve(say: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Told {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (say, asked) = (Arc::new(say), Arc::new(Mutex::new(BTreeMap::<String, usize>::new())));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (say, asked) = (say.clone(), asked.clone());
                thread::spawn(move || {
                    let count = |path: &str| {
                        let mut asked = asked.lock().unwrap();
                        let nth = asked.entry(path.to_owned()).or_default();
                        *nth += 1;
                        *nth - 1
                    };
                    answer(stream, |path| say(path, count(path)));
                });
            }
        });
        Told { port }
    }
}

fn answer(mut stream: TcpStream, say: impl Fn(&str) -> Answer) {
    let mut request = [0; 16 << 10];
    // A browser opens connections that it does not use.
    let Ok(length @ 1..) = stream.read(&mut request) else { return };
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let target = request.split(' ').nth(1).unwrap_or("/");
    let path = target.split('?').next().unwrap_or("/");
    let file = match path {
        "/" => Some("index.html"),
        _ => path.strip_prefix("/page/"),
    };
    let (kind, (status, body)) = match file {
        Some(file) => {
            let kind = match file.rsplit('.').next() {
                Some("js") => "text/javascript",
                Some("css") => "text/css",
                Some("svg") => "image/svg+xml",
                _ => "text/html; charset=utf-8",
            };
            (kind, (200, fs::read_to_string(root().join("server/src/admin/page").join(file)).unwrap()))
        }
        None => ("application/json", say(path)),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _gone = stream.write_all((head + &body).as_bytes());
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// What a replica says that has shut one out, with these words wherever it has words of others.
fn said(path: &str, word: impl Fn(&'static str) -> Value) -> Answer {
    let body = match path {
        "/v1/status" => status(word("demo")),
        "/v1/cluster" => {
            let member = |id: u8| json!({ "id": id, "name": word(["zero", "one", "two", "three"][usize::from(id)]), "address": "192.0.2.1:1" });
            let members = [0, 1, 2, 3].map(member);
            json!({ "name": word("demo"), "quorum": 3, "faults": 1, "replicas": members })
        }
        "/v1/assessments" => {
            let now = now_ms();
            // Less a moment would be 59 min and some seconds.
            let shut =
                json!({ "until_ms": now + 3_630_000, "reason": word("proven equivocation"), "strike": 1 });
            let peers = [peer(1, &word, Value::Null), peer(2, &word, shut), peer(3, &word, Value::Null)];
            json!({ "time_ms": now, "replicas": peers, "trusted": [0, 1, 3] })
        }
        "/v1/connectivity" => {
            let link = |id: u8, state: &str| json!({ "id": id, "state": state, "round_trip_ms": (state == "up").then_some(1.5) });
            let links = [link(1, "up"), link(2, "shut"), link(3, "down")];
            let row = |id: u8| match id {
                0 => json!({ "id": 0, "name": word("zero"), "told_ms_ago": 0, "links": links }),
                _ => json!({ "id": id, "name": word("other"), "told_ms_ago": null, "links": null }),
            };
            let rows = [0, 1, 2, 3].map(row);
            json!({ "rows": rows, "one_sided": [] })
        }
        "/v1/trust" => {
            let standing = [0, 1, 2, 3].map(|id| json!({ "id": id, "trust": 0.75 }));
            json!({ "edges": [{ "between": [0, 1], "trust": 0.91 }], "standing": standing })
        }
        "/v1/evidence" => {
            json!({ "evidence": [{ "name": word("1-equivocation-2.json"), "number": 1, "kind": "equivocation", "replica": 2, "claims_proof": true }] })
        }
        "/v1/filter" => json!({
            "kind": "socket", "asked_for": "xdp", "fallback": word("no such device"), "unknown_sources": [], "peers": [],
            "verdicts": [{ "verdict": "malformed", "passes": false, "datagrams": 3, "bytes": 1200 }],
        }),
        "/v1/transparency" => json!({
            "policy": "chrome-2026", "revocation": "soft", "in_force": {},
            "summary": { "verdicts": { "valid": 3 }, "events": { "all": 1, "grave": 1 }, "logs": { "lying": 1 }, "audits": null, "evidence": 1, "probes": null },
            "logs": [{ "description": word("alder"), "operator": word("Alder"), "condition": "lying", "why": word("it signed two heads"), "size": 7, "looked": "2026-11-23T07:00:00Z" }],
        }),
        "/v1/transparency/events" => json!({ "events": [{
            "at": "2026-11-23T07:00:00Z", "code": "split_view", "grave": true, "subject": word("alder"), "text": word("two heads"), "facts": null,
        }] }),
        "/v1/transparency/probes" => {
            let target = word("www.example.org:443").as_str().unwrap().to_owned();
            json!({ "targets": { target: { "outcome": { "outcome": "corroborated" }, "seen": null, "error": null } } })
        }
        "/v1/certificates" => return (404, json!({ "error": word("not held") }).to_string()),
        "/metrics" => return (200, "quorate_dns_responses_total{zones=\".\"} 7\n# EOF\n".to_owned()),
        _ => return (404, "{}".to_owned()),
    };
    (200, body.to_string())
}

fn status(cluster: Value) -> Value {
    json!({
        "cluster": cluster, "replica": 0, "view": 3, "primary": 3, "standing": "active", "view_changes": 3, "new_views": 1, "fast": 3, "slow": 1,
        "suspect": false, "catching_up": false, "executed": 1234, "stable": 1200, "connected": [1, 2, 3], "can_reach_quorum": true, "refusing": null,
        "slots_decided": 4, "operations_decided": 5, "faults": 1, "strangers": 0, "fast_path": "on", "detector": true, "trusted": [0, 1, 3],
        "least_reputation": 0.0, "quarantined": [2], "held_answers": 5, "waiting_questions": 0,
    })
}

fn peer(id: u8, word: &impl Fn(&'static str) -> Value, quarantined: Value) -> Value {
    let is_shut = !quarantined.is_null();
    json!({
        "id": id, "name": word("peer"), "address": "192.0.2.1:1", "connected": !is_shut, "round_trip_ms": 1.5, "problem": word("closed"),
        "is_byzantine": is_shut, "confidence": 0.97, "pattern": if is_shut { "contradictory" } else { "steady" },
        "indicators": if is_shut { vec!["proven"] } else { Vec::new() }, "action": if is_shut { "replace" } else { "none" },
        "quarantined": quarantined, "tightened": 1, "trust": 0.5, "reputation": { "score": if is_shut { 0.0 } else { 0.9 } }, "offences": {},
        "statistics": {
            "vote_latency_ms": null, "accuracy": null, "judged": 0, "participation": 1.0, "slots": 4, "signature_success": 1.0, "last_seen_ms": now_ms(),
        },
    })
}

/// What it says when everybody's words are harmless.
pub fn quiet(path: &str) -> Answer {
    said(path, |word| json!(word))
}

/// What it says when all words of others are markup.
pub fn hostile(path: &str) -> Answer {
    said(path, |_| json!(HOSTILE))
}
