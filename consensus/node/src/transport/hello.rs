//! The first frame on a connection: which cluster, which version of its file, which replica.
//!
//! The handshake has proven the key; the Hello says whether both ends mean the same cluster. A difference is an operator's
//! mistake, so each end says what it has and what it got.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Cluster, Digest, Epoch, ReplicaId};

use super::link_error::{HelloError, LinkError};

/// As the cluster file has it.
const NAME_BYTES_MAX: usize = 63;

const MAGIC: &[u8; 7] = b"QRTHELO";

/// The version of what follows, in the byte behind the magic. It goes up with every change of these bytes, and with every change of what is sent on
/// the streams or stands in a payload: replicas of two releases would otherwise take each other's honest words for faults, some of them proven.
/// Version 1 told neither when the log began nor what connections were lost, at first; version 2 had no news, no content by digest, no remarks in
/// observations and no statements.
const VERSION: u8 = 3;

/// The first frame on a connection, from either end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    /// The cluster's name, for people.
    pub cluster_name: String,
    pub cluster_id: Digest,
    pub epoch: Epoch,
    /// Digest of the cluster file.
    pub cluster_digest: Digest,
    pub replica: ReplicaId,
    /// When its log began, in milliseconds since 1970; 0 for the first one.
    pub log_began: u64,
    /// A random number for one run of the process: another one says that the peer was restarted.
    pub instance: u64,
    /// How many connections to the one it speaks to the sender has lost in this run: what was there before is dead at its end.
    pub losses: u64,
}

impl Hello {
    pub(crate) fn new(cluster: &Cluster, me: ReplicaId, log_began: u64, instance: u64) -> Hello {
        Hello {
            cluster_name: cluster.name.clone(),
            cluster_id: cluster.id(),
            epoch: cluster.epoch,
            cluster_digest: cluster.digest(),
            replica: me,
            log_began,
            instance,
            losses: 0,
        }
    }

    /// Reads what the other end says.
    ///
    /// Errors: `Version` when it greets in another version, whatever that looks like; otherwise that of the codec.
    pub(crate) fn read(bytes: &[u8]) -> Result<Hello, LinkError> {
        let version = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first());
        match version {
            Some(&theirs) if theirs != VERSION => Err(HelloError::Version { ours: VERSION, theirs }.into()),
            Some(_) | None => Ok(Hello::from_bytes(bytes)?),
        }
    }

    /// Judges what the other end says, whose key is that of replica `proven`.
    pub(crate) fn judge(&self, theirs: &Hello, proven: ReplicaId) -> Result<(), HelloError> {
        // The id of a first epoch is the digest of its file: there another id is another cluster only when the name says so too.
        let first_epochs = self.epoch == Epoch(1) && theirs.epoch == Epoch(1);
        let same_name = self.cluster_name == theirs.cluster_name;
        if self.cluster_id != theirs.cluster_id && !(first_epochs && same_name) {
            return Err(HelloError::Cluster {
                ours: (self.cluster_name.clone(), self.cluster_id),
                theirs: (theirs.cluster_name.clone(), theirs.cluster_id),
            });
        }
        if self.epoch != theirs.epoch {
            return Err(HelloError::Epoch { ours: self.epoch, theirs: theirs.epoch });
        }
        if self.cluster_digest != theirs.cluster_digest {
            return Err(HelloError::File {
                epoch: self.epoch,
                ours: self.cluster_digest,
                theirs: theirs.cluster_digest,
            });
        }
        if theirs.replica != proven {
            return Err(HelloError::Replica { proven, claimed: theirs.replica });
        }
        Ok(())
    }
}

impl Encode for Hello {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(MAGIC);
        writer.u8(VERSION);
        writer.bytes8(self.cluster_name.as_bytes());
        self.cluster_id.encode(writer);
        writer.u64(self.epoch.0);
        self.cluster_digest.encode(writer);
        writer.u8(self.replica.0);
        writer.u64(self.log_began);
        writer.u64(self.instance);
        writer.u64(self.losses);
    }
}

