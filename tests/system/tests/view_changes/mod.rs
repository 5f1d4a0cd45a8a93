//! A primary that dies, sleeps, is cut off, has a full disk or a wrong clock: the others go on under the next one, and lose nothing.
//!
//! Every test runs under load and ends with the judgement of all certificates that clients got: `history.py`.

mod checker;
mod clocks;
mod deaths;
mod disks;
mod far_behind;
mod networks;
