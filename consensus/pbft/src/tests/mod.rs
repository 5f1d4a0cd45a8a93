//! The replica from outside: a cluster in virtual time, a bench for one replica, one test for each claim.

mod answers;
mod bench;
mod catching_up;
mod checkpoints;
mod cluster;
mod competing;
mod demand;
mod encoding;
mod fairness;
mod fast_path;
mod judging;
mod learner;
mod new_views;
mod normal_case;
mod others_bugs;
mod paper;
mod peers;
mod restart;
mod restart_views;
mod seeds;
mod toy;
mod transcripts;
mod view_change_proofs;
mod view_changes;
