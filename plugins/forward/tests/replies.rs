//! What is believed of what an upstream sends, and what is asked again by TCP.

use std::sync::Arc;

use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::mpsc;

use super::scripted::*;
use crate::error::ServeError;
use crate::forward::udp::FOREIGN_MAX;
use crate::query::Query;
use crate::testing_blocks::question;

#[tokio::test]
async fn an_answer_comes_back_as_the_upstream_gave_it() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        let name = query.queries[0].name().clone();
        let target = Name::from_ascii("edge.example.net.").expect("a name");
        reply.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(target.clone()))));
        reply.add_authority(Record::from_rdata(target, 5, RData::A(A::new(192, 0, 2, 9))));
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.metadata.authentic_data = true;
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x03stale".to_vec()));
        edns.options_mut().insert(EdnsOption::Unknown(10, vec![1; 8]));
        reply.set_edns(edns);
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(response.rcode, ResponseCode::NXDomain);
    assert_eq!(addresses(&response), ["www.example.org. edge.example.net."]);
    assert_eq!((response.authorities.len(), response.additionals.len(), response.options.len()), (1, 0, 0));
    assert!(response.recursion_available && !response.authoritative);
    assert!(!response.authentic_data, "AD is for those who asked for it: RFC 6840 §5.8");
    assert_eq!((response.extended_errors[0].code, response.extended_errors[0].text.as_str()), (3, "stale"));
    assert_eq!(response.origin, "forward");
}

#[tokio::test]
async fn ad_is_kept_for_those_who_asked() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        reply.metadata.authentic_data = query.metadata.authentic_data;
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let query = Query { authentic_data: true, ..question("www.example.org.", RecordType::A) };
    assert!(forward(&[&upstream], "").serve(&query).await.expect("an answer").authentic_data);
}

#[tokio::test]
async fn the_upstream_sees_neither_the_clients_options_nor_its_payload_size() {
    let (seen, mut sees) = mpsc::unbounded_channel();
    let udp = script(move |query, _| {
        seen.send(query.clone()).expect("received");
        vec![address(query, 1)]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    edns.options_mut().insert(EdnsOption::Unknown(10, vec![7; 8]));
    edns.options_mut().insert(EdnsOption::Unknown(8, vec![0, 1, 24, 0, 192, 0, 2]));
    let query = Query {
        edns: Some(Arc::new(edns)),
        checking_disabled: true,
        ..question("www.example.org.", RecordType::A)
    };
    forward(&[&upstream], "").serve(&query).await.expect("an answer");
    let got = sees.recv().await.expect("a query");
    let edns = got.edns.expect("an OPT record");
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok, edns.options().as_ref().len()), (1232, true, 0));
    assert!(got.metadata.checking_disabled && got.metadata.recursion_desired);
}

#[tokio::test]
async fn forged_messages_are_skipped_until_the_reply_comes() {
    let udp = script(|query, _| {
        let mut other_id = address(query, 66);
        other_id[0] ^= 0xff;
        let mut other_name = query.clone();
        other_name.queries[0].set_name(Name::from_ascii("evil.example.org.").expect("a name"));
        let mut not_a_response = address(query, 66);
        not_a_response[2] &= 0x7f;
        let mut other_type = query.clone();
        other_type.queries[0].set_query_type(RecordType::AAAA);
        let garbage = vec![0xff; 7];
        vec![
            other_id,
            address(&other_name, 66),
            not_a_response,
            address(&other_type, 66),
            garbage,
            address(query, 1),
        ]
    });
    let upstream = Upstream::start(udp, answers(99)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 0));
}

#[tokio::test]
async fn a_reply_in_other_case_is_not_believed_but_asked_by_tcp() {
    let udp = script(|query, bytes| {
        let mut reply = address(query, 66);
        // Turns the case of the first letter of the question.
        assert!(bytes[13].is_ascii_alphabetic());
        reply[13] ^= 0x20;
        vec![reply]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 1));
}

#[tokio::test]
async fn a_flood_of_forged_messages_leads_to_tcp() {
    let udp = script(|query, _| {
        let mut forged = address(query, 66);
        forged[1] ^= 0xff;
        vec![forged; FOREIGN_MAX]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
}

#[tokio::test]
async fn a_truncated_reply_is_asked_again_by_tcp() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        reply.metadata.truncation = true;
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 1));
}

#[tokio::test]
async fn a_malformed_reply_is_asked_again_by_tcp_and_is_an_error_there() {
    let malformed = || script(|query, _| vec![[&address(query, 1)[..], &[0xc0]].concat()[..40].to_vec()]);
    let upstream = Upstream::start(malformed(), answers(1)).await;
    assert_eq!(
        addresses(&asked(&forward(&[&upstream], "")).await.expect("an answer")),
        ["www.example.org. 192.0.2.1"]
    );
    let upstream = Upstream::start(malformed(), malformed()).await;
    let error = asked(&forward(&[&upstream], "")).await.expect_err("no message");
    assert_eq!(
        error,
        ServeError::Upstream(format!("upstream {}: sent a malformed message", upstream.address))
    );
}
