//! Looks at the certificates of answers, by the inputs at hand. Nothing is fetched while a query waits.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use certificate::Judged;
use ct_watch::Clock;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name};
use tokio::sync::Semaphore;
use transparency::revocation::RevocationMode;
use transparency::rrset::{RecordType, judge_rrset_by};
use transparency::{Moment, Policy};

use super::aside::with_room;
use super::background::{Background, Plan};
use super::content::Contents;
use super::in_force::InForce;
use super::inputs::{Input, Materials};
use super::metrics::CtMetrics;
use super::modes::{Mode, Modes};
use super::numbers::Numbers;
use super::own::Own;
use super::remark::{Found, broken_off, found, gravity};
use super::sets::{Set, any, sets_of, word};
use super::told::Told;
use super::verdicts::Verdicts;
use super::wishes::Wishes;
use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::validator::Validator;
use crate::view::QueryView;

/// `ct-verify`
pub struct CtVerify {
    pub(super) core: Arc<Core>,
}

/// What answers, operations and background work share.
pub struct Core {
    pub settings: Settings,
    pub own: Own,
    pub in_force: Arc<InForce>,
    /// Inputs that peers may ask for.
    pub contents: Arc<Contents>,
    /// Chains that clients handed in.
    pub chains: Contents,
    pub verdicts: Verdicts,
    pub wishes: Wishes,
    /// Bad RRsets that the operator has heard of.
    pub told: Told,
    pub metrics: CtMetrics,
    /// Tells numbers of background work while that is at work.
    pub numbers: Numbers,
    pub clock: Arc<dyn Clock>,
    pub plan: Plan,
    pub background: Mutex<Option<Arc<Background>>>,
    /// Whether a cluster asks this plugin, so that what is in force is decided by it.
    pub is_attached: AtomicBool,
    /// Room for long judgements of answers, and for those that nobody votes on.
    pub judging: Arc<Semaphore>,
    /// Room for long judgements for the cluster.
    pub operations: Arc<Semaphore>,
}

/// How answers are judged.
#[derive(Clone, Debug)]
pub struct Settings {
    pub modes: Modes,
    pub policy: Policy,
    pub revocation: RevocationMode,
    /// How many certificates of one RRset are looked at.
    pub certificates: usize,
}

#[async_trait]
impl Plugin for CtVerify {
    fn name(&self) -> &'static str {
        "ct-verify"
    }

    /// Stands behind the cache: what that knows was judged when it came.
    fn glance(&self, _: &QueryView<'_>, _: &mut Vec<u8>) -> Glance {
        Glance::Pass
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let response = next.serve(query).await?;
        if query.qclass != DNSClass::IN || !any(&response.answers) {
            return Ok(response);
        }
        Ok(self.core.clone().judged(&query.name, response).await)
    }

    fn start(&self, rest: Rest) -> Result<(), StartError> {
        let started = Background::start(&self.core, rest)?;
        *self.core.background.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        self.core.numbers.begin(&self.core);
        Ok(())
    }

    fn api(&self, path: &str, _query: &str) -> Option<(u16, String)> {
        self.core.api(path)
    }

    fn validator(&self) -> Option<Arc<dyn Validator>> {
        Some(self.core.clone())
    }

    fn stop(&self) {
        if let Some(background) = self.core.background() {
            background.stop();
            self.core.numbers.end(&self.core);
        }
    }
}

/// What was found about an answer, and what is done about it.
struct Judgement {
    found: Found,
    blocks: bool,
}

