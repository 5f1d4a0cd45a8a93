//! Reads the options of `ct-verify { ... }`: what an operator may write. What files say is read elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use corefile::Span;
use corefile::options::{Mismatch, Options, Value, duration, integer, on_off, one_of, path, seconds, text};
use ct_watch::config::REFRESH_DEFAULT;
use ct_watch::monitor::Zone;
use ct_watch::probe::TARGETS_MAX;
use ct_watch::served::Target;
use hickory_proto::rr::Name;
use transparency::Policy;
use transparency::operation::PERIOD_SECONDS;
use transparency::revocation::RevocationMode;
use transparency::rrset::CERTIFICATES_PER_ANSWER_MAX;

use super::modes::{Mode, Modes};
use crate::zones;

/// Everything the directive says.
pub struct Words {
    pub modes: Modes,
    pub log_list: Option<Place>,
    pub policy: Policy,
    pub roots: Vec<(RootsWord, Span)>,
    pub private_roots: Vec<(PathBuf, Span)>,
    pub intermediates: Vec<(PathBuf, Span)>,
    pub revocation: RevocationMode,
    pub crls: Vec<Place>,
    pub refresh: Duration,
    pub hosts: Vec<String>,
    pub allow_private: bool,
    pub audit: bool,
    pub zones: Vec<Zone>,
    pub certspotter: Option<PathBuf>,
    pub probes: Vec<Target>,
    /// In seconds.
    pub probe_period: u32,
    pub state: Option<(PathBuf, Span)>,
    pub certificates: usize,
    pub verdicts: u64,
}

/// Where a list is had.
pub struct Place {
    pub at: At,
    pub span: Span,
}

/// A file or a URL.
pub enum At {
    File(PathBuf),
    Url(String),
}

/// Whose roots are trusted.
pub enum RootsWord {
    Mozilla,
    Native,
    File(PathBuf),
}

/// Reads the directive.
pub fn read(options: &mut Options<'_>) -> Words {
    let audit = options.value("audit", on_off()).unwrap_or(true);
    let allow_private = options.flag("allow-private");
    let log_list = options.property("log-list", |line| read_place(line, allow_private, "a log list"));
    let zones = read_monitor(options, audit, log_list.is_some());
    let probes = options.values("probe", 1..=TARGETS_MAX, target());
    Words {
        modes: read_modes(options),
        log_list,
        policy: options.property("policy", read_policy).unwrap_or_default(),
        roots: words_of(options, "roots", |word| match word {
            "mozilla" => RootsWord::Mozilla,
            "native" => RootsWord::Native,
            file => RootsWord::File(PathBuf::from(file)),
        }),
        private_roots: words_of(options, "private-roots", |word| PathBuf::from(word)),
        intermediates: words_of(options, "intermediates", |word| PathBuf::from(word)),
        revocation: options.value("revocation", revocation()).unwrap_or_default(),
        crls: read_crls(options),
        refresh: options.value("refresh", duration(REFRESH_MIN..=REFRESH_MAX)).unwrap_or(REFRESH_DEFAULT),
        hosts: options.values("fetch", 1..=HOSTS_MAX, host()),
        allow_private,
        audit,
        certspotter: read_certspotter(options, !zones.is_empty()),
        zones,
        probe_period: read_probe_period(options, !probes.is_empty()),
        probes,
        state: options.property("state", |line| {
            let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
            line.required(path()).map(|path| (path, span))
        }),
        certificates: options
            .value("certificates", integer(1..=CERTIFICATES_MAX))
            .unwrap_or(CERTIFICATES_PER_ANSWER_MAX),
        verdicts: options.value("verdict-cache", integer(1..=VERDICTS_MAX)).unwrap_or(VERDICTS),
    }
}

/// `mode off|flag|enforce [ZONES]`, and `fail-closed [ZONES]`.
fn read_modes(options: &mut Options<'_>) -> Modes {
    let mut modes: Vec<(Name, Mode)> = Vec::new();
    options.properties(&["mode"], |line| {
        let mode =
            line.required(one_of([("off", Mode::Off), ("flag", Mode::Flag), ("enforce", Mode::Enforce)]))?;
        for zone in zones_or_all(line) {
            if modes.iter().any(|(known, _)| *known == zone) {
                let span = line.span().clone();
                let all = if zone.is_root() { "all names".to_owned() } else { format!("`{zone}`") };
                line.error_with_hint(
                    &span,
                    format!("{all} has a mode already"),
                    "remove one of the two lines",
                );
            } else {
                modes.push((zone, mode));
            }
        }
        Some(())
    });
    let fail_closed = options.property("fail-closed", |line| Some(zones_or_all(line)));
    Modes::new(modes, fail_closed.unwrap_or_default())
}

fn zones_or_all(line: &mut Options<'_>) -> Vec<Name> {
    let named = line.rest(0.., zones::zones()).concat();
    if named.is_empty() { vec![Name::root()] } else { named }
}

/// `policy chrome-2026 | apple | custom [SETTING=NUMBER...]`
fn read_policy(line: &mut Options<'_>) -> Option<Policy> {
    let first = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
    let name = line.required(text().named("`chrome-2026`, `apple` or `custom`"))?;
    let written = if name == "custom" {
        format!("custom:{}", line.rest(0.., text().named("a setting such as `min_logs=2`")).join(","))
    } else {
        name
    };
    match written.parse() {
        Ok(policy) => Some(policy),
        Err(error) => {
            line.error(&first, error.to_string());
            None
        }
    }
}

