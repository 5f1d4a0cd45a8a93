//! Models of the view change.
pub mod rule;
pub mod search;
pub mod single_slot;
pub mod step;
pub mod world;
pub mod several_slots;
