//! RRsets of addresses in an encoded reply, put in a new order without decoding or allocating. Pure.
//!
//! Only what cannot break is touched: the data of neighbours of one type whose owners are seen to be one without following pointers. Addresses are equally
//! long and hold no names that others point at; owners and TTLs stay. The cache and the engine encode all but odd RRsets this way.

use std::net::IpAddr;

use super::order::{Set, prefer, shuffle};
use crate::networks::Network;

/// Puts the addresses of each RRset in `reply` in a new order. What is not understood is left as it is.
pub fn rearrange(reply: &mut [u8], mut seed: u64, preferred: &[Network]) {
    let Some((mut at, mut left)) = first_record(reply) else { return };
    while left > 0 {
        let count = run_at(reply, at, left).map_or(1, |mut run| {
            shuffle(&mut run, seed);
            prefer(&mut run, preferred);
            run.count
        });
        seed = seed.rotate_left(7);
        for _ in 0..count {
            let Some(next) = record_end(reply, at) else { return };
            at = next;
        }
        left -= count;
    }
}

/// Where the first record of a message with one question begins, and how many there are in all.
fn first_record(reply: &[u8]) -> Option<(usize, usize)> {
    let count = |at: usize| Some(usize::from(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?])));
    (count(4)? == 1).then_some(())?;
    let records = count(6)? + count(8)? + count(10)?;
    Some((name_end(reply, HEADER_BYTES)? + 4, records))
}

/// The addresses of one RRset whose first record stands at `at`, among `left` records; `None` for what must not change places.
fn run_at(reply: &mut [u8], at: usize, left: usize) -> Option<Run<'_>> {
    let fixed = name_end(reply, at)?;
    let head: [u8; 4] = *reply.get(fixed..)?.first_chunk()?;
    let data_bytes: u8 = match head[..2] {
        [0, TYPE_A] => 4,
        [0, TYPE_AAAA] => 16,
        _ => return None,
    };
    // The owner of the others is a pointer to the first one's, or the same pointer as there.
    let owner = match (reply[at] & POINTER == POINTER, u16::try_from(at).ok()?) {
        (true, _) => [reply[at], reply[at + 1]],
        (false, here) if here < u16::from(POINTER) << 8 => {
            [here.to_be_bytes()[0] | POINTER, here.to_be_bytes()[1]]
        }
        (false, _) => return None,
    };
    let stride = FIXED_BYTES + usize::from(data_bytes);
    let data = fixed + FIXED_BYTES - POINTER_BYTES;
    let alike = |index: &usize| {
        let record =
            reply.get(data + index * stride - FIXED_BYTES..data + (index + 1) * stride - FIXED_BYTES);
        record.is_some_and(|record| {
            let is_owned = *index == 0 || record[..POINTER_BYTES] == owner;
            is_owned && record[POINTER_BYTES..6] == head && record[LENGTH_AT..FIXED_BYTES] == [0, data_bytes]
        })
    };
    let count = (0..left).take_while(alike).count();
    (count > 1).then_some(Run { reply, data, count, data_bytes: data_bytes.into() })
}

/// Where the record at `at` ends.
fn record_end(reply: &[u8], at: usize) -> Option<usize> {
    let fixed = name_end(reply, at)?;
    let length = reply.get(fixed + 8..fixed + 10)?;
    let end = fixed + 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    (end <= reply.len()).then_some(end)
}

/// Where the name at `at` ends, compressed or not.
fn name_end(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *reply.get(at)?;
        match length {
            0 => return Some(at + 1),
            pointer if pointer & POINTER == POINTER => return Some(at + 2),
            label => at += 1 + usize::from(label),
        }
    }
}

/// Neighbouring records of addresses with one owner.
struct Run<'a> {
    reply: &'a mut [u8],
    /// Where the first one's data stand.
    data: usize,
    count: usize,
    data_bytes: usize,
}

impl Run<'_> {
    fn data(&self, at: usize) -> usize {
        self.data + at * (FIXED_BYTES + self.data_bytes)
    }
}

impl Set for Run<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn address(&self, at: usize) -> Option<IpAddr> {
        let data = &self.reply[self.data(at)..];
        match self.data_bytes {
            4 => data.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)),
            _ => data.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)),
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (one, other) = (self.data(one), self.data(other));
        for byte in 0..self.data_bytes {
            self.reply.swap(one + byte, other + byte);
        }
    }
}

/// Length of a message's header.
const HEADER_BYTES: usize = 12;
/// A record whose owner is a pointer, up to its data.
const FIXED_BYTES: usize = 12;
/// A compression pointer.
const POINTER_BYTES: usize = 2;
/// Where the length of the data stands in such a record.
const LENGTH_AT: usize = 10;
/// The bits of a compression pointer. RFC 1035 §4.1.4
const POINTER: u8 = 0xc0;
const TYPE_A: u8 = 1;
const TYPE_AAAA: u8 = 28;
