//! Reads the options of `byzantine-consensus CLUSTER { ... }`: what an operator may write, and what it means to queries and to the node.

use std::path::PathBuf;
use std::time::Duration;

use certificate::Cluster;
use corefile::Span;
use corefile::options::{self, Mismatch, Options, Value};
use peer_filter::Mode;

use super::adversary::{Vice, adversary};
use super::handler::OnDisagreement;
use super::nodes::{FastPath, NodeSettings};

/// The longest a lookup may take: RFC 8767 §5 gives the whole answer 1.8 s.
const OBSERVE_TIMEOUT_MAX: Duration = Duration::from_millis(1500);
/// How long a view that was agreed on may take to begin, unless told otherwise.
const VIEW_CHANGE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest first wait: later ones double up to the same.
const VIEW_CHANGE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A replica whose reputation is less does not count as trusted, unless told otherwise. A replica that nothing is known of has as much.
const REPUTATION_THRESHOLD: f64 = 0.5;
/// The longest name of a network interface: IFNAMSIZ less its end.
const INTERFACE_NAME_MAX: usize = 15;

/// Everything the directive says.
pub(super) struct Words {
    pub cluster: Option<(PathBuf, Span)>,
    pub identity: Option<(PathBuf, Span)>,
    pub state: Option<(PathBuf, Span)>,
    pub observe_timeout: Duration,
    pub on_disagreement: OnDisagreement,
    pub option_code: u16,
    pub max_faulty: u32,
    batch: Option<(u16, Duration)>,
    pipeline: Option<u32>,
    timeout: Duration,
    view_change_timeout: Duration,
    fast_path: FastPath,
    detector: bool,
    reputation_threshold: f64,
    filter: Mode,
    compression: bool,
    bind: Option<std::net::SocketAddr>,
    adversary: Option<Vice>,
}

pub(super) fn read(options: &mut Options<'_>) -> Words {
    let span = options.span().clone();
    let cluster_span = options.peek().map_or_else(|| span.clone(), |word| word.span.clone());
    let cluster = options.required(options::path()).map(|path| (path, cluster_span));
    let identity = required_path(options, "identity", "the file of this replica's key");
    let state = required_path(options, "state", "the folder of this replica's log");
    let ms = Duration::from_millis;
    // One algorithm, one way to write it: kept so that a configuration says what it relies on.
    options.value("algorithm", options::one_of([("pbft", ())]));
    let on_disagreement =
        options::one_of([("servfail", OnDisagreement::ServFail), ("local", OnDisagreement::Local)]);
    let code = certificate::delivery::OPTION_CODE;
    let timeout = options.value("timeout", options::duration(ms(10)..=ms(60_000))).unwrap_or(ms(100));
    let detector = options.value("detector", options::on_off()).unwrap_or(true);
    Words {
        adversary: adversary(options),
        cluster,
        identity,
        state,
        observe_timeout: options
            .value("observe-timeout", options::duration(ms(10)..=OBSERVE_TIMEOUT_MAX))
            .unwrap_or(ms(800)),
        on_disagreement: options
            .value("on-disagreement", on_disagreement)
            .unwrap_or(OnDisagreement::ServFail),
        option_code: options.value("edns-option", options::integer(65_001..=65_534)).unwrap_or(code),
        max_faulty: options.value("max-faulty", options::integer(1..=10)).unwrap_or(10),
        batch: options.property("batch", |line| {
            if line.keyword("off") {
                return Some((1, Duration::ZERO));
            }
            let entries = line.required(options::integer(1..=1024).named("`off` or a number of entries"))?;
            let wait = line.optional(options::duration(Duration::ZERO..=ms(1000)));
            Some((entries, wait.unwrap_or(ms(2))))
        }),
        pipeline: options.value("pipeline", options::integer(1..=100)),
        timeout,
        view_change_timeout: view_change_timeout(options, timeout),
        fast_path: options.property("fast-path", |line| fast_path(line, detector)).unwrap_or(FastPath::On),
        detector,
        reputation_threshold: options
            .value("reputation-threshold", options::decimal(0.0..=1.0))
            .unwrap_or(REPUTATION_THRESHOLD),
        filter: options.property("filter", filter).unwrap_or(Mode::Auto),
        compression: options
            .value("compression", options::one_of([("zstd", true), ("off", false)]))
            .unwrap_or(true),
        bind: options.value("bind", options::socket_address(5380)),
    }
}

