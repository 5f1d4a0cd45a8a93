//! Lists in the encoding: a count with a bound, then the elements. Nothing is allocated by what a count claims.

use certificate::ReplicaSet;
use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::replicas::REPLICAS_MAX;

/// Writes a count of two bytes and the elements.
pub(crate) fn write16<T: Encode>(writer: &mut Writer, elements: &[T]) {
    writer.u16(u16::try_from(elements.len()).expect("the caller bounds the list at 65535 elements"));
    elements.iter().for_each(|element| element.encode(writer));
}

/// Reads what `write16` wrote, at most `most` elements.
pub(crate) fn read16<T: Decode>(
    reader: &mut Reader<'_>,
    field: &'static str,
    most: usize,
) -> Result<Vec<T>, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u16()?);
    if count > most {
        return Err(Reader::invalid(
            offset,
            field,
            "no more elements than the bound of the list",
            count as u64,
        ));
    }
    (0..count).map(|_| T::decode(reader)).collect()
}

/// Writes a set of replicas as its bitmap.
pub(crate) fn write_set(writer: &mut Writer, set: ReplicaSet) {
    writer.u32(set.0);
}

/// Reads a bitmap of replicas; bits that no cluster can have are refused.
pub(crate) fn read_set(reader: &mut Reader<'_>) -> Result<ReplicaSet, DecodeError> {
    let offset = reader.offset();
    let bits = reader.u32()?;
    if bits >> REPLICAS_MAX != 0 {
        return Err(Reader::invalid(offset, "signers", "bits 0 to 30", u64::from(bits)));
    }
    Ok(ReplicaSet(bits))
}
