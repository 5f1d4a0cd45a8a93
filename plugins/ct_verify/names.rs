//! DNS for background work: asked of the plugins behind this one, as the replica itself sees it.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ct_watch::names::{Caa, Names, NamesError, TlsaAnswer};
use ct_watch::resolver::{Resolver, SystemResolver};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::sets;
use crate::chain::Rest;
use crate::query::Query;
use crate::response::Response;

/// The rest of a chain as a source of names.
#[derive(Clone)]
pub struct ChainNames {
    pub rest: Rest,
    /// Whether the chain answers for all names. Otherwise the system is asked for addresses.
    pub resolves_all: bool,
}

impl ChainNames {
    async fn ask(&self, name: &str, rtype: RecordType) -> Result<Response, NamesError> {
        let error = |why: String| NamesError { name: name.to_owned(), why };
        let mut owner = Name::from_ascii(name).map_err(|_| error("not a name".to_owned()))?;
        owner.set_fqdn(true);
        let deadline = Instant::now() + ASKED_MAX;
        // DO, so that a validating upstream says whether DNSSEC proves the answer.
        let query = Query::internal(owner, rtype, DNSClass::IN, true, deadline);
        let asked = tokio::time::timeout(ASKED_MAX, self.rest.next().serve(&query)).await;
        let response = asked.map_err(|_| error("no answer in time".to_owned()))?;
        let response = response.map_err(|why| error(why.to_string()))?;
        match response.rcode {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(response),
            rcode => Err(error(rcode.to_string())),
        }
    }
}

#[async_trait]
impl Names for ChainNames {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        if !self.resolves_all {
            let found = SystemResolver.addresses(host).await;
            return found.map_err(|why| NamesError { name: host.to_owned(), why: why.to_string() });
        }
        let (v4, v6) = tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
        let answers = match (v4, v6) {
            (Err(error), Err(_)) => return Err(error),
            (v4, v6) => [v4.ok(), v6.ok()],
        };
        let records = answers.into_iter().flatten().flat_map(|response| response.answers);
        Ok(records.filter_map(|record| record.data.ip_addr()).take(ADDRESSES_MAX).collect())
    }

    async fn tlsa(&self, owner: &str) -> Result<TlsaAnswer, NamesError> {
        let response = self.ask(owner, RecordType::TLSA).await?;
        let found = sets::sets(&response.answers).into_iter();
        let tlsa = found.filter(|set| set.kind == transparency::rrset::RecordType::Tlsa);
        let records = tlsa.flat_map(|set| set.rdata).collect();
        Ok(TlsaAnswer { records, validated: validated(&response) })
    }

    async fn caa(&self, owner: &str) -> Result<Vec<Caa>, NamesError> {
        let response = self.ask(owner, RecordType::CAA).await?;
        let caa = response.answers.into_iter().filter_map(|record| match record.data {
            RData::CAA(caa) => Some(Caa {
                critical: caa.issuer_critical,
                tag: caa.tag.to_ascii_lowercase(),
                value: String::from_utf8_lossy(&caa.value).into_owned(),
            }),
            _ => None,
        });
        Ok(caa.collect())
    }

    async fn exists(&self, name: &str) -> Result<bool, NamesError> {
        Ok(self.ask(name, RecordType::A).await?.rcode == ResponseCode::NoError)
    }
}

#[async_trait]
impl Resolver for ChainNames {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Names::addresses(self, host).await.map_err(io::Error::other)
    }
}

/// Whether DNSSEC proves an answer; `None` when it comes from a zone that is served here, of which nobody says so (RFC 4035 §3.1.6).
fn validated(response: &Response) -> Option<bool> {
    let unknown = response.authoritative && !response.authentic_data;
    (!unknown).then_some(response.authentic_data)
}

/// How long DNS is waited for.
const ASKED_MAX: Duration = Duration::from_secs(5);
/// How many addresses of one host are looked at.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_an_answer_of_a_zone_served_here_is_validated_is_unknown() {
        let answer = |authoritative, authentic_data| Response {
            authoritative,
            authentic_data,
            ..Response::new(ResponseCode::NoError, "file")
        };
        assert_eq!(validated(&answer(true, false)), None);
        assert_eq!(validated(&answer(false, false)), Some(false));
        for authoritative in [true, false] {
            assert_eq!(validated(&answer(authoritative, true)), Some(true));
        }
    }
}