/// Reads `view-change-timeout`. A view that is given up sooner than its primary would be suspected never begins.
fn view_change_timeout(options: &mut Options<'_>, timeout: Duration) -> Duration {
    let read = options.property("view-change-timeout", |line| {
        let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
        let wait = line.required(options::duration(Duration::from_millis(10)..=VIEW_CHANGE_TIMEOUT_MAX))?;
        if wait < timeout {
            let (least, found) = (timeout.as_millis(), wait.as_millis());
            let hint =
                "the next primary needs at least as long to begin as the last one had to make progress";
            line.error_with_hint(
                &span,
                format!("expected at least `timeout`, {least}ms, got {found}ms"),
                hint,
            );
            return None;
        }
        Some(wait)
    });
    read.unwrap_or(VIEW_CHANGE_TIMEOUT.max(timeout))
}

/// Reads `fast-path off | on [REPUTATION]`.
fn fast_path(line: &mut Options<'_>, detector: bool) -> Option<FastPath> {
    let on = line.required(options::one_of([("on", true), ("off", false)]))?;
    if !on {
        return Some(FastPath::Off);
    }
    let Some(word) = line.peek() else { return Some(FastPath::On) };
    let least = line.required(options::decimal(0.0..=1.0).named("a reputation"))?;
    if !detector {
        let hint = "without statistics no reputation grows, so no answer would ever go out early; write `fast-path on`, or `detector on`";
        line.error_with_hint(&word.span, "expected no reputation beside `detector off`, got one", hint);
        return None;
    }
    Some(FastPath::AtLeast(least))
}

/// Reads `filter auto | socket | tc IFACE | xdp IFACE | userspace | off`.
fn filter(line: &mut Options<'_>) -> Option<Mode> {
    type OnInterface = fn(String) -> Mode;
    let on_interface = |make: OnInterface| Err(make);
    let mode: Result<Mode, OnInterface> = line.required(options::one_of([
        ("auto", Ok(Mode::Auto)),
        ("socket", Ok(Mode::Socket)),
        ("tc", on_interface(Mode::Tc)),
        ("xdp", on_interface(Mode::Xdp)),
        ("userspace", Ok(Mode::Userspace)),
        ("off", Ok(Mode::Off)),
    ]))?;
    mode.map(Some).unwrap_or_else(|make| line.required(interface()).map(make))
}

/// The name of a network interface. Whether there is one is seen when the filter is attached, on the machine where it is.
fn interface() -> Value<String> {
    Value::new("the name of a network interface", |text| {
        let allowed = |c: char| c.is_ascii_graphic() && c != '/';
        let is_name = (1..=INTERFACE_NAME_MAX).contains(&text.len()) && text.chars().all(allowed);
        if is_name {
            Ok(text.to_owned())
        } else {
            Err(Mismatch::with_hint("`ip link` lists them, such as `eth0`"))
        }
    })
}

/// Reads the property `name`, a path; its absence is an error.
fn required_path(options: &mut Options<'_>, name: &'static str, what: &str) -> Option<(PathBuf, Span)> {
    let mut is_there = false;
    let path = options.property(name, |line| {
        is_there = true;
        let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
        line.required(options::path()).map(|path| (path, span))
    });
    if !is_there {
        let span = options.span().clone();
        let hint = format!("add a line `{name} PATH` to its block");
        options.error_with_hint(
            &span,
            format!("expected the property `{name}` with {what}, found none"),
            hint,
        );
    }
    path
}

pub(super) fn node_settings(words: &Words, cluster: &Cluster) -> NodeSettings {
    let (entries, wait) = words.batch.unwrap_or((cluster.batch_entries, Duration::from_millis(2)));
    NodeSettings {
        bind: words.bind,
        compression: words.compression,
        // The cluster file is the agreement; a replica may only ask less of the others.
        batch_entries: entries.min(cluster.batch_entries),
        batch_wait: wait,
        pipeline: words.pipeline.unwrap_or(cluster.pipeline).min(cluster.pipeline),
        timeout: words.timeout,
        view_change_timeout: words.view_change_timeout,
        fast_path: words.fast_path,
        detector: words.detector,
        reputation_threshold: words.reputation_threshold,
        filter: words.filter.clone(),
        adversary: words.adversary,
    }
}
