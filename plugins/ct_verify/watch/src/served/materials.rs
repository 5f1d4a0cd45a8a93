//! By what served chains are judged: whatever is in force when they are.

use transparency::Pinned;

/// Hands out the inputs that certificates are judged by.
pub trait Materials: Send + Sync + 'static {
    /// Calls `judged` once, with the inputs in force now.
    fn with(&self, judged: &mut dyn FnMut(&Pinned<'_>));
}
