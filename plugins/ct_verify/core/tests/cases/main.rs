//! Cases from public repositories and synthetic ones, read in place; and a stranger's cases, which are committed beside this.

mod judged;
mod logs;
mod merkle;
mod place;
mod splice;
