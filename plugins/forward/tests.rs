//! What `forward` makes of upstreams that behave and of others, on loopback.

mod choice;
mod messages;
mod replies;
mod scripted;
mod settings;
mod streams;
