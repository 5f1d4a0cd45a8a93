//! Lookups for the cluster: through which chain, and what comes of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agreement::canonical::{REFUSED, SERVFAIL};
use agreement::{Observed, ObservedOutcome};
use async_trait::async_trait;
use certificate::codec::Decode;
use certificate::leaf::{Policy, Question};
use certificate::{Judged, Remark, name};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use super::four::PATIENCE;
use super::setting::{Setting, question};
use super::upstream::{Says, Upstream, address};
use crate::byzantine_consensus::consensus::{Attached, Consensus};
use crate::chain::{Chain, Next, Rest};
use crate::error::{ServeError, StartError};
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// A plugin that keeps the chain behind it.
#[derive(Default)]
struct Keeper(Mutex<Option<Rest>>);

#[async_trait]
impl Plugin for Keeper {
    fn name(&self) -> &'static str {
        "keeper"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        next.serve(query).await
    }

    fn start(&self, rest: Rest) -> Result<(), StartError> {
        *self.0.lock().unwrap() = Some(rest);
        Ok(())
    }
}

/// A chain for `zones` that ends in `upstream`.
pub fn chain(zones: &[&str], upstream: &Arc<Upstream>) -> Attached {
    let keeper = Arc::new(Keeper::default());
    Chain::new(vec![keeper.clone(), upstream.clone()]).start().unwrap();
    let rest = keeper.0.lock().unwrap().clone().expect("it was started");
    Attached {
        zones: zones.iter().map(|zone| Name::from_ascii(zone).unwrap()).collect(),
        rest,
        observe_timeout: PATIENCE,
        option_code: 65_321,
    }
}

fn consensus() -> Consensus {
    let setting = Setting::with(|cluster| {
        cluster.policies.insert(name::parse("private.example.org").unwrap(), Policy::Bypass);
    });
    Consensus::new(&setting.identity(0))
}

/// A cluster with one chain for everything.
fn with_chain() -> (Consensus, Arc<Upstream>) {
    let (consensus, upstream) = (consensus(), Arc::<Upstream>::default());
    consensus.attach(1, chain(&["."], &upstream));
    (consensus, upstream)
}

async fn outcome(consensus: &Consensus, name: &str) -> ObservedOutcome {
    consensus.observe(&question(name)).await.outcome
}

#[tokio::test]
async fn the_chain_with_the_longest_matching_zone_is_asked() {
    let consensus = consensus();
    let upstreams: Vec<Arc<Upstream>> = (0..3).map(|_| Arc::default()).collect();
    consensus.attach(1, chain(&["www.example.org."], &upstreams[0]));
    consensus.attach(2, chain(&["."], &upstreams[1]));
    consensus.attach(3, chain(&["example.net.", "example.org."], &upstreams[2]));
    for (name, expected) in
        [("www.example.org", 0), ("a.www.example.org", 0), ("example.com", 1), ("mail.example.org", 2)]
    {
        outcome(&consensus, name).await;
        let asked: Vec<usize> =
            (0..3).filter(|at| upstreams[*at].asked(&format!("{name}.")).len() == 1).collect();
        assert_eq!(asked, [expected], "{name}");
    }
}

#[tokio::test]
async fn of_two_chains_for_one_zone_the_newer_is_asked() {
    let (consensus, old) = with_chain();
    let new = Arc::<Upstream>::default();
    consensus.attach(2, chain(&["."], &new));
    outcome(&consensus, "www.example.org").await;
    assert_eq!((old.asked("www.example.org.").len(), new.asked("www.example.org.").len()), (0, 1));
}

#[tokio::test]
async fn detached_chain_is_not_asked_any_more() {
    let (consensus, old) = with_chain();
    consensus.attach(2, chain(&["."], &Arc::default()));
    assert!(consensus.detach(1), "another is left");
    outcome(&consensus, "www.example.org").await;
    assert_eq!(old.asked("www.example.org.").len(), 0);
    assert!(!consensus.detach(2), "none is left");
    assert_eq!(outcome(&consensus, "www.example.org").await, ObservedOutcome::Failure(REFUSED));
}

#[tokio::test]
async fn name_in_the_zone_of_no_chain_is_refused() {
    let (consensus, upstream) = (consensus(), Arc::default());
    consensus.attach(1, chain(&["example.org."], &upstream));
    assert_eq!(outcome(&consensus, "www.example.com").await, ObservedOutcome::Failure(REFUSED));
    assert_eq!(upstream.asked("www.example.com.").len(), 0);
}

