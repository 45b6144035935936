//! One set-up at a time.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Held until dropped; the system frees it when the process ends, however it ends.
pub struct Lock(#[expect(dead_code, reason = "kept open: closing the file frees the lock")] File);

/// Waits until no other set-up of this checkout runs.
pub fn acquire(ws: &Workspace) -> Result<Lock> {
    let dir = ws.root.join("target");
    std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
    let path = dir.join(".libtorch.lock");
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        println!("set-up: another one is running in this checkout; waiting for it");
        flock(&file, FlockOperation::LockExclusive).map_err(|e| Error::io("lock", &path)(e.into()))?;
    }
    Ok(Lock(file))
}
