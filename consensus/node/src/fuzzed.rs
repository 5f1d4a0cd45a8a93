//! What faces peers and nobody outside this crate needs, for `tests/fuzz`. Only with the cargo feature `fuzzing`, which no program turns on.

use certificate::codec::Encode;

use crate::transport::Hello;

/// The first frame of a connection, read and written again; `None` when the bytes are none.
pub fn hello(bytes: &[u8]) -> Option<Vec<u8>> {
    Hello::read(bytes).ok().map(|hello| hello.to_bytes())
}
