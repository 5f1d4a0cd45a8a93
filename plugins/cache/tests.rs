//! Tests of the cache: what may be kept, how a reply looks, what is asked when.

mod image;
mod lifetime;
mod serving;
mod setup;
mod store;
