//! Lists in the encoding: a count with a bound, then the elements. Nothing is allocated by what a count claims.

use certificate::ReplicaSet;
use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::replicas::REPLICAS_MAX;

/// Writes a count of two bytes and the elements.
pub(crate) fn write16<T: Encode>(writer: &mut Writer, elements: &[T]) {
    write_bounded(writer, elements, |writer, element| element.encode(writer));
}

/// Writes a count of two bytes and each element by `write`.
pub(crate) fn write_bounded<T>(writer: &mut Writer, elements: &[T], write: impl Fn(&mut Writer, &T)) {
    writer.u16(u16::try_from(elements.len()).expect("the caller bounds the list at 65535 elements"));
    elements.iter().for_each(|element| write(writer, element));
}

/// Reads what `write16` wrote, at most `most` elements.
pub(crate) fn read16<T: Decode>(
    reader: &mut Reader<'_>,
    field: &'static str,
    most: usize,
) -> Result<Vec<T>, DecodeError> {
    read_bounded(reader, field, most, T::decode)
}

/// Reads what `write_bounded` wrote, each element by `read`, at most `most`.
pub(crate) fn read_bounded<T>(
    reader: &mut Reader<'_>,
    field: &'static str,
    most: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
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
    (0..count).map(|_| read(reader)).collect()
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