/// `monitor ZONES [issuer WHO...]`, as often as wanted.
fn read_monitor(options: &mut Options<'_>, audit: bool, has_list: bool) -> Vec<Zone> {
    let lines = options.properties(&["monitor"], |line| {
        let span = line.span().clone();
        let (mut zones, mut issuers, mut in_issuers) = (Vec::new(), Vec::new(), false);
        while let Some(word) = line.word() {
            if !in_issuers && !word.quoted && word.text == "issuer" {
                in_issuers = true;
            } else if in_issuers {
                issuers.push(word.text.as_str());
            } else {
                zones.push(word);
            }
        }
        if zones.is_empty() || (in_issuers && issuers.is_empty()) {
            let what = if zones.is_empty() { "a zone" } else { "an issuer behind `issuer`" };
            line.error(&span, format!("expected {what}, got the end of the line"));
        }
        if !audit {
            line.error_with_hint(
                &span,
                "expected `audit on`, found `audit off`",
                "entries are believed because a log's head proves them",
            );
        }
        if !has_list {
            line.error_with_hint(
                &span,
                "expected a `log-list`, found none",
                "the logs of the list are followed",
            );
        }
        let mut read = Vec::new();
        for word in zones {
            match Zone::new(&word.text, &issuers) {
                Ok(zone) => read.push(zone),
                Err(error) => line.error(&word.span, error.to_string()),
            }
        }
        Some(read)
    });
    lines.concat()
}

fn read_certspotter(options: &mut Options<'_>, has_zones: bool) -> Option<PathBuf> {
    options.property("certspotter", |line| {
        let span = line.span().clone();
        let folder = line.required(path())?;
        if !has_zones {
            line.error_with_hint(
                &span,
                "expected a `monitor` line, found none",
                "it says which names are yours",
            );
        }
        Some(folder)
    })
}

fn read_probe_period(options: &mut Options<'_>, has_probes: bool) -> u32 {
    let read = options.property("probe-period", |line| {
        let span = line.span().clone();
        let period = line.required(seconds(PERIOD_SECONDS))?;
        if !has_probes {
            line.error_with_hint(
                &span,
                "expected a `probe` line, found none",
                "it says which servers are looked at",
            );
        }
        Some(period)
    });
    read.unwrap_or(PROBE_PERIOD_SECONDS)
}

fn read_crls(options: &mut Options<'_>) -> Vec<Place> {
    let read = options.property("crl", |line| {
        let mut places = Vec::new();
        if line.remaining() == 0 {
            line.required(text().named("a file or a URL"));
        }
        while line.remaining() > 0 {
            // A revocation list is signed by itself, so that nobody on the way can change it.
            places.extend(read_place(line, true, "a revocation list"));
        }
        if places.len() > CRLS_MAX {
            let span = line.span().clone();
            line.error(&span, format!("expected at most {CRLS_MAX} lists, got {}", places.len()));
        }
        Some(places)
    });
    read.unwrap_or_default()
}

/// A file or a URL. Only what is signed by itself may be had without TLS.
fn read_place(line: &mut Options<'_>, plain_is_fine: bool, what: &str) -> Option<Place> {
    let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
    let written = line.required(text().named(format!("a file or a URL of {what}")))?;
    let at = match written.split_once("://") {
        Some(("https", _)) => At::Url(written),
        Some(("http", _)) if plain_is_fine => At::Url(written),
        Some(("http", _)) => {
            let hint = "anybody on the way could change it; write `https://`";
            line.error_with_hint(&span, format!("expected {what} over TLS, got `{written}`"), hint);
            return None;
        }
        Some((scheme, _)) => {
            line.error(&span, format!("expected a file, `https://` or `http://`, got `{scheme}://`"));
            return None;
        }
        None => At::File(PathBuf::from(written)),
    };
    Some(Place { at, span })
}

/// The words of a property, each with its place.
fn words_of<T>(options: &mut Options<'_>, name: &'static str, read: impl Fn(&str) -> T) -> Vec<(T, Span)> {
    let words = options.property(name, |line| {
        if line.remaining() == 0 {
            line.required(path());
        }
        let mut words = Vec::new();
        while let Some(word) = line.word() {
            words.push((read(&word.text), word.span.clone()));
        }
        Some(words)
    });
    words.unwrap_or_default()
}

fn revocation() -> Value<RevocationMode> {
    one_of([
        ("off", RevocationMode::Off),
        ("soft", RevocationMode::Soft),
        ("require", RevocationMode::Required),
    ])
}

fn host() -> Value<String> {
    Value::new("a host such as `crl.example.org` or `*.example.org`", |text| {
        let bare = text.strip_prefix("*.").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_host = bare.contains('.') && bare.split('.').all(|label| !label.is_empty());
        if is_host && bare.bytes().all(plain) {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(Mismatch::with_hint("write the host alone, without scheme, port or path"))
        }
    })
}

fn target() -> Value<Target> {
    Value::new("a host and perhaps a port, such as `www.example.org:443`", |text| {
        text.parse().map_err(|error: ct_watch::served::TargetError| Mismatch::with_hint(error.to_string()))
    })
}

/// Verdicts that are remembered, unless told otherwise.
const VERDICTS: u64 = 10_000;
const VERDICTS_MAX: u64 = 1_000_000;
/// The most certificates of one RRset that can be asked for.
const CERTIFICATES_MAX: usize = 64;
const REFRESH_MIN: Duration = Duration::from_secs(10);
const REFRESH_MAX: Duration = Duration::from_secs(30 * 86_400);
/// How long a slot is in which servers are looked at, in seconds.
const PROBE_PERIOD_SECONDS: u32 = 600;
const HOSTS_MAX: usize = 256;
const CRLS_MAX: usize = 256;
