//! The line of `quorate top` about certificates: how logs and their promises, verdicts, probes and events stand. Pure.

use serde_json::Value;

/// The line, from `summary` of `/v1/transparency`; `None` when the replica judges no certificates.
pub fn line(summary: &Value) -> Option<String> {
    let summary = summary.as_object()?;
    let words = |part: &str| -> Vec<String> {
        let counts = summary.get(part).and_then(Value::as_object).into_iter().flatten();
        let mut counts: Vec<(&str, u64)> =
            counts.filter_map(|(word, count)| Some((word.as_str(), count.as_u64()?))).collect();
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by_key(|(word, _)| (rank(word), word.to_owned()));
        counts.into_iter().map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect()
    };
    let part = |name: &str, words: Vec<String>| {
        if words.is_empty() { format!("{name} none") } else { format!("{name} {}", words.join(", ")) }
    };
    let some = |part: &str| !words(part).is_empty();
    let events = summary.get("events");
    let count = |which: &str| events.and_then(|events| events[which].as_u64()).unwrap_or(0);
    let mut parts = vec![part("logs", words("logs"))];
    parts.extend(some("audits").then(|| part("promises", words("audits"))));
    if let Some(split_views @ 1..) = summary.get("evidence").and_then(Value::as_u64) {
        parts.push(format!("split views {split_views}"));
    }
    parts.push(part("verdicts", words("verdicts")));
    if summary.get("probes").is_some_and(Value::is_object) {
        parts.push(part("probes", words("probes")));
    }
    if let Some(certificates) = summary.get("certificates").and_then(Value::as_u64) {
        parts.push(format!("new certificates {certificates}"));
    }
    parts.push(format!("events {}, {} grave", count("all"), count("grave")));
    Some(format!("transparency: {}\n", parts.join("; ")))
}

/// Where a word stands: what is well first, what is worst last; words that are not known come in between.
fn rank(word: &str) -> usize {
    let well = ["ok", "valid", "corroborated", "proved"];
    let ill =
        ["unreachable", "no_agreement", "all_changed", "we_differ", "invalid", "lying", "broken_promise"];
    match (well.contains(&word), ill.iter().position(|one| *one == word)) {
        (true, _) => 0,
        (false, None) => 1,
        (false, Some(place)) => 2 + place,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_well_comes_first_and_what_is_not_there_is_left_out() {
        let summary = json!({
            "logs": { "behind": 1, "lying": 1, "ok": 5, "unasked": 0, "unreachable": 2 },
            "verdicts": { "indeterminate": 3, "invalid": 2, "valid": 10 },
            "events": { "all": 7, "grave": 2 },
            "probes": { "we_differ": 1, "corroborated": 2 },
            "certificates": 4,
            "audits": { "broken_promise": 1, "not_checked": 0, "pending": 3, "proved": 8 },
            "evidence": 1,
        });
        let expected = "transparency: logs 5 ok, 1 behind, 2 unreachable, 1 lying; \
                        promises 8 proved, 3 pending, 1 broken promise; split views 1; verdicts 10 valid, 3 indeterminate, 2 invalid; \
                        probes 2 corroborated, 1 we differ; new certificates 4; events 7, 2 grave\n";
        assert_eq!(line(&summary).as_deref(), Some(expected));
    }

    #[test]
    fn a_replica_that_says_little_has_a_short_line_and_one_without_the_plugin_none() {
        let expected = "transparency: logs none; verdicts none; events 0, 0 grave\n";
        assert_eq!(
            line(&json!({ "logs": null, "probes": null, "audits": { "proved": 0 }, "evidence": 0 }))
                .as_deref(),
            Some(expected)
        );
        assert_eq!(line(&Value::Null), None);
    }
}
