//! Long work, out of the way of the tasks of the runtime.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// Does `work` here, while other tasks of the runtime go on elsewhere.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Has `work` done beside the caller; where there is no runtime, here and now.
pub fn beside(work: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        // Nobody waits for it.
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

/// Does `work` when there is room, and takes that room until it is over, whether or not anybody still waits for it. `None` when it was broken off.
pub async fn with_room<T: Send + 'static>(
    room: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let room = room.clone().acquire_owned().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let _room = room;
        work()
    });
    done.await.ok()
}
