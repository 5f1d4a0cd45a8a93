//! Responses of upstreams, as replicas observe them and as clients compare them with certificates.
#![no_main]

use agreement::observation::{ObservedOutcome, PAYLOAD_BYTES_MAX};
use agreement::{Dnssec, Observed, canonical, extra, to_hickory};
use certificate::codec::{Decode, Encode};
use certificate::leaf::Question;
use hickory_proto::op::Message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = Message::from_vec(bytes) else { return };
    let Some(asked) = response.queries.first() else { return };
    let Ok(mut question) = Question::parse(&asked.name().to_ascii(), asked.query_type().into()) else {
        return;
    };
    for flags in [0, Question::DNSSEC_OK] {
        question.flags = flags;
        let Ok(reading) = canonical::read(&question, &response) else { continue };
        assert!(canonical::answers(&question, &reading.outcome), "what was read answers the question");
        assert!(extra::decode(&reading.extra).is_ok());
        for rrset in reading.outcome.rrsets() {
            let records = rrset
                .rdatas
                .iter()
                .map(|data| to_hickory(&rrset.owner, rrset.rtype, rrset.rclass, rrset.ttl, data));
            assert!(records.into_iter().all(|record| record.is_some()), "what was read can be served");
        }
        let observed = Observed::compose(reading, Dnssec::Indeterminate, 0, Vec::new(), PAYLOAD_BYTES_MAX);
        let payload = observed.to_bytes();
        assert!(payload.len() <= PAYLOAD_BYTES_MAX);
        assert_eq!(Observed::from_bytes(&payload).as_ref(), Ok(&observed));
        assert!(!matches!(observed.outcome, ObservedOutcome::TimedOut));
    }
});
