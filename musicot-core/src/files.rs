//! Reading JSON with errors that name the file, and writing files that are either whole or absent.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// Reads a JSON file.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Format`] with line and field when it does not fit `T`.
pub fn read_json<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::format(path, e.to_string()))
}

/// Writes a value as indented JSON, atomically.
///
/// # Errors
/// See [`write_atomic`].
pub fn write_json(path: impl AsRef<Path>, value: &impl Serialize) -> Result<()> {
    let path = path.as_ref();
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::format(path, e.to_string()))?;
    write_atomic(path, |file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
    })
}

/// Writes a file through a temporary neighbour that is renamed into place, so that readers see the old file, the
/// whole new one, or none. Parent directories are created.
///
/// # Errors
/// [`Error::Io`] names `path`; nothing is left behind.
pub fn write_atomic(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    let written = (|| {
        let mut buffered = BufWriter::new(file.temporary.as_file_mut());
        write(&mut buffered)?;
        buffered.flush()
    })();
    written.map_err(Error::io(file.path()))?;
    file.commit()
}

/// A file that is written step by step beside its path and appears there, whole, at [`AtomicFile::commit`].
/// Dropped before that, it leaves nothing behind. Writes are not buffered.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: tempfile::NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary neighbour of `path`. Parent directories are created.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be made or written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let temporary = tempfile::NamedTempFile::new_in(directory).map_err(Error::io(path))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Where the file will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is until then.
    pub(crate) fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes the file to the disk and renames it into place.
    ///
    /// # Errors
    /// [`Error::Io`] names the path; nothing is left behind.
    pub fn commit(self) -> Result<()> {
        let Self { temporary, path } = self;
        // By its name: a library that was given it may have put a file of its own in its place.
        File::open(temporary.path())
            .and_then(|file| make_readable(&file).and_then(|()| file.sync_all()))
            .map_err(Error::io(&path))?;
        temporary.persist(&path).map_err(|e| Error::Io { path, source: e.error })?;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.temporary.as_file_mut().seek(position)
    }
}

/// Temporary files are private; what they become is an ordinary file.
#[cfg(unix)]
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> std::io::Result<()> {
    Ok(())
}
