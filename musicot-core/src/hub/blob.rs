//! The contents in the cache, which snapshots link to.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Size, and SHA-256 where the ETag is one (that of a small file is a git id).
pub(super) fn verify(blob: &Path, expected_bytes: u64, etag: &str) -> Result<(), String> {
    let told = |error: io::Error| format!("{}: {error}", blob.display());
    let bytes = fs::metadata(blob).map_err(told)?.len();
    if bytes != expected_bytes {
        return Err(format!("expected {expected_bytes} bytes, got {bytes}"));
    }
    if etag.len() != 64 {
        return Ok(());
    }
    let found = sha256(blob).map_err(told)?;
    if found == etag { Ok(()) } else { Err(format!("expected SHA-256 {}, got {found}", etag)) }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut content = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut hasher = Sha256::new();
    loop {
        let bytes = content.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(bytes);
        let read = bytes.len();
        content.consume(read);
    }
}

/// A relative link, so that the cache can be moved.
#[cfg(unix)]
pub(super) fn link(blob: &Path, pointer: &Path, name: &str) -> io::Result<()> {
    let up = "../".repeat(2 + name.matches('/').count());
    let etag = blob.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(Path::new(&up).join("blobs").join(etag), pointer)
}

/// Links to files need rights that few users of other systems have.
#[cfg(not(unix))]
pub(super) fn link(blob: &Path, pointer: &Path, _name: &str) -> io::Result<()> {
    fs::hard_link(blob, pointer)
}
