//! `file DBFILE [ZONES...] { reload DURATION; fallthrough [ZONES...] }`

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use corefile::options::{Options, duration, path};
use corefile::{Diagnostic, Directive, Span};
use hickory_proto::rr::Name;

use super::handler::{File, Seen, Served, ServedZone};
use super::master::ZoneError;
use super::source::{Loaded, load};
use crate::setup::{Block, Context};
use crate::zones;

/// How often zone files are looked at, unless said otherwise.
const RELOAD: Duration = Duration::from_secs(60);

/// Longest time between two looks.
const RELOAD_MAX: Duration = Duration::from_secs(24 * 3600);

/// Reads all `file` directives of a block, and the zone files that they name.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut zones = Served::default();
    for directive in directives {
        let Some(settings) = read(directive, diagnostics) else { continue };
        let origins = if settings.zones.is_empty() { block.zones.clone() } else { settings.zones };
        let file = block.root.join(&settings.file);
        for origin in origins {
            let loaded = match load(&file, &origin) {
                Ok(loaded) => loaded,
                Err(errors) => {
                    diagnostics.extend(errors.iter().map(|error| diagnostic(error, directive)));
                    continue;
                }
            };
            let Loaded { zone, stamps, outside } = loaded;
            if let Some((count, first)) = outside {
                let message =
                    format!("file: left out {count} records outside of {origin}, the first at {first}");
                diagnostics.push(Diagnostic::warning(&directive.span, message));
            }
            let served = ServedZone {
                origin: origin.clone(),
                file: file.clone(),
                reload: settings.reload,
                fallthrough: settings.fallthrough.clone(),
                zone: ArcSwap::from_pointee(zone),
                seen: Mutex::new(Seen { stamps, error: None }),
            };
            if !zones.add(served) {
                let message = format!("file: expected one file for {origin} in a server block, got another");
                diagnostics.push(Diagnostic::error(&directive.span, message));
            }
        }
    }
    if !zones.is_empty() {
        block.plugins.push(Arc::new(File::new(zones)));
    }
}

struct Settings {
    file: PathBuf,
    zones: Vec<Name>,
    reload: Option<Duration>,
    fallthrough: Vec<Name>,
}

fn read(directive: &Directive, diagnostics: &mut Vec<Diagnostic>) -> Option<Settings> {
    let mut options = Options::new(directive, diagnostics);
    let file = options.required(path().named("a zone file"));
    let zones = options.rest(.., zones::zones()).concat();
    let reload = options.value("reload", duration(Duration::ZERO..=RELOAD_MAX)).unwrap_or(RELOAD);
    let fallthrough = options.property("fallthrough", |line| {
        let zones = line.rest(.., zones::zones()).concat();
        Some(if zones.is_empty() { vec![Name::root()] } else { zones })
    });
    // Accepted as CoreDNS has it; files are always judged by their time of change here.
    options.flag("reload_by_mtime");
    let fine = options.finish();
    let settings = Settings {
        file: file?,
        zones,
        reload: Some(reload).filter(|every| !every.is_zero()),
        fallthrough: fallthrough.unwrap_or_default(),
    };
    fine.then_some(settings)
}

/// A fault of a zone file, at its own place; without one, at the directive.
fn diagnostic(error: &ZoneError, directive: &Directive) -> Diagnostic {
    match error.at {
        Some(at) => {
            let span =
                Span { file: error.file.as_path().into(), line: at.line, column: at.column, length: 1 };
            Diagnostic::error(&span, &error.message)
        }
        None => {
            Diagnostic::error(&directive.span, format!("file: {}: {}", error.file.display(), error.message))
        }
    }
}
