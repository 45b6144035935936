//! The promise about memory: weights, 30 % more, and 500 MB.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// One test at a time, as the memory of a process is that of all of them.
static ALONE: Mutex<()> = Mutex::new(());

/// Makes a checkpoint in a temporary directory by `write`, which returns its number of values, then loads and runs it by `run`: from then on
/// the process may take 30 % more memory than the weights in f32, and 500 MB.
///
/// # Panics
/// When it takes more.
pub fn within_memory(write: impl FnOnce(&Path) -> i64, run: impl FnOnce(&Path)) {
    within_bytes(|values| 4 * values + 4 * values * 3 / 10 + 500_000_000, write, run);
}

/// The same within a number of bytes that follows from the number of values.
///
/// # Panics
/// When it takes more.
pub fn within_bytes(
    most: impl FnOnce(i64) -> i64,
    write: impl FnOnce(&Path) -> i64,
    run: impl FnOnce(&Path),
) {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().unwrap();
    let values = write(folder.path());
    // What was held while the files were made does not count.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    run(folder.path());
    let after = peak();
    println!("{values} values, peak {before} bytes before loading, {after} after running");
    let most = most(values);
    assert!(after <= most, "{after} bytes for {values} values, of at most {most}");
}

/// Most memory that this process has held since the count was last begun, bytes.
fn peak() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
}
