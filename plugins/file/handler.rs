//! Answers from zones; follows aliases out of them; takes over changed files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::lookup::{Answer, Question, answer};
use super::name::{Key, key, label_offsets};
use super::source::{Loaded, Stamps, load};
use super::zone::{Zone, Zones};
use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// The directive.
pub const NAME: &str = "file";

/// The zones of one server block.
pub struct File {
    zones: Served,
    reloads: Mutex<Vec<JoinHandle<()>>>,
}

/// A zone that is served, and where it comes from.
pub struct ServedZone {
    /// Its name.
    pub origin: Name,
    /// Its file.
    pub file: PathBuf,
    /// How often the file is looked at; `None`: never.
    pub reload: Option<Duration>,
    /// Names below these, when the zone lacks them, are left to the rest of the chain.
    pub fallthrough: Vec<Name>,
    /// What is served now.
    pub zone: ArcSwap<Zone>,
    /// What is known of the files.
    pub seen: Mutex<Seen>,
}

/// What is known of a zone's files.
#[derive(Debug)]
pub struct Seen {
    /// What they looked like when they were taken over.
    pub stamps: Stamps,
    /// What was told of them since.
    pub error: Option<String>,
}

/// Zones by name.
#[derive(Default)]
pub struct Served {
    by_name: HashMap<Key, Arc<ServedZone>, ahash::RandomState>,
}

impl Served {
    /// Adds `zone`; says whether its name was free.
    pub fn add(&mut self, zone: ServedZone) -> bool {
        let key = zone.zone.load().origin().clone();
        let free = !self.by_name.contains_key(&key);
        self.by_name.insert(key, Arc::new(zone));
        free
    }

    /// The zone that `zone_for` finds.
    fn find(&self, name: &[u8], rtype: RecordType) -> Option<&ServedZone> {
        let mut matching = label_offsets(name).into_iter().filter_map(|offset| {
            let zone = self.by_name.get(&name[offset..])?;
            Some((offset, zone.as_ref()))
        });
        let (offset, first) = matching.next()?;
        let parent = (rtype == RecordType::DS && offset == 0).then(|| matching.next()).flatten();
        Some(parent.map_or(first, |(_, zone)| zone))
    }

    /// Whether the rest of the chain may know `query`'s name, which its zone here lacks.
    fn falls_through(&self, query: &Query) -> bool {
        let served = self.find(&key(&query.name), query.qtype);
        served.is_some_and(|served| served.fallthrough.iter().any(|zone| zone.zone_of(&query.name)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl Zones for Served {
    fn zone_for(&self, name: &[u8], rtype: RecordType) -> Option<Arc<Zone>> {
        self.find(name, rtype).map(|served| served.zone.load_full())
    }
}

impl File {
    /// A plugin that serves `zones`.
    pub fn new(zones: Served) -> File {
        File { zones, reloads: Mutex::default() }
    }
}

#[async_trait]
impl Plugin for File {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if query.qclass != DNSClass::IN {
            return next.serve(query).await;
        }
        let question = Question { name: &query.name, rtype: query.qtype, dnssec_ok: query.dnssec_ok() };
        let answer = match answer(&self.zones, question) {
            Ok(Some(answer)) => answer,
            Ok(None) => return next.serve(query).await,
            Err(error) => return Err(ServeError::Internal(error.to_string())),
        };
        if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
            return Err(ServeError::Refused("zones are not transferred from here".to_owned()));
        }
        let is_missing = answer.rcode == ResponseCode::NXDomain && answer.answers.is_empty();
        if is_missing && self.zones.falls_through(query) {
            return next.serve(query).await;
        }
        match answer.outside.clone() {
            None => Ok(response(answer)),
            Some(target) => follow(query, response(answer), target, next).await,
        }
    }

    fn start(&self, _rest: Rest) -> Result<(), StartError> {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        for zone in self.zones.by_name.values() {
            if let Some(every) = zone.reload {
                reloads.push(tokio::spawn(keep_fresh(zone.clone(), every)));
            }
        }
        Ok(())
    }

    fn stop(&self) {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        reloads.drain(..).for_each(|task| task.abort());
    }
}

fn response(answer: Answer) -> Response {
    Response {
        authoritative: answer.authoritative,
        answers: answer.answers,
        authorities: answer.authorities,
        additionals: answer.additionals,
        ..Response::new(answer.rcode, NAME)
    }
}

/// Asks for the target of an alias that leads out of the zones: `hosts` and what stands behind this plugin may know it. Where nobody
/// does, the alias alone is the answer. The rcode is that of the last name: RFC 6604 §3.
async fn follow(
    query: &Query,
    mut response: Response,
    target: Name,
    next: Next,
) -> Result<Response, ServeError> {
    let question = Query { name: target.to_lowercase(), name_as_asked: target, ..query.clone() };
    let further = match next.rest_since("hosts").next().serve(&question).await {
        Ok(further) if further.rcode == ResponseCode::Refused => return Ok(response),
        Ok(further) => further,
        Err(ServeError::NoPlugin | ServeError::Refused(_)) => return Ok(response),
        Err(error) => return Err(error),
    };
    response.rcode = further.rcode;
    response.recursion_available = further.recursion_available;
    response.answers.extend(further.answers);
    response.authorities.extend(further.authorities);
    response.additionals.extend(further.additionals);
    response.extended_errors.extend(further.extended_errors);
    Ok(response)
}

/// Looks at the files of `zone` again and again, and takes over what they hold. A broken file changes nothing and is told once.
async fn keep_fresh(zone: Arc<ServedZone>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let zone = zone.clone();
        // A large zone takes a while to read.
        if tokio::task::spawn_blocking(move || refresh(&zone)).await.is_err() {
            return;
        }
    }
}

/// Takes over the files of `served` if they have changed.
pub fn refresh(served: &ServedZone) {
    let mut seen = served.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.stamps.hold() {
        return;
    }
    match load(&served.file, &served.origin) {
        Ok(Loaded { zone, stamps, .. }) => {
            info!(zone = %served.origin, serial = zone.serial(), names = zone.names(), "took over changed zone file");
            served.zone.store(Arc::new(zone));
            *seen = Seen { stamps, error: None };
        }
        Err(errors) => {
            // Tried again each time, since it may be an included file that will be put right; told once.
            let error = errors.first().map(ToString::to_string);
            if seen.error != error {
                let text = error.as_deref().unwrap_or_default();
                warn!(zone = %served.origin, errors = errors.len(), error = text, "kept the old zone: its file is broken");
                seen.error = error;
            }
        }
    }
}
