//! From a zone file on disk to a zone, and whether the file has changed since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hickory_proto::rr::Name;

use super::master::{self, ZoneError};
use super::zone::Zone;

/// Largest zone file in bytes, includes not counted.
pub const ZONE_FILE_BYTES_MAX: u64 = 1 << 30;

/// A zone and the files it came from, as they were.
pub struct Loaded {
    /// The zone.
    pub zone: Zone,
    /// What the files looked like when they were read.
    pub stamps: Stamps,
    /// A record outside the zone that was left out, and how many of them there are.
    pub outside: Option<(usize, String)>,
}

/// What files looked like: time of change and length.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stamps(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Stamps {
    /// What `files` look like now.
    pub fn of(files: &[PathBuf]) -> Stamps {
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Stamps(files.iter().map(|path| (path.clone(), stamp(path))).collect())
    }

    /// What the same files look like now.
    pub fn now(&self) -> Stamps {
        let files: Vec<PathBuf> = self.0.iter().map(|(path, _)| path.clone()).collect();
        Stamps::of(&files)
    }

    /// Whether the files still look like this.
    pub fn hold(&self) -> bool {
        *self == self.now()
    }
}

/// Reads the zone `origin` from `file`.
///
/// Errors: everything that is wrong in the files, with its place.
pub fn load(file: &Path, origin: &Name) -> Result<Loaded, Vec<ZoneError>> {
    let unreadable = |error: io::Error| {
        vec![ZoneError {
            file: file.to_path_buf(),
            at: None,
            message: format!("cannot read the zone file: {error}"),
        }]
    };
    // Before reading, so that a change meanwhile is seen later.
    let stamp = Stamps::of(&[file.to_path_buf()]);
    let text = read(file).map_err(unreadable)?;
    let read = master::parse(&text, file, origin, &read)?;
    let place = |(index, at): (usize, super::lexer::Position)| (read.files[index].clone(), at);
    let mut zone = Zone::build(origin, read.records).map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| {
                let (file, at) = fault.place.map_or((file.to_path_buf(), None), |at| {
                    let (file, at) = place(at);
                    (file, Some(at))
                });
                ZoneError { file, at, message: fault.message }
            })
            .collect::<Vec<_>>()
    })?;
    let outside = zone.outside.take().map(|(count, first)| {
        let (file, at) = place(first);
        (count, format!("{}:{}:{}", file.display(), at.line, at.column))
    });
    let Stamps(mut stamps) = stamp;
    let Stamps(included) = Stamps::of(&read.files[1..]);
    stamps.extend(included);
    Ok(Loaded { zone, stamps: Stamps(stamps), outside })
}

fn read(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > ZONE_FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {ZONE_FILE_BYTES_MAX} bytes")));
    }
    let bytes = fs::read(path)?;
    // Old files hold Latin-1 in comments; in names and data anything but ASCII is an error or escaped anyway.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().iter().map(|byte| char::from(*byte)).collect()))
}
