//! The line of `quorate top` about who reaches whom, as the replicas tell it. Pure.

use serde_json::Value;

/// So many links are named, and how many more there are.
const LINKS_MAX: usize = 8;

/// The links that are not up, and of whom nothing was heard; `None` when the replica does not tell.
pub fn line(connectivity: &Value) -> Option<String> {
    let rows = connectivity["rows"].as_array()?;
    let (mut broken, mut silent) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(links) = row["links"].as_array() else {
            silent.push(row["id"].to_string());
            continue;
        };
        for link in links.iter().filter(|link| link["state"] != "up") {
            broken.push(format!("{}-{} {}", row["id"], link["id"], link["state"].as_str().unwrap_or("?")));
        }
    }
    let told = rows.len() - silent.len();
    let mut text = match broken.len() {
        0 => format!("links: all up, as {told} of {} tell", rows.len()),
        count if count > LINKS_MAX => {
            format!("links: {} and {} more", broken[..LINKS_MAX].join(", "), count - LINKS_MAX)
        }
        _ => format!("links: {}", broken.join(", ")),
    };
    if !silent.is_empty() {
        text += &format!("; nothing heard of {}", silent.join(", "));
    }
    Some(text + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: u8, states: &[(u8, &str)]) -> Value {
        let links = states.iter().map(|(id, state)| json!({ "id": id, "state": state }));
        json!({ "id": id, "links": links.collect::<Vec<_>>() })
    }

    #[test]
    fn links_that_are_up_are_not_named_one_by_one() {
        let rows = [row(0, &[(1, "up")]), row(1, &[(0, "up")])];
        assert_eq!(line(&json!({ "rows": rows })).as_deref(), Some("links: all up, as 2 of 2 tell\n"));
    }

    #[test]
    fn links_that_are_not_up_are_named_with_who_tells_it_and_so_is_who_tells_nothing() {
        let silent = json!({ "id": 2, "links": null });
        let rows = [row(0, &[(1, "up"), (2, "down")]), row(1, &[(0, "shut"), (2, "down")]), silent];
        let expected = "links: 0-2 down, 1-0 shut, 1-2 down; nothing heard of 2\n";
        assert_eq!(line(&json!({ "rows": rows })).as_deref(), Some(expected));
    }

    #[test]
    fn line_is_short_whatever_is_down() {
        let states: Vec<(u8, &str)> = (1..31).map(|id| (id, "down")).collect();
        let text = line(&json!({ "rows": [row(0, &states)] })).expect("a line");
        assert!(
            text.starts_with("links: 0-1 down, ") && text.ends_with(", 0-8 down and 22 more\n"),
            "{text}"
        );
    }

    #[test]
    fn replica_that_does_not_tell_has_no_line() {
        assert_eq!(line(&Value::Null), None);
    }
}
