//! How long a reply may be kept by HTTP caches. RFC 8484 §5.1

use crate::message::{HEADER_BYTES, name_length, owner_length};

/// The `max-age` of a reply in seconds: the least TTL of its answers; without answers that of the denial, RFC 2308 §5; 0 for
/// whatever must not be kept.
pub fn max_age(reply: &[u8]) -> u32 {
    let rcode = reply.get(3).map(|flags| flags & 0x0f);
    let truncated = reply.get(2).is_none_or(|flags| flags & 0x02 != 0);
    if truncated || !matches!(rcode, Some(NO_ERROR | NX_DOMAIN)) {
        return 0;
    }
    least_ttl(reply).unwrap_or(0)
}

fn least_ttl(reply: &[u8]) -> Option<u32> {
    let count = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let (answers, authorities) = (count(6)?, count(8)?);
    let mut rest = reply.get(HEADER_BYTES..)?;
    for _ in 0..count(4)? {
        rest = rest.get(name_length(rest)? + 4..)?;
    }
    let mut least = None;
    for index in 0..u32::from(answers) + u32::from(authorities) {
        rest = rest.get(owner_length(rest)?..)?;
        let (fixed, after) = rest.split_first_chunk::<10>()?;
        let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes([fixed[8], fixed[9]])))?;
        rest = after;
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let ttl = match (index < u32::from(answers), u16::from_be_bytes([fixed[0], fixed[1]])) {
            (true, _) => ttl,
            (false, TYPE_SOA) if answers == 0 => ttl.min(u32::from_be_bytes(*data.last_chunk::<4>()?)),
            (false, _) => continue,
        };
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
    }
    least
}

const NO_ERROR: u8 = 0;
const NX_DOMAIN: u8 = 3;
const TYPE_SOA: u16 = 6;

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, SOA};
    use hickory_proto::rr::{Name, RData, Record, RecordType};

    use super::*;

    fn reply(answers: &[u32], soa: Option<(u32, u32)>, rcode: ResponseCode) -> Vec<u8> {
        let name = Name::from_str("example.org.").unwrap();
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = rcode;
        message.add_query(Query::query(name.clone(), RecordType::A));
        for &ttl in answers {
            message.add_answer(Record::from_rdata(name.clone(), ttl, RData::A(A::new(192, 0, 2, 1))));
        }
        if let Some((ttl, minimum)) = soa {
            let soa = SOA::new(name.clone(), name.clone(), 1, 2, 3, 4, minimum);
            message.add_authority(Record::from_rdata(name, ttl, RData::SOA(soa)));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn least_ttl_of_the_answers_counts() {
        assert_eq!(max_age(&reply(&[300, 60, 120], Some((5, 5)), ResponseCode::NoError)), 60);
    }

    #[test]
    fn denial_may_be_kept_as_its_soa_says() {
        assert_eq!(max_age(&reply(&[], Some((300, 60)), ResponseCode::NXDomain)), 60);
        assert_eq!(max_age(&reply(&[], Some((30, 60)), ResponseCode::NoError)), 30);
    }

    #[test]
    fn failures_and_bare_denials_and_truncated_replies_are_not_kept() {
        assert_eq!(max_age(&reply(&[], None, ResponseCode::NXDomain)), 0);
        assert_eq!(max_age(&reply(&[300], None, ResponseCode::ServFail)), 0);
        let mut truncated = reply(&[300], None, ResponseCode::NoError);
        truncated[2] |= 2;
        assert_eq!(max_age(&truncated), 0);
        assert_eq!(max_age(&[]), 0);
    }
}
