//! What runs beside queries: lists, logs, the monitor, probes. Started with the plugin, ended with it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ct_watch::config::Source;
use ct_watch::logs::Promised;
use ct_watch::monitor::{Monitor, MonitorConfig, Rates, Zone, Zones};
use ct_watch::probe::{ProbeConfig, Prober, Slots};
use ct_watch::served::{Looking, Materials as ProbeMaterials, Target};
use ct_watch::{Watch, WatchConfig};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use tokio::runtime::Handle;
use transparency::{Pinned, Verdict};

use super::handler::Core;
use super::in_force::InUse;
use super::names::ChainNames;
use crate::chain::Rest;
use crate::error::StartError;

/// What is to run, as the directive says.
pub struct Plan {
    pub state: Option<PathBuf>,
    pub log_list: Option<Source>,
    pub crls: Vec<Source>,
    pub intermediates: Vec<CertificateDer<'static>>,
    pub root_certificates: Arc<Vec<CertificateDer<'static>>>,
    pub tls_roots: Arc<RootCertStore>,
    pub refresh: Duration,
    pub hosts: Vec<String>,
    pub allow_private: bool,
    pub audit: bool,
    pub zones: Vec<Zone>,
    pub certspotter: Option<PathBuf>,
    pub probes: Vec<Target>,
    /// In slots of which length servers are looked at, in seconds.
    pub probe_period: u32,
    /// Whether the chain of the block answers for all names.
    pub resolves_all: bool,
}

/// What runs.
pub struct Background {
    /// Keeps what is in force open until the end.
    in_use: Mutex<Option<InUse>>,
    watch: Arc<Watch>,
    prober: Option<Arc<Prober>>,
    monitor: Option<Arc<Monitor>>,
    zones: Zones,
    /// Whether issuers and revocation lists of certificates may be asked for.
    attends: bool,
}

impl Background {
    /// Starts it all, on the runtime that this is called on.
    pub fn start(core: &Arc<Core>, rest: Rest) -> Result<Arc<Background>, StartError> {
        let error = |message: String| StartError { plugin: "ct-verify", message };
        let runtime = Handle::try_current().map_err(|_| error("there is no runtime".to_owned()))?;
        let in_use = core.in_force.open().map_err(|source| error(format!("state: {source}")))?;
        let plan = &core.plan;
        let names = Arc::new(ChainNames { rest, resolves_all: plan.resolves_all });
        let config = WatchConfig {
            state: plan.state.clone(),
            log_list: plan.log_list.clone(),
            crls: plan.crls.clone(),
            intermediates: plan.intermediates.clone(),
            roots: plan.root_certificates.to_vec(),
            refresh: plan.refresh,
            hosts: plan.hosts.clone(),
            allow_private: plan.allow_private,
            audit: plan.audit,
            tls_roots: plan.tls_roots.clone(),
            resolver: names.clone(),
            clock: core.clock.clone(),
            ..WatchConfig::default()
        };
        let watch = Watch::start(config, runtime.clone()).map_err(|source| error(source.to_string()))?;
        core.own.follow(watch.clone());
        let prober = start_prober(core, &watch, names.clone(), &runtime).map_err(error)?;
        let monitor = start_monitor(plan, &watch, names, prober.as_ref(), &runtime).map_err(error)?;
        let background = Background {
            in_use: Mutex::new(Some(in_use)),
            watch,
            prober,
            monitor,
            zones: Zones::new(plan.zones.clone()),
            attends: !plan.hosts.is_empty(),
        };
        Ok(Arc::new(background))
    }

    /// Lists, logs and gossip.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Who looks at servers, if any is to be looked at.
    pub fn prober(&self) -> Option<&Arc<Prober>> {
        self.prober.as_ref()
    }

    /// Who watches what is issued, if anything is to be watched.
    pub fn monitor(&self) -> Option<&Arc<Monitor>> {
        self.monitor.as_ref()
    }

    /// Looks after the issuers and revocation lists of a certificate that an answer carried. Returns at once.
    pub fn attend(&self, chain: &[CertificateDer<'_>]) {
        if self.attends {
            self.watch.attend(chain);
        }
    }

    /// Looks into the promises of logs for a certificate that holds for one of the operator's own names. Asking a log for a proof tells it whose
    /// certificate is looked at, so that is done for no other. Returns at once; a promise is taken in once.
    pub fn look_into(&self, name: &str, verdict: &Verdict) {
        if verdict.chain.x509_chain_valid && self.zones.find(&[name.to_owned()]).is_some() {
            for promised in verdict.ct.scts.iter().filter_map(Promised::of) {
                self.watch.audit(promised);
            }
        }
    }

    /// Ends it all.
    pub fn stop(&self) {
        self.monitor.iter().for_each(|monitor| monitor.stop());
        self.prober.iter().for_each(|prober| prober.stop());
        self.watch.stop();
        // What is in force is written by then.
        drop(self.in_use.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn start_prober(
    core: &Arc<Core>,
    watch: &Watch,
    names: Arc<ChainNames>,
    runtime: &Handle,
) -> Result<Option<Arc<Prober>>, String> {
    if core.plan.probes.is_empty() {
        return Ok(None);
    }
    let mut targets = core.plan.probes.clone();
    targets.sort_unstable();
    targets.dedup();
    let slots = Slots::new(u64::from(core.plan.probe_period));
    let config = ProbeConfig {
        targets,
        slots,
        looking: Looking::new(core.plan.allow_private, slots.look_max()),
        seed: rand::random(),
    };
    let materials = Arc::new(Hands(Arc::downgrade(core)));
    let prober = Prober::new(config, watch.context().clone(), names, materials);
    let prober = prober.map_err(|error| error.to_string())?;
    prober.start(runtime);
    Ok(Some(prober))
}

fn start_monitor(
    plan: &Plan,
    watch: &Arc<Watch>,
    names: Arc<ChainNames>,
    prober: Option<&Arc<Prober>>,
    runtime: &Handle,
) -> Result<Option<Arc<Monitor>>, String> {
    if plan.zones.is_empty() {
        return Ok(None);
    }
    let config = MonitorConfig {
        zones: Zones::new(plan.zones.clone()),
        rates: Rates::default(),
        certspotter: plan.certspotter.clone(),
    };
    let prober = prober.map(Arc::downgrade);
    let served = Arc::new(move |host: &str| {
        let prober = prober.as_ref().and_then(Weak::upgrade);
        prober.map_or_else(Vec::new, |prober| prober.keys_of(host))
    });
    let monitor = Monitor::new(config, watch.context().clone(), watch.clone(), names, served);
    let monitor = monitor.map_err(|error| error.to_string())?;
    monitor.start(runtime);
    Ok(Some(monitor))
}

/// Hands the inputs in force to who judges served chains.
struct Hands(Weak<Core>);

impl ProbeMaterials for Hands {
    fn with(&self, judged: &mut dyn FnMut(&Pinned<'_>)) {
        if let Some(core) = self.0.upgrade() {
            let by = (&core.settings.policy, core.settings.revocation);
            core.materials_of_probes(core.clock.now()).pinned(by, judged);
        }
    }
}