impl Core {
    /// What runs beside queries, once it was started.
    pub fn background(&self) -> Option<Arc<Background>> {
        self.background.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What certificates are judged by now: what the cluster has put in force, and what this replica has itself where that is nothing.
    pub fn materials(&self, now: Moment) -> Arc<Materials> {
        let own = self.own.materials();
        if !self.is_attached() {
            return own;
        }
        let is_old = |input: &Input| matches!(input, Input::LogList(list) if list.value.is_stale(now));
        let agreed = transparency::operation::InputKind::ALL.into_iter().filter_map(|kind| {
            let input = self.in_force.judged_by(kind, now.milliseconds())?;
            // A cluster that cannot agree any more must not hold its replicas to a list that nobody judges by.
            let is_outlived = is_old(&input) && own.input(kind).is_some_and(|own| !is_old(&own));
            (!is_outlived).then_some(input)
        });
        let mut materials = Materials::clone(&own);
        agreed.for_each(|input| materials.put(input));
        if materials.trust.digest != own.trust.digest {
            // What the cluster trusts is not what is configured here; so its intermediates are to be used, too.
            materials.issuers = None;
        }
        Arc::new(materials)
    }

    /// What servers are judged by: replicas vote on what they saw, so no issuers that this replica alone has fetched. The first looks may be over
    /// before a cluster asks, so it makes no difference whether one does; and a server has to show its intermediates itself.
    pub fn materials_of_probes(&self, now: Moment) -> Materials {
        Materials::clone(&self.materials(now)).agreed()
    }

    /// The response as it goes on: as it came, with a remark, or without its records.
    async fn judged(self: Arc<Self>, asked: &Name, mut response: Response) -> Response {
        let mut all = sets_of(asked, &response.answers);
        let mode = |owner: &Name| self.settings.modes.mode(owner).max(self.settings.modes.mode(asked));
        all.retain(|set| mode(&set.owner) != Mode::Off);
        let worst = match all.iter().map(weight).sum::<usize>() {
            0 | 1 => self.worst(asked, &all),
            _ => {
                let all = Arc::new(all);
                let (core, name, sets) = (self.clone(), asked.clone(), all.clone());
                let judged = with_room(&self.judging, move || core.worst(&name, &sets)).await;
                judged.unwrap_or_else(|| self.unjudged(asked, &all))
            }
        };
        let Some(Judgement { found, blocks }) = worst else { return response };
        if !blocks {
            response.remark = Some(found.remark(false));
            return response;
        }
        let mut blocked = Response::new(ResponseCode::ServFail, "ct-verify");
        blocked.recursion_available = response.recursion_available;
        blocked.remark = Some(found.remark(true));
        blocked
    }

    /// What is found about these sets: what blocks first, then the gravest.
    fn worst(&self, asked: &Name, sets: &[Set]) -> Option<Judgement> {
        let now = self.clock.now();
        let materials = self.materials(now);
        let judgements = sets.iter().filter_map(|set| self.judge_set(asked, set, &materials, now));
        judgements.reduce(|worst, next| {
            let rank = |judgement: &Judgement| (judgement.blocks, gravity(judgement.found.judged));
            if rank(&worst) < rank(&next) { next } else { worst }
        })
    }

    /// What is done about sets whose judgement was broken off.
    fn unjudged(&self, asked: &Name, sets: &[Set]) -> Option<Judgement> {
        let judgements = sets.iter().map(|set| {
            let found = broken_off(set);
            let blocks = self.blocks(asked, &set.owner, found.judged);
            Judgement { found, blocks }
        });
        judgements.max_by_key(|judgement| judgement.blocks)
    }

    /// Whether a set of this owner that was judged so is withheld.
    fn blocks(&self, asked: &Name, owner: &Name, judged: Judged) -> bool {
        let modes = &self.settings.modes;
        let is_bad = match judged {
            Judged::Valid => false,
            Judged::Invalid => true,
            Judged::Indeterminate => modes.is_fail_closed(owner) || modes.is_fail_closed(asked),
        };
        is_bad && modes.mode(owner).max(modes.mode(asked)) == Mode::Enforce
    }

    fn judge_set(&self, asked: &Name, set: &Set, materials: &Materials, now: Moment) -> Option<Judgement> {
        let modes = &self.settings.modes;
        let mode = modes.mode(&set.owner).max(modes.mode(asked));
        let name = set.name.to_ascii();
        let rdata: Vec<&[u8]> = set.rdata.iter().map(Vec::as_slice).collect();
        let background = self.background();
        let verdict = judge_rrset_by((&name, set.kind), &rdata, self.settings.certificates, |chain, name| {
            let (verdict, is_new) = self.verdicts.judge(chain, name, materials, now);
            let Some(background) = &background else { return verdict };
            if is_new {
                background.attend(chain);
            }
            background.look_into(name, &verdict);
            self.by_findings(background, set, verdict, now)
        });
        let found = found(set, &verdict)?;
        self.metrics.verdict(word(set.kind), found.judged.word(), mode.word());
        let blocks = self.blocks(asked, &set.owner, found.judged);
        if blocks || found.judged == Judged::Invalid {
            self.tell_of(set, &found, blocks, now);
        }
        Some(Judgement { found, blocks })
    }
}

/// How many signatures a set may cost: of its certificates.
fn weight(set: &Set) -> usize {
    match set.kind {
        RecordType::Cert => set.rdata.len(),
        // Usage 1 with a whole certificate alone is judged.
        RecordType::Tlsa => set.rdata.iter().filter(|rdata| rdata.starts_with(&[1, 0, 0])).count(),
        RecordType::Smimea => 0,
    }
}
