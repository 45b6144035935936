//! What a caller hears while files arrive.

/// How far a fetch is. Files that were in the cache do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubProgress<'a> {
    /// The file under way.
    pub file: &'a str,
    /// Bytes of it that are there. It falls back when a broken download begins anew.
    pub file_done_bytes: u64,
    /// Its size in bytes.
    pub file_bytes: u64,
    /// Bytes that are there of all files to be fetched.
    pub done_bytes: u64,
    /// Bytes of all files to be fetched.
    pub total_bytes: u64,
}

/// Turns hf-hub's calls into the caller's.
pub(super) struct Reporter<'a> {
    pub callback: &'a mut dyn FnMut(HubProgress<'_>),
    /// The file's name and size.
    pub file: (&'a str, u64),
    /// Bytes of the files before this one, and of all.
    pub before: u64,
    pub total: u64,
    /// Bytes of this file.
    pub done: u64,
}

impl Reporter<'_> {
    fn report(&mut self) {
        let (file, file_bytes) = self.file;
        // A server may send more than it announced; that is found when the file is checked.
        let file_done_bytes = self.done.min(file_bytes);
        (self.callback)(HubProgress {
            file,
            file_done_bytes,
            file_bytes,
            done_bytes: self.before + file_done_bytes,
            total_bytes: self.total,
        });
    }
}

impl hf_hub::api::Progress for Reporter<'_> {
    /// Called once for the file and once for each attempt.
    fn init(&mut self, _size: usize, _filename: &str) {
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done = self.done.saturating_add(size as u64);
        self.report();
    }

    fn finish(&mut self) {}
}
