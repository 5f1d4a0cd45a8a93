//! The monitor: what authorities issue for the operator's own zones, as CT logs show it, compared with what the zones say.
//!
//! Follows every usable log from the head that it first saw. An entry counts once it is shown to be in the tree of a head that the log
//! signed. It detects and does not prevent; and a log that is not in the list is not followed.

mod announced;
mod budget;
mod certspotter;
mod compare;
mod follow;
mod frontier;
mod logs;
mod positions;
mod run;
mod source;
mod told;
mod zones;

pub use announced::{Announced, Unreadable};
pub use budget::Rates;
pub use certspotter::{Dropped, DroppedError, read_dropped};
pub use compare::{CaaState, Comparison, KeyState, NameState};
pub use frontier::Frontier;
pub use run::{Heads, Monitor, MonitorConfig, MonitorError, ServedKeys};
pub use zones::{IssuerRule, Zone, ZoneError, Zones};
