//! The dashboard in Chromium: before a live cluster, before a server without one, and before a server that says what a test has it say.

mod told;

use system_tests::chromium::{Chromium, Page};
use system_tests::clients::dig;
use system_tests::cluster::{Cluster, READY};
use system_tests::program::eventually;
use system_tests::server::{Server, free_port};
use system_tests::upstream::Upstream;

use self::told::{HOSTILE, Told, hostile, quiet};

/// Markup that, were it markup, would leave a mark on the document.
const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n\
    www IN A 192.0.2.80\nmark IN TXT \"<script>document.documentElement.dataset.taken=1</script><b>bold</b>\"\n";
/// Long enough for three looks, in the browser's own time, which stands still while it waits for an answer.
const LOOKS: &str = "--virtual-time-budget=7000";

/// The dashboard at `port`, after a few looks.
fn open(port: u16, query: &str) -> Page {
    Chromium::default().open(&format!("http://127.0.0.1:{port}/{query}"), &[LOOKS.to_owned()])
}

/// Asserts that nothing of what came from the network has become markup or has run.
fn is_untouched(page: &Page) {
    let document = &page.document;
    assert!(!document.contains("data-taken") && !document.contains("<img"), "{document}");
    assert_eq!(document.matches("<script").count(), 1, "{document}");
}

/// Whether the document has an element with just this text.
fn says(page: &Page, text: &str) -> bool {
    page.document.contains(&format!(">{text}<"))
}

/// Waits until replica 0 knows that so many are gone.
fn misses(cluster: &Cluster, gone: usize) {
    eventually("replica 0 to miss the others", READY, || {
        let status = cluster.status(0)?;
        (status["connected"].as_array()?.len() + gone == 3).then_some(())
    });
}

#[test]
fn dashboard_shows_a_live_cluster_and_why_it_answers() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    let printed = dig(cluster.dns(0), &["mark.example.org", "TXT"]);
    assert!(printed.contains("status: NOERROR"), "{printed}");
    let page = open(cluster.admin(0), "?name=mark.example.org&type=TXT");
    assert!(
        says(&page, "✓ A quorum is reachable: 4 of 4 replicas connected, 3 needed."),
        "{}",
        page.document
    );
    for id in 0..4 {
        assert!(says(&page, &format!("{id} replica-{id}")), "replica {id}: {}", page.document);
    }
    assert_eq!(page.document.matches(">✓ up<").count(), 3, "{}", page.document);
    // The observation of each replica, and the record itself.
    let record =
        "&lt;script&gt;document.documentElement.dataset.taken=1&lt;/script&gt;&lt;b&gt;bold&lt;/b&gt;";
    assert!(page.document.matches(record).count() >= 4, "{}", page.document);
    assert!(says(&page, "mark.example.org. IN TXT"), "{}", page.document);
    is_untouched(&page);
    // The page keeps to its own policy.
    for word in ["Content Security Policy", "TrustedHTML", "Uncaught"] {
        assert!(!page.complaints.contains(word), "{}", page.complaints);
    }

    cluster.kill_replica(3);
    misses(&cluster, 1);
    let page = open(cluster.admin(0), "");
    let expected = "! A quorum is reachable, with no replica to spare: 3 of 4 replicas connected, 3 needed.";
    assert!(says(&page, expected) && says(&page, "✕ down"), "{}", page.document);
    cluster.kill_replica(2);
    misses(&cluster, 2);
    let page = open(cluster.admin(0), "");
    assert!(page.document.contains(">✕ No quorum is reachable: 2 of 4 replicas"), "{}", page.document);
}

#[test]
fn server_without_consensus_says_so_on_its_dashboard() {
    let port = free_port();
    let corefile = format!(".:{} {{\n    prometheus 127.0.0.1:{port}\n    whoami\n}}\n", free_port());
    let _server = Server::start(&corefile, &[]);
    let page = open(port, "");
    assert!(
        page.document.contains(">! No consensus here: no server block has `byzantine-consensus`."),
        "{}",
        page.document
    );
    assert!(!page.document.contains("stale since") && says(&page, "0.0"), "{}", page.document);
}

#[test]
fn what_others_say_is_shown_as_text_whatever_it_says() {
    let server = Told::serve(|path, _| hostile(path));
    let page = open(server.port, &format!("?name={HOSTILE}&type=A"));
    is_untouched(&page);
    let shown = "&lt;img src=x onerror=\"document.documentElement.dataset.taken=1\"&gt;";
    // The name of the cluster and of a replica; a reason of a quarantine; evidence; a filter's fallback; an event's subject and text; a log, and why it is
    // ill; a target; the question that was asked, and the answer to it.
    assert!(page.document.matches(shown).count() >= 12, "{}", page.document);
}

#[test]
fn quarantine_is_shown_with_its_reason_and_its_end() {
    let server = Told::serve(|path, _| quiet(path));
    let page = open(server.port, "");
    assert!(says(&page, "✕ shut out") && says(&page, "✕ proven equivocation"), "{}", page.document);
    assert!(page.document.contains("1&nbsp;h 00&nbsp;min left · strike 1"), "{}", page.document);
    assert!(says(&page, "✕ byzantine") && says(&page, "97&nbsp;% sure: contradictory"), "{}", page.document);
    assert!(says(&page, "! run another in its place"), "{}", page.document);
    // Whom it reaches: one, one that is shut out, and one that is gone; the others have told nothing.
    assert!(
        says(&page, "✓ 1.5&nbsp;ms") && says(&page, "! shut out") && says(&page, "✕ down"),
        "{}",
        page.document
    );
    assert_eq!(page.document.matches(">nothing lately<").count(), 3, "{}", page.document);
    assert!(says(&page, "✕ lying") && says(&page, "✓ corroborated"), "{}", page.document);
}

#[test]
fn what_is_no_longer_answered_stays_and_says_since_when() {
    let server = Told::serve(|path, nth| match path {
        "/v1/trust" if nth > 0 => (503, "{}".to_owned()),
        "/v1/status" if nth > 1 => (500, "{}".to_owned()),
        _ => quiet(path),
    });
    let page = open(server.port, "");
    assert!(
        page.document.contains("/v1/trust: HTTP 503") && page.document.contains("(stale since "),
        "{}",
        page.document
    );
    assert!(says(&page, "0.91"), "the trust of before is gone: {}", page.document);
    // What was well is not shown as if it still were.
    assert!(
        page.document.contains(">! As of ") && !page.document.contains(">✓ A quorum is reachable"),
        "{}",
        page.document
    );
}
