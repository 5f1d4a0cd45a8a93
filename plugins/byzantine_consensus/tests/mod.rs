//! Tests of the plugin, from the Corefile to answers that four replicas have agreed on.
//!
//! `setting` makes certificates without a node; `four` runs four replicas in this process; `upstream` is what they see, `toy` what they
//! say of operations that are no questions.

mod four;
mod setting;
mod toy;
mod upstream;

mod admission;
mod answering;
mod api;
mod asking;
mod connecting;
mod deciding;
mod failing;
mod handing_out;
mod judging;
mod keeping;
mod looking_up;
mod measuring;
mod opinion;
mod policies;
mod releasing;
mod reloading;
mod remarks;
mod setup;
mod standing;
mod taking;
mod validating;
mod waiting;