#[tokio::test]
async fn names_under_bypass_are_not_looked_up_for_peers() {
    let (consensus, upstream) = with_chain();
    assert_eq!(outcome(&consensus, "www.private.example.org").await, ObservedOutcome::Failure(REFUSED));
    assert_eq!(upstream.asked("www.private.example.org.").len(), 0);
}

#[tokio::test]
async fn answer_is_observed_as_it_is() {
    let (consensus, upstream) = with_chain();
    upstream.say("www.example.org.", Says::This(address("www.example.org.", 1)));
    let ObservedOutcome::Answer(rrsets) = outcome(&consensus, "www.example.org").await else {
        panic!("an answer")
    };
    assert_eq!((rrsets[0].ttl, &rrsets[0].rdatas), (300, &vec![vec![192, 0, 2, 1]]));
}

#[tokio::test]
async fn answer_that_is_withheld_is_not_brought_back_by_what_was_seen_before() {
    let (consensus, upstream) = with_chain();
    let asked = question("www.example.org");
    let mut time_ms = 1_795_357_560_000;
    let mut seen = async |response: Response| {
        upstream.say("www.example.org.", Says::This(response));
        time_ms += 1000;
        let reading = consensus.observe(&asked).await;
        Observed::from_bytes(&consensus.observation(&asked, reading, time_ms)).unwrap()
    };
    seen(address("www.example.org.", 1)).await;
    let failure = Response::new(ResponseCode::ServFail, "ct-verify");
    assert_eq!(seen(failure.clone()).await.history.len(), 1, "a failure without a reason");
    let remark = Some(Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: not_enough_logs"));
    let withheld = seen(Response { remark: remark.clone(), ..failure }).await;
    assert_eq!((withheld.remark, withheld.history), (remark, Vec::new()));
}

#[tokio::test]
async fn lookup_without_an_answer_in_time_is_observed_as_a_time_out() {
    let (consensus, upstream) = (consensus(), Arc::<Upstream>::default());
    let observe_timeout = Duration::from_millis(10);
    consensus.attach(1, Attached { observe_timeout, ..chain(&["."], &upstream) });
    upstream.say("www.example.org.", Says::Nothing);
    assert_eq!(outcome(&consensus, "www.example.org").await, ObservedOutcome::TimedOut);
}

#[tokio::test]
async fn errors_of_the_chain_are_observed_by_their_kind() {
    let (consensus, upstream) = with_chain();
    let text = || "`192.0.2.53:53`".to_owned();
    for (error, expected) in [
        (ServeError::TimedOut(Duration::from_secs(1)), ObservedOutcome::TimedOut),
        (ServeError::Upstream(text()), ObservedOutcome::Failure(SERVFAIL)),
        (ServeError::Internal(text()), ObservedOutcome::Failure(SERVFAIL)),
        (ServeError::Refused(text()), ObservedOutcome::Failure(REFUSED)),
        (ServeError::NoPlugin, ObservedOutcome::Failure(REFUSED)),
    ] {
        upstream.say("www.example.org.", Says::Fails(error.clone()));
        assert_eq!(outcome(&consensus, "www.example.org").await, expected, "{error:?}");
    }
}

#[tokio::test]
async fn response_that_says_nothing_is_observed_as_servfail() {
    let (consensus, upstream) = with_chain();
    let contradiction = Response { rcode: ResponseCode::NXDomain, ..address("www.example.org.", 1) };
    upstream.say("www.example.org.", Says::This(contradiction));
    assert_eq!(outcome(&consensus, "www.example.org").await, ObservedOutcome::Failure(SERVFAIL));
}

#[tokio::test]
async fn lookup_asks_the_question_with_its_flags() {
    let (consensus, upstream) = with_chain();
    let flags = Question::DNSSEC_OK | Question::CHECKING_DISABLED;
    consensus.observe(&Question { qtype: 28, flags, ..question("www.example.org") }).await;
    consensus.observe(&question("plain.example.org")).await;
    let asked = &upstream.asked("www.example.org.")[0];
    assert_eq!((asked.qtype, asked.dnssec_ok(), asked.checking_disabled), (RecordType::AAAA, true, true));
    let asked = &upstream.asked("plain.example.org.")[0];
    assert_eq!((asked.dnssec_ok(), asked.checking_disabled), (false, false));
}
