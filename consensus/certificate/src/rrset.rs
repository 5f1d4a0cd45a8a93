//! RRsets in canonical form, and the rules by which several of them make an answer.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::name;

/// The most RRsets in one answer: the links of a chain and the set at its end.
pub const RRSETS_MAX: usize = 64;

/// The greatest TTL in seconds. RFC 2181 §8.
pub const TTL_SECONDS_MAX: u32 = i32::MAX as u32;

/// The type of CNAME records, the links of a chain.
pub const CNAME: u16 = 5;

/// The type ANY, which asks for all RRsets of a name.
pub const ANY: u16 = 255;

/// The records of one owner, type and class in canonical form (RFC 4034 §6).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RrSet {
    /// Owner in wire format: uncompressed, lower-case.
    pub owner: Vec<u8>,
    /// Type of the records.
    pub rtype: u16,
    /// Class of the records.
    pub rclass: u16,
    /// TTL in seconds, at most `TTL_SECONDS_MAX`.
    pub ttl: u32,
    /// The RDATA of each record, names in it uncompressed and, for the types of RFC 4034 §6.2, lower-case;
    /// at least one, sorted as bytes, none twice.
    pub rdatas: Vec<Vec<u8>>,
}

impl RrSet {
    /// Where a CNAME points: the only RDATA of a set of type CNAME.
    pub fn cname_target(&self) -> Option<&[u8]> {
        match self.rdatas.as_slice() {
            [target] if self.rtype == CNAME => Some(target),
            _ => None,
        }
    }
}

impl Encode for RrSet {
    fn encode(&self, writer: &mut Writer) {
        name::encode(writer, &self.owner);
        writer.u16(self.rtype);
        writer.u16(self.rclass);
        writer.u32(self.ttl);
        writer.u16(u16::try_from(self.rdatas.len()).expect("an answer of 64 KiB has fewer records"));
        for rdata in &self.rdatas {
            writer.bytes16(rdata);
        }
    }
}

impl Decode for RrSet {
    fn decode(reader: &mut Reader<'_>) -> Result<RrSet, DecodeError> {
        let owner = name::decode(reader, "owner")?;
        let rtype = reader.u16()?;
        let rclass = reader.u16()?;
        let offset = reader.offset();
        let ttl = reader.u32()?;
        if ttl > TTL_SECONDS_MAX {
            return Err(Reader::invalid(offset, "rrset ttl", "at most 2147483647", u64::from(ttl)));
        }
        let offset = reader.offset();
        let count = reader.u16()?;
        if count == 0 {
            return Err(Reader::invalid(offset, "rdata count", "at least 1", 0));
        }
        let mut rdatas: Vec<Vec<u8>> = Vec::new();
        for _ in 0..count {
            let offset = reader.offset();
            let rdata = reader.bytes16()?;
            if rdatas.last().is_some_and(|before| before.as_slice() >= rdata) {
                return Err(Reader::invalid(offset, "rdata", "sorted bytes, none twice", rdata.len() as u64));
            }
            rdatas.push(rdata.to_vec());
        }
        Ok(RrSet { owner, rtype, rclass, ttl, rdatas })
    }
}

/// Appends the count of `sets` in one byte and each of them.
pub(crate) fn encode_list(writer: &mut Writer, sets: &[RrSet]) {
    writer.u8(u8::try_from(sets.len()).expect("the maker of an answer keeps RRSETS_MAX"));
    for set in sets {
        set.encode(writer);
    }
}

/// Reads what `encode_list` wrote.
pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<RrSet>, DecodeError> {
    let offset = reader.offset();
    let count = reader.u8()?;
    if usize::from(count) > RRSETS_MAX {
        return Err(Reader::invalid(offset, "rrset count", "at most 64", u64::from(count)));
    }
    (0..count).map(|_| RrSet::decode(reader)).collect()
}

/// Follows CNAMEs from `name` through `sets`; returns the name at the end, or `None` when a set does not continue the chain.
///
/// Every set must be one CNAME record, owned by the name before it.
pub(crate) fn follow<'a>(name: &'a [u8], sets: &'a [RrSet]) -> Option<&'a [u8]> {
    sets.iter().try_fold(name, |name, set| {
        let target = set.cname_target()?;
        (set.owner == name && name::is_canonical(target)).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(owner: &str, rtype: u16, rdatas: &[&[u8]]) -> RrSet {
        let rdatas = rdatas.iter().map(|rdata| rdata.to_vec()).collect();
        RrSet { owner: name::parse(owner).unwrap(), rtype, rclass: 1, ttl: 300, rdatas }
    }

    #[test]
    fn rdata_out_of_order_or_twice_is_refused() {
        assert!(RrSet::from_bytes(&set("a.org", 1, &[&[1], &[2]]).to_bytes()).is_ok());
        for rdatas in [&[&[2][..], &[1]][..], &[&[1], &[1]], &[]] {
            assert!(RrSet::from_bytes(&set("a.org", 1, rdatas).to_bytes()).is_err(), "{rdatas:?}");
        }
    }

    #[test]
    fn ttl_beyond_31_bits_is_refused() {
        let mut set = set("a.org", 1, &[&[1]]);
        set.ttl = TTL_SECONDS_MAX;
        assert_eq!(RrSet::from_bytes(&set.to_bytes()).unwrap(), set);
        set.ttl += 1;
        assert!(RrSet::from_bytes(&set.to_bytes()).is_err());
    }

    #[test]
    fn chain_is_followed_link_by_link_only() {
        let b = name::parse("b.org").unwrap();
        let c = name::parse("c.org").unwrap();
        let first = set("a.org", CNAME, &[&b]);
        let second = set("b.org", CNAME, &[&c]);
        let start = name::parse("a.org").unwrap();
        assert_eq!(follow(&start, &[]), Some(&start[..]));
        assert_eq!(follow(&start, &[first.clone(), second.clone()]), Some(&c[..]));
        assert_eq!(follow(&start, &[second, first.clone()]), None);
        assert_eq!(follow(&start, &[first, set("b.org", 1, &[&c])]), None);
        assert_eq!(follow(&start, &[set("a.org", CNAME, &[&b, &c])]), None);
        assert_eq!(follow(&start, &[set("a.org", CNAME, &[b"\x01B\x00"])]), None);
    }
}
