//! Tests of `minimal`: what goes, what stays.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::chain::Chain;
use crate::rehearsal::{
    Script, a, answer, certified, cname, denial, messages, plugins, query, records, set_up, soa,
};
use crate::response::Response;

/// What `minimal` makes of `response`.
async fn shortened(response: Response) -> Response {
    let (_, mut plugins) = set_up("minimal", |block| block.plugins.clone());
    plugins.push(Script::new([Ok(response)]));
    Chain::new(plugins).serve(&query("www.example.org.", RecordType::A)).await.unwrap()
}

fn ns() -> Record {
    let server = NS(Name::from_ascii("ns.example.org.").unwrap());
    Record::from_rdata(Name::from_ascii("example.org.").unwrap(), 300, RData::NS(server))
}

#[tokio::test]
async fn positive_answer_loses_authority_and_additional_section_and_keeps_its_certificate() {
    let mut response = certified(answer(vec![a("www.example.org.", 300, 1)]));
    response.authorities = vec![ns()];
    response.additionals = vec![a("ns.example.org.", 300, 53)];
    let kept = shortened(response.clone()).await;
    assert_eq!(kept.answers, response.answers);
    assert_eq!((kept.authorities.len(), kept.additionals.len()), (0, 0));
    assert!(kept.certificate.is_some());
}

#[tokio::test]
async fn denials_and_referrals_stay_whole() {
    let nodata = denial(ResponseCode::NoError, soa("example.org.", 300, 300));
    let nxdomain = denial(ResponseCode::NXDomain, soa("example.org.", 300, 300));
    let mut alias = denial(ResponseCode::NoError, soa("example.org.", 300, 300));
    alias.answers = vec![cname("www.example.org.", 300, "host.example.org.")];
    let referral = Response { authorities: vec![ns()], ..answer(Vec::new()) };
    for mut response in [nodata, nxdomain, alias, referral] {
        response.additionals = vec![a("ns.example.org.", 300, 53)];
        let kept = shortened(response.clone()).await;
        assert_eq!((kept.authorities, kept.additionals), (response.authorities, response.additionals));
    }
}

#[tokio::test]
async fn proof_of_a_wildcard_stays() {
    let mut response = answer(vec![a("www.example.org.", 300, 1)]);
    response.authorities = records(
        "b.example.org. 300 IN NSEC z.example.org. A RRSIG NSEC\n\
         b.example.org. 300 IN RRSIG NSEC 13 3 300 20300101000000 20200101000000 1 example.org. AAAA\n\
         example.org. 300 IN NS ns.example.org.\n\
         example.org. 300 IN RRSIG NS 13 2 300 20300101000000 20200101000000 1 example.org. AAAA\n",
    );
    let kept: Vec<RecordType> =
        shortened(response).await.authorities.iter().map(Record::record_type).collect();
    assert_eq!(kept, [RecordType::NSEC, RecordType::RRSIG]);
}

#[test]
fn directive_takes_nothing() {
    assert_eq!(plugins("minimal"), ["minimal"]);
    assert_eq!(
        messages("minimal all"),
        ["Corefile:2:9: error: minimal: expected the end of the line, got `all`"]
    );
    assert_eq!(
        messages("minimal\nminimal"),
        ["Corefile:3:1: error: minimal: expected at most once in a server block"]
    );
}
