//! The table of `quorate top`, from what a replica says. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::{links, transparency};

/// The columns, with the side to which they are aligned: numbers to the right.
const COLUMNS: [(&str, Align); 16] = [
    ("ID", Align::Right),
    ("NAME", Align::Left),
    ("LINK", Align::Left),
    ("SEEN", Align::Right),
    ("RTT", Align::Right),
    ("LOSS", Align::Right),
    ("P50", Align::Right),
    ("P99", Align::Right),
    ("VOTES", Align::Right),
    ("RIGHT", Align::Right),
    ("SIGNED", Align::Right),
    ("REP", Align::Right),
    ("DROPPED", Align::Right),
    ("PATTERN", Align::Left),
    ("ACTION", Align::Left),
    ("WHY", Align::Left),
];

/// Counters that should not grow, and what they count.
const DROPS: [(&str, &str); 5] = [
    ("queue_drops", "not sent"),
    ("inbox_drops", "not taken"),
    ("answers_dropped", "answers not sent"),
    ("refused_frames", "unreadable"),
    ("evidence_lost", "pieces of evidence lost"),
];

/// What stands where nothing is known.
const UNKNOWN: &str = "-";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// The table of one replica. `view` is what `Sample::to_json` gives, `now_ms` the time in milliseconds since 1970.
pub fn render(view: &Value, now_ms: u64) -> String {
    let mut text = heading(view);
    let peers = view["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<[String; COLUMNS.len()]> =
        peers.iter().map(|peer| row(peer, dropped(view, peer), now_ms)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([COLUMNS[column].0.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    text += &line(&COLUMNS.map(|(name, _)| name.to_owned()), &widths);
    rows.iter().for_each(|row| text += &line(row, &widths));
    text
}

/// Four lines about the replica itself, one more if it tells who reaches whom, and one if it judges certificates.
fn heading(view: &Value) -> String {
    let status = &view["status"];
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rate = |value: &Value| value.as_f64().map_or_else(|| UNKNOWN.to_owned(), |rate| format!("{rate:.1}"));
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let me = &status["replica"];
    let primary = match &status["primary"] {
        Value::Null => "no primary yet".to_owned(),
        primary if primary == me => "itself the primary".to_owned(),
        primary => format!("primary {primary}"),
    };
    let standing = match status["refusing"].as_str() {
        Some(why) => format!("does not vote: {why}"),
        None => format!("{}, view {}, {primary}", word(&status["standing"]), status["view"]),
    };
    let mut text =
        format!("{} replica {me} at {}: {standing}\n", word(&status["cluster"]), word(&view["admin"]));
    let (fast, slow) = (count(&status["fast"]), count(&status["slow"]));
    let share = (fast + slow > 0).then(|| format!(", {} % on the fast path", fast * 100 / (fast + slow)));
    let _ = writeln!(
        text,
        "slot {} (stable {}), {} slots/s, {} answers/s{}; trusts {} of {}; evidence {}",
        status["executed"],
        status["stable"],
        rate(&view["slots_per_second"]),
        rate(&view["answers_per_second"]),
        share.unwrap_or_default(),
        view["trusted"].as_array().map_or(0, Vec::len),
        view["peers"].as_array().map_or(0, Vec::len) + 1,
        view["evidence"].as_array().map_or(0, Vec::len),
    );
    text + &agreement_line(view)
        + &links::line(&view["connectivity"]).unwrap_or_default()
        + &filter_line(&view["filter"])
        + &transparency::line(&view["transparency"]).unwrap_or_default()
        + "\n"
}

/// How fast the replicas agree once a slot is proposed, how much at once, and what is said and lost on the way.
fn agreement_line(view: &Value) -> String {
    let (agreement, counters) = (&view["status"]["agreement"], &view["status"]["counters"]);
    let time = |percent: &str| {
        agreement["from_proposal_ms"][percent].as_f64().map_or_else(|| UNKNOWN.to_owned(), duration)
    };
    let figure =
        |value: &Value| value.as_f64().map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.1}"));
    let mut text = format!(
        "agreement {} p50, {} p99 after the proposal; {} answers/slot; messages/s {} in, {} out",
        time("p50"),
        time("p99"),
        figure(&agreement["entries_per_slot"]),
        figure(&view["messages_in_per_second"]),
        figure(&view["messages_out_per_second"]),
    );
    let counted = DROPS.iter().filter_map(|(name, word)| Some((counters[*name].as_u64()?, word)));
    let dropped: Vec<String> =
        counted.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if !dropped.is_empty() {
        let _ = write!(text, "; since its start {}", dropped.join(", "));
    }
    text + "\n"
}

/// What the filter let pass and what it threw away, kind by kind.
fn filter_line(filter: &Value) -> String {
    let kind = filter["kind"].as_str().unwrap_or(UNKNOWN);
    let verdicts = filter["verdicts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let passed: u64 =
        verdicts.iter().filter(|one| one["passes"] == true).filter_map(|one| one["datagrams"].as_u64()).sum();
    let dropped = verdicts.iter().filter(|one| one["passes"] == false && one["datagrams"].as_u64() > Some(0));
    let dropped: Vec<String> = dropped
        .map(|one| format!("{} {}", one["datagrams"], one["verdict"].as_str().unwrap_or(UNKNOWN)))
        .collect();
    if kind == "off" {
        return "filter off\n".to_owned();
    }
    let dropped = if dropped.is_empty() {
        "dropped none".to_owned()
    } else {
        format!("dropped {}", dropped.join(", "))
    };
    format!("filter {kind}: passed {passed}, {dropped}\n")
}

/// Datagrams of a peer that the filter threw away.
fn dropped(view: &Value, peer: &Value) -> Option<u64> {
    let peers = view["filter"]["peers"].as_array()?;
    peers.iter().find(|one| one["id"] == peer["id"])?["dropped"].as_u64()
}

fn row(peer: &Value, dropped: Option<u64>, now_ms: u64) -> [String; COLUMNS.len()] {
    let percent = |value: &Value| {
        value.as_f64().map_or_else(unknown, |share| format!("{:.0}%", (share * 100.0).floor()))
    };
    let figures = &peer["statistics"];
    let latency = &figures["vote_latency_ms"];
    let since = figures["last_seen_ms"].as_u64().map(|seen| now_ms.saturating_sub(seen));
    let is_shut = !peer["quarantined"].is_null();
    let link = match peer["connected"].as_bool() {
        _ if is_shut => "shut",
        Some(true) => "up",
        _ => "down",
    };
    [
        peer["id"].to_string(),
        peer["name"].as_str().unwrap_or(UNKNOWN).to_owned(),
        link.to_owned(),
        since.map_or_else(unknown, |ms| duration(ms as f64)),
        peer["round_trip_ms"].as_f64().map_or_else(unknown, duration),
        peer["loss"].as_f64().map_or_else(unknown, |share| format!("{:.1}%", share * 100.0)),
        latency["p50"].as_f64().map_or_else(unknown, duration),
        latency["p99"].as_f64().map_or_else(unknown, duration),
        percent(&figures["participation"]),
        percent(&figures["accuracy"]),
        percent(&figures["signature_success"]),
        peer["reputation"]["score"].as_f64().map_or_else(unknown, |score| format!("{score:.2}")),
        dropped.map_or_else(unknown, |dropped| dropped.to_string()),
        peer["pattern"].as_str().unwrap_or(UNKNOWN).to_owned(),
        peer["action"].as_str().unwrap_or(UNKNOWN).to_owned(),
        why(peer, now_ms),
    ]
}

/// What stands behind the assessment: the label, the quarantine, the indicators, what is wrong with the connection.
fn why(peer: &Value, now_ms: u64) -> String {
    let mut words = Vec::new();
    if peer["is_byzantine"] == true {
        words.push(format!("byzantine ({:.0}% sure)", peer["confidence"].as_f64().unwrap_or(0.0) * 100.0));
    }
    let quarantined = &peer["quarantined"];
    if let Some(until_ms) = quarantined["until_ms"].as_u64() {
        let left = duration(until_ms.saturating_sub(now_ms) as f64);
        words.push(format!("shut out for {left}: {}", quarantined["reason"].as_str().unwrap_or(UNKNOWN)));
    }
    if let Some(factor) = peer["tightened"].as_u64().filter(|factor| *factor > 1) {
        words.push(format!("at 1/{factor} of its rate"));
    }
    let indicators = peer["indicators"].as_array().map(Vec::as_slice).unwrap_or_default();
    let indicators: Vec<&str> = indicators.iter().filter_map(Value::as_str).collect();
    if !indicators.is_empty() {
        words.push(indicators.join(", "));
    }
    if peer["connected"] == false && quarantined.is_null() {
        words.extend(peer["problem"].as_str().map(str::to_owned));
    }
    words.join("; ")
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// Milliseconds as people read them, in one or two units: `0.4ms`, `12ms`, `3.2s`, `5m12s`, `23h59m`.
pub fn duration(ms: f64) -> String {
    let seconds = (ms / 1000.0).floor() as u64;
    match seconds {
        _ if ms < 10.0 => format!("{ms:.1}ms"),
        _ if ms < 1000.0 => format!("{ms:.0}ms"),
        0..60 => format!("{:.1}s", ms / 1000.0),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn line(cells: &[String; COLUMNS.len()], widths: &[usize]) -> String {
    let aligned = cells.iter().zip(widths).zip(COLUMNS).map(|((cell, &width), (_, align))| match align {
        Align::Left => format!("{cell:<width$}"),
        Align::Right => format!("{cell:>width$}"),
    });
    let line = aligned.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn peer(id: u8) -> Value {
        json!({
            "id": id, "name": format!("replica-{id}"), "connected": true, "problem": null,
            "round_trip_ms": 0.83, "loss": 0.0123,
            "statistics": {
                "last_seen_ms": NOW_MS - 120, "vote_latency_ms": { "p50": 1.25, "p90": 3.0, "p99": 48.2, "count": 900 },
                "accuracy": 1.0, "participation": 0.999, "signature_success": 1.0,
            },
            "is_byzantine": false, "confidence": 0.0, "pattern": "steady", "action": "none", "indicators": [],
            "reputation": { "score": 0.914 }, "quarantined": null,
        })
    }

    fn view(peers: &[Value]) -> Value {
        json!({
            "admin": "127.0.0.1:5460",
            "status": {
                "cluster": "demo", "replica": 0, "standing": "active", "view": 3, "primary": 3, "refusing": null,
                "executed": 1234, "stable": 1200, "fast": 75, "slow": 25,
                "agreement": { "from_proposal_ms": { "p50": 3.1, "p90": 8.0, "p99": 21.0 }, "entries_per_slot": 4.25 },
                "counters": { "queue_drops": 0, "inbox_drops": 3, "refused_frames": 1 },
            },
            "messages_in_per_second": 812.0, "messages_out_per_second": null,
            "slots_per_second": 12.3, "answers_per_second": 40.0, "peers": peers, "trusted": [0, 1, 3], "threshold": 0.5, "evidence": [1, 2],
            "filter": {
                "kind": "socket",
                "verdicts": [
                    { "verdict": "established", "passes": true, "datagrams": 900 },
                    { "verdict": "unknown-source", "passes": false, "datagrams": 3 },
                    { "verdict": "malformed", "passes": false, "datagrams": 0 },
                ],
                "peers": [{ "id": 2, "dropped": 17 }],
            },
        })
    }

    #[test]
    fn table_reads_as_people_read() {
        let shut = json!({
            "id": 2, "name": "replica-2", "connected": false, "problem": "quarantined", "tightened": 8,
            "statistics": {
                "last_seen_ms": NOW_MS - 65_000, "vote_latency_ms": null, "accuracy": null, "participation": 0.4,
                "signature_success": 0.5,
            },
            "is_byzantine": true, "confidence": 0.97, "pattern": "contradictory", "action": "quarantine",
            "indicators": ["proven", "low-uptime"], "reputation": { "score": 0.0 },
            "quarantined": { "until_ms": NOW_MS + 86_340_000, "reason": "proven equivocation", "strike": 1 },
        });
        let expected = "\
demo replica 0 at 127.0.0.1:5460: active, view 3, primary 3
slot 1234 (stable 1200), 12.3 slots/s, 40.0 answers/s, 75 % on the fast path; trusts 3 of 4; evidence 2
agreement 3.1ms p50, 21ms p99 after the proposal; 4.2 answers/slot; messages/s 812.0 in, - out; since its start 3 not taken, 1 unreadable
filter socket: passed 900, dropped 3 unknown-source

ID  NAME       LINK   SEEN    RTT  LOSS    P50   P99  VOTES  RIGHT  SIGNED   REP  DROPPED  PATTERN        ACTION      WHY
 1  replica-1  up    120ms  0.8ms  1.2%  1.2ms  48ms    99%   100%    100%  0.91        -  steady         none
 2  replica-2  shut  1m05s      -     -      -     -    40%      -     50%  0.00       17  contradictory  quarantine  byzantine (97% sure); shut out for 23h59m: proven equivocation; at 1/8 of its rate; proven, low-uptime
 3  replica-3  up    120ms  0.8ms  1.2%  1.2ms  48ms    99%   100%    100%  0.91        -  steady         none
";
        assert_eq!(render(&view(&[peer(1), shut, peer(3)]), NOW_MS), expected);
    }

    #[test]
    fn replica_that_judges_certificates_has_a_line_for_them() {
        let mut view = view(&[]);
        view["transparency"] =
            json!({ "logs": { "ok": 2 }, "verdicts": { "valid": 3 }, "events": { "all": 1 } });
        let text = render(&view, NOW_MS);
        assert_eq!(text.lines().nth(4), Some("transparency: logs 2 ok; verdicts 3 valid; events 1, 0 grave"));
        assert_eq!(text.lines().nth(5), Some(""));
    }

    #[test]
    fn share_is_never_rounded_up_to_all() {
        let text = render(
            &view(&[json!({ "id": 1, "statistics": { "participation": 0.9999, "accuracy": 0.995 } })]),
            NOW_MS,
        );
        assert!(text.contains("  99%    99%  "), "{text}");
    }

    #[test]
    fn replica_that_says_little_still_makes_a_table() {
        let text = render(&json!({ "status": {}, "peers": [{}] }), NOW_MS);
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    #[test]
    fn replica_that_does_not_vote_says_why() {
        let mut view = view(&[]);
        view["status"]["refusing"] = json!("the disk refuses");
        let text = render(&view, NOW_MS);
        assert!(
            text.starts_with("demo replica 0 at 127.0.0.1:5460: does not vote: the disk refuses\n"),
            "{text}"
        );
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let shown = [0.0, 0.44, 9.99, 12.4, 999.4, 1000.0, 59_999.0, 61_000.0, 3_600_000.0, 90_000_000.0]
            .map(duration);
        assert_eq!(
            shown,
            ["0.0ms", "0.4ms", "10.0ms", "12ms", "999ms", "1.0s", "60.0s", "1m01s", "1h00m", "1d01h"]
        );
    }
}
