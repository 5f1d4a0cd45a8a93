//! The monitor against logs on ports of their own: what it tells of, what it does not believe, and where it goes on.

mod case;
mod dropped;
mod following;
mod lies;
mod zones;
