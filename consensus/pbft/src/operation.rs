//! Operations: what a request asks the cluster to agree on.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, OperationKind};

use crate::SUBJECT_BYTES_MAX;

/// What a request asks the cluster to agree on. Two requests for one operation are one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Operation {
    /// How the subject is to be read.
    pub kind: OperationKind,
    /// For `Resolve` an encoded `certificate::leaf::Question`; opaque here. At most [`SUBJECT_BYTES_MAX`] bytes.
    pub subject: Vec<u8>,
}

impl Operation {
    /// The key by which requests for the operation are one.
    pub fn digest(&self) -> Digest {
        let mut writer = Writer::with_capacity(self.encoded_len());
        self.encode(&mut writer);
        Digest::of_parts(&[b"quorate operation v1", &writer.finish()])
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        1 + 2 + self.subject.len()
    }
}

impl Encode for Operation {
    fn encode(&self, writer: &mut Writer) {
        self.kind.encode(writer);
        writer.bytes16(&self.subject);
    }
}

impl Decode for Operation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = OperationKind::decode(reader)?;
        let offset = reader.offset();
        let subject = reader.bytes16()?;
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Reader::invalid(offset, "subject", "at most 1024 bytes", subject.len() as u64));
        }
        Ok(Operation { kind, subject: subject.to_vec() })
    }
}
