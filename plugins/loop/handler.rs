//! The plugin: asks the rest of the chain for names that nobody else knows, and waits for a query for one of them.
//!
//! A name holds 128 bits of chance and counts only until its question is settled, at the start. So nobody who has not been forwarded the question
//! can make this plugin see a loop, and nobody can later.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use prometheus_client::metrics::counter::Counter;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, error};

use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::fatal::Fatal;
use crate::metrics::Metrics;
use crate::plugin::Plugin;
use crate::query::{Query, Transport};
use crate::response::Response;

/// `loop`
pub struct Loop {
    shared: Arc<Shared>,
    task: Mutex<Option<AbortHandle>>,
}

/// What the questions that are under way hold on to.
struct Shared {
    /// The names that are asked for.
    probes: Vec<Name>,
    /// Which of them is asked for: a query for it means something. Beyond the last: none.
    probing: AtomicUsize,
    found: AtomicBool,
    fatal: Arc<Fatal>,
    loops: Counter,
}

impl Loop {
    /// Asks for names in `zones`, the first few of them, and tells `fatal` when one comes back.
    pub fn new(zones: &[Name], fatal: Arc<Fatal>, metrics: &Metrics) -> Loop {
        let probes = zones.iter().take(PROBES_MAX).filter_map(|zone| {
            // A zone whose name has no room for the label cannot be probed.
            zone.prepend_label(format!("loop-{:032x}", rand::random::<u128>())).ok()
        });
        let shared = Shared {
            probes: probes.collect(),
            probing: AtomicUsize::new(usize::MAX),
            found: AtomicBool::new(false),
            fatal,
            loops: metrics.metric("quorate_loops", "Forwarding loops found", Counter::default),
        };
        Loop { shared: Arc::new(shared), task: Mutex::default() }
    }
}

impl Shared {
    /// Whether `query` is one of ours that came back.
    fn is_back(&self, query: &Query) -> bool {
        (query.qtype, query.qclass) == (RecordType::HINFO, DNSClass::IN)
            && self.probes.get(self.probing.load(Ordering::Relaxed)) == Some(&query.name)
    }

    fn found(&self, query: &Query) {
        if self.found.swap(true, Ordering::Relaxed) {
            return;
        }
        self.loops.inc();
        let zone = query.name.base_name();
        let from = match query.client.transport {
            Transport::Internal => "the cluster".to_owned(),
            transport => format!("{} over {}", query.client.address.ip(), transport.name()),
        };
        error!(%zone, %from, "what is forwarded comes back: the block answers nothing any more");
        let hint = "forward to servers that do not ask this one, see plugins/loop/README.md";
        self.fatal
            .say(format!("loop: a query of zone `{zone}` that was forwarded came back from {from}; {hint}"));
    }

    /// Asks for all names until there is an answer, or for as long as `WAITS` say.
    async fn probe(&self, rest: &Rest) {
        for (index, name) in self.probes.iter().enumerate() {
            self.probing.store(index, Ordering::Relaxed);
            for wait in WAITS {
                sleep(wait).await;
                if self.ask(name, rest).await || self.found.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        self.probing.store(usize::MAX, Ordering::Relaxed);
    }

    /// Asks for `name`, and says whether that is settled: somebody knows that it does not exist, or there is nobody to ask.
    async fn ask(&self, name: &Name, rest: &Rest) -> bool {
        let deadline = Instant::now() + PROBE_TIMEOUT;
        let query =
            Query::internal(name.clone(), RecordType::HINFO, DNSClass::IN, false, deadline.into_std());
        let answer = timeout_at(deadline, rest.next().serve(&query)).await;
        let settled = match answer {
            Ok(Ok(response)) => response.rcode != ResponseCode::ServFail,
            Ok(Err(ServeError::NoPlugin)) => true,
            Ok(Err(_)) | Err(_) => false,
        };
        debug!(%name, settled, "asked for a name of our own");
        settled
    }
}

#[async_trait]
impl Plugin for Loop {
    fn name(&self) -> &'static str {
        "loop"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if self.shared.is_back(query) {
            self.shared.found(query);
        }
        if self.shared.found.load(Ordering::Relaxed) {
            return Err(ServeError::Internal("what this server forwards comes back to it".into()));
        }
        next.serve(query).await
    }

    fn start(&self, rest: Rest) -> Result<(), StartError> {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move { shared.probe(&rest).await });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        match self.shared.found.load(Ordering::Relaxed) {
            true => Err("what is forwarded comes back".to_owned()),
            false => Ok(()),
        }
    }

    fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Zones of a block that are probed; all are forwarded by the same directives.
const PROBES_MAX: usize = 4;
/// What a server that does not loop needs to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The waits before each question: the listeners open first, and the network may come up later than this program.
const WAITS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
];
