//! Bars for downloads and unpacking. They are drawn on a terminal only; in a log each step is a line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // A template that does not parse leaves the default style, which shows the position too.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Progress of a download: a bar on a terminal, else a line now and then.
pub struct Download {
    bar: ProgressBar,
    last_line: Instant,
}

/// Time between the lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Download {
    pub fn new() -> Self {
        let template = "        {bar:32} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        Self { bar: styled(ProgressBar::no_length(), template), last_line: Instant::now() }
    }

    /// `total` is 0 while it is not known.
    pub fn show(&mut self, done: u64, total: u64) {
        let done = if total > 0 { done.min(total) } else { done };
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            match total {
                total if total > 0 && done >= total => println!("        downloaded; pip is at work on it"),
                _ => println!("        {:.0} of {:.0} MB", done as f64 / 1e6, total as f64 / 1e6),
            }
        }
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// A bar over files.
pub fn files(count: u64) -> ProgressBar {
    styled(ProgressBar::new(count), "        {bar:32} {pos} of {len} files")
}

/// Moves the bar to each number that comes, one a line.
pub fn follow_counts(counts: impl Read, bar: &ProgressBar) {
    for count in BufReader::new(counts).lines().map_while(Result::ok) {
        if let Ok(count) = count.trim().parse() {
            bar.set_position(count);
        }
    }
}

/// Bytes of the largest file under `dir`: pip first writes a download to a temporary file, then copies it, so that a sum would
/// count it twice.
pub fn largest_file(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => largest_file(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

/// Bytes of all files under `dir`, links not followed.
pub fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
