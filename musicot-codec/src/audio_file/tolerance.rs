//! How much damage a reader accepts, and how much it met.

/// How much damage is accepted before reading fails; see the [module documentation](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Packets of a file that may be undecodable. Default 8 (our choice: 0.2 s of mp3).
    pub damaged_packets: u64,
    /// Whether a file may end before its announced length. Default `false`.
    pub truncation: bool,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { damaged_packets: 8, truncation: false }
    }
}

impl Tolerance {
    /// Accepts no damage at all.
    pub const STRICT: Self = Self { damaged_packets: 0, truncation: false };
    /// Decodes whatever can be decoded.
    pub const LENIENT: Self = Self { damaged_packets: u64::MAX, truncation: true };
}

/// The damage met so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecodeReport {
    /// Undecodable packets, each replaced by silence of its length.
    pub damaged_packets: u64,
    /// Frames, at the file's own rate, by which the file ended before its announced length; known at its end.
    pub missing_frames: u64,
}

impl DecodeReport {
    /// Whether the file was decoded without loss.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}
