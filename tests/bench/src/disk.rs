//! What the disk itself needs to make a small write durable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Size of the file that is overwritten; written once before, as a log is.
const FILE_BYTES: usize = 4 << 20;
/// Size of a write.
const WRITE_BYTES: usize = 512;

/// Lets `writers` threads write and sync `count` times each, all at once, and returns how long each sync took.
///
/// Panics: when the temporary folder cannot be written.
pub fn syncs(writers: usize, count: usize) -> Vec<Duration> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let path = folder.path().join(writer.to_string());
                scope.spawn(move || {
                    let file = File::create(path).expect("a file can be made");
                    file.write_all_at(&vec![0; FILE_BYTES], 0).expect("the disk has room");
                    file.sync_all().expect("the disk syncs");
                    (0..count).map(|number| sync(&file, number)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a writer does not panic")).collect()
    })
}

fn sync(file: &File, number: usize) -> Duration {
    let started = Instant::now();
    let offset = (number * WRITE_BYTES) % (FILE_BYTES - WRITE_BYTES);
    file.write_all_at(&[1; WRITE_BYTES], offset as u64).expect("the disk has room");
    file.sync_data().expect("the disk syncs");
    started.elapsed()
}
