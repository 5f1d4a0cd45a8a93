//! What the system tests share: whole servers as processes, real clients, and an independent upstream.
//!
//! Nothing here knows the inside of Quorate: the program is started as people start it and asked as people ask it.

pub mod ask;
pub mod behaviour;
pub mod chromium;
pub mod clients;
pub mod clock;
pub mod cluster;
pub mod data;
pub mod disk;
pub mod history;
pub mod load;
pub mod network;
pub mod privilege;
pub mod program;
pub mod scene;
pub mod server;
pub mod trial;
pub mod upstream;