impl Decode for Hello {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let magic: [u8; 7] = reader.array()?;
        let version = reader.u8()?;
        if (&magic, version) != (MAGIC, VERSION) {
            let found = magic.iter().chain([&version]).fold(0, |found, byte| found << 8 | u64::from(*byte));
            return Err(Reader::invalid(0, "hello", "`QRTHELO` and version 3", found));
        }
        let offset = reader.offset();
        let name = reader.bytes8()?;
        let printable = name.len() <= NAME_BYTES_MAX && name.iter().all(u8::is_ascii_graphic);
        let cluster_name = str::from_utf8(name).ok().filter(|_| printable).ok_or_else(|| {
            Reader::invalid(
                offset,
                "cluster name",
                "at most 63 printable ASCII characters",
                name.len() as u64,
            )
        })?;
        Ok(Hello {
            cluster_name: cluster_name.to_owned(),
            cluster_id: Digest::decode(reader)?,
            epoch: Epoch(reader.u64()?),
            cluster_digest: Digest::decode(reader)?,
            replica: ReplicaId(reader.u8()?),
            log_began: reader.u64()?,
            instance: reader.u64()?,
            losses: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &str, epoch: u64, id: u8, digest: u8) -> Hello {
        Hello {
            cluster_name: name.to_owned(),
            cluster_id: Digest([id; 32]),
            epoch: Epoch(epoch),
            cluster_digest: Digest([digest; 32]),
            replica: ReplicaId(1),
            log_began: 11,
            instance: 7,
            losses: 3,
        }
    }

    #[test]
    fn hello_round_trips_and_refuses_every_cut() {
        let bytes = hello("example", 3, 1, 2).to_bytes();
        assert_eq!(Hello::from_bytes(&bytes).unwrap(), hello("example", 3, 1, 2));
        for length in 0..bytes.len() {
            assert!(Hello::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn hello_of_another_version_is_named_whatever_follows() {
        let mut other = hello("example", 3, 1, 2).to_bytes();
        assert_eq!(&other[..8], b"QRTHELO\x03");
        for version in [0, 1, 2, 255] {
            other[7] = version;
            for bytes in [&other[..], &other[..8], &[&other[..], b"more"].concat()] {
                let refused = Hello::read(bytes).err().unwrap();
                assert!(refused.is_misconfiguration(), "{refused}");
                let text = format!(
                    "versions differ: ours greets with version 3, the peer's with version {version};"
                );
                assert!(refused.to_string().starts_with(&text), "{refused}");
            }
        }
        other[0] = b'q';
        assert!(matches!(Hello::read(&other), Err(LinkError::Message(_))), "no greeting at all");
    }

    #[test]
    fn name_that_would_garble_a_log_is_refused() {
        assert!(Hello::from_bytes(&hello("a\nb", 1, 1, 1).to_bytes()).is_err());
        assert!(Hello::from_bytes(&hello(&"a".repeat(64), 1, 1, 1).to_bytes()).is_err());
    }

    #[test]
    fn same_file_is_accepted() {
        assert_eq!(hello("a", 2, 1, 2).judge(&hello("a", 2, 1, 2), ReplicaId(1)), Ok(()));
    }

    #[test]
    fn edited_file_of_a_first_epoch_is_another_file_and_not_another_cluster() {
        let refused = hello("a", 1, 1, 1).judge(&hello("a", 1, 2, 2), ReplicaId(1));
        assert!(matches!(refused, Err(HelloError::File { .. })));
        let refused = hello("a", 2, 1, 1).judge(&hello("a", 2, 1, 2), ReplicaId(1));
        assert!(matches!(refused, Err(HelloError::File { .. })));
    }

    #[test]
    fn other_id_is_another_cluster() {
        for theirs in [hello("b", 1, 2, 2), hello("a", 2, 2, 2)] {
            let refused = hello("a", 1, 1, 1).judge(&theirs, ReplicaId(1));
            assert!(matches!(refused, Err(HelloError::Cluster { .. })));
        }
    }

    #[test]
    fn other_epoch_and_other_replica_are_refused() {
        let refused = hello("a", 1, 1, 1).judge(&hello("a", 2, 1, 2), ReplicaId(1));
        assert!(matches!(refused, Err(HelloError::Epoch { .. })));
        let refused = hello("a", 1, 1, 1).judge(&hello("a", 1, 1, 1), ReplicaId(2));
        assert!(matches!(refused, Err(HelloError::Replica { .. })));
    }
}
