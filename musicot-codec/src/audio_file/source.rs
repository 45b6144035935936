//! The packet loop: planes of samples as the file holds them, delay and padding cut off, damage counted.

use std::path::{Path, PathBuf};

use symphonia::core::audio::{AudioSpec, Channels as Layout, GenericAudioBufferRef};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::Packet;

use super::open::{Opened, guarded, open, translate};
use super::{DecodeReport, Tolerance};
use crate::resample::Planar;
use crate::{Error, Result};

/// Decoded packets of a file, in order.
pub(super) struct Source {
    path: PathBuf,
    opened: Opened,
    tolerance: Tolerance,
    report: DecodeReport,
    spec: Spec,
    /// What opening decoded in order to learn `spec`.
    first: Option<Planar>,
    /// Frames still to be dropped as encoder delay.
    skip_frames: u64,
    /// Frames handed out.
    given: u64,
    /// Length of the last good packet, by which lost ones are counted.
    packet_frames: u64,
    /// Whether the bytes ended within a packet.
    cut_off: bool,
    ended: bool,
}

/// What every packet of the file must have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) sample_rate_hz: u32,
    pub(super) layout: Layout,
}

impl Spec {
    fn of(spec: &AudioSpec) -> Self {
        Self { sample_rate_hz: spec.rate(), layout: spec.channels().clone() }
    }
}

impl Source {
    /// Opens a file and decodes up to its first frame of audio.
    pub(super) fn open(path: &Path, tolerance: Tolerance) -> Result<Self> {
        let opened = open(path)?;
        let skip_frames = opened.skip_frames;
        let mut source = Self {
            path: path.to_owned(),
            opened,
            tolerance,
            report: DecodeReport::default(),
            spec: Spec { sample_rate_hz: 0, layout: Layout::None },
            first: None,
            skip_frames,
            given: 0,
            packet_frames: 0,
            cut_off: false,
            ended: false,
        };
        source.first = source.decode_next()?;
        if source.first.is_none() {
            return Err(source.nothing_decoded());
        }
        Ok(source)
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(super) fn container(&self) -> &'static str {
        self.opened.container
    }

    pub(super) fn codec(&self) -> &'static str {
        self.opened.codec
    }

    pub(super) fn declared_frames(&self) -> Option<u64> {
        self.opened.declared_frames
    }

    pub(super) fn report(&self) -> DecodeReport {
        self.report
    }

    /// Whether nothing was taken yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.first.is_some()
    }

    /// The next planes of at least one frame; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Planar>> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.decode_next(),
        }
    }

    fn decode_next(&mut self) -> Result<Option<Planar>> {
        let (path, at_secs) = (self.path.clone(), self.at_secs());
        let decoded = guarded(&path, at_secs, || self.decode_unguarded());
        self.ended |= decoded.is_err();
        decoded
    }

    fn decode_unguarded(&mut self) -> Result<Option<Planar>> {
        while !self.ended {
            let Some(packet) = self.next_packet()? else {
                self.end()?;
                break;
            };
            let Some(mut planes) = self.decode(&packet)? else { continue };
            self.cut(&mut planes);
            if planes.frames() > 0 {
                self.expect_finite(&planes)?;
                self.given += planes.frames() as u64;
                return Ok(Some(planes));
            }
        }
        Ok(None)
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        if self.opened.declared_frames == Some(self.given) && self.spec.sample_rate_hz > 0 {
            // All that was announced is there: what may follow is not audio of this file.
            return Ok(None);
        }
        loop {
            match self.opened.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.opened.track_id => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.cut_off = true;
                    return Ok(None);
                }
                // The demultiplexer may stumble over a box that goes on past the end.
                Err(SymphoniaError::DecodeError(_)) if self.opened.lost_its_end => return Ok(None),
                Err(e) => return Err(translate(&self.path, self.at_secs(), e)),
            }
        }
    }

    /// The planes of a packet; silence where it is damaged; `None` where it is damaged and no
    /// packet before it told how many channels there are.
    fn decode(&mut self, packet: &Packet) -> Result<Option<Planar>> {
        let planes = match self.opened.decoder.decode(packet) {
            Ok(decoded) => {
                let spec = Spec::of(decoded.spec());
                if self.spec.sample_rate_hz > 0 && decoded.frames() > 0 && spec != self.spec {
                    return Err(self.changed(&spec));
                }
                (planes_of(&decoded), spec)
            }
            Err(SymphoniaError::DecodeError(reason)) => return self.damaged(packet, reason),
            // Packets lie in memory: an input error means that the decoder ran past the end of one.
            Err(SymphoniaError::IoError(e)) => return self.damaged(packet, &e.to_string()),
            Err(e) => return Err(translate(&self.path, self.at_secs(), e)),
        };
        let (planes, spec) = planes;
        if planes.frames() == 0 {
            return Ok(Some(planes));
        }
        if spec.sample_rate_hz == 0 || spec.layout.count() == 0 {
            return Err(Error::unsupported(&self.path, "a sample rate or channel count of 0"));
        }
        self.packet_frames = planes.frames() as u64;
        self.spec = spec;
        Ok(Some(planes))
    }

    fn damaged(&mut self, packet: &Packet, reason: &str) -> Result<Option<Planar>> {
        self.report.damaged_packets += 1;
        if self.report.damaged_packets > self.tolerance.damaged_packets {
            let reason = match self.tolerance.damaged_packets {
                0 => reason.to_owned(),
                limit => format!("{reason} (after {limit} other damaged packets)"),
            };
            return Err(Error::Damaged { path: self.path.clone(), at_secs: self.at_secs(), reason });
        }
        if self.spec.sample_rate_hz == 0 {
            return Ok(None);
        }
        let secs = packet.block_dur().get() as f64 / self.opened.ticks_per_sec;
        // A packet may claim any length; no codec here has packets of more than two seconds.
        let frames = secs.min(2.0) * f64::from(self.spec.sample_rate_hz);
        Ok(Some(Planar::silence(self.spec.layout.count(), frames.round() as usize)))
    }

    /// Cuts off delay at the front and whatever lies beyond the announced end.
    fn cut(&mut self, planes: &mut Planar) {
        let skipped = (planes.frames() as u64).min(self.skip_frames);
        planes.drop_front(skipped as usize);
        self.skip_frames -= skipped;
        if let Some(declared) = self.opened.declared_frames {
            let left = declared.saturating_sub(self.given);
            planes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
    }

    fn expect_finite(&self, planes: &Planar) -> Result<()> {
        for (channel, samples) in planes.channels().iter().enumerate() {
            if let Some(at) = samples.iter().position(|sample| !sample.is_finite()) {
                let (path, frame) = (self.path.clone(), self.given + at as u64);
                return Err(Error::NonFinite { path, channel, frame, value: samples[at] });
            }
        }
        Ok(())
    }

    /// Compares what came with what was announced.
    fn end(&mut self) -> Result<()> {
        self.ended = true;
        let mut missing =
            self.opened.declared_frames.map_or(0, |declared| declared.saturating_sub(self.given));
        if self.opened.container == "isomp4" && !self.cut_off {
            // Every packet of the sample table was there. Its durations need not add up to the decoded frames.
            missing = 0;
        }
        self.report.missing_frames = missing;
        let forgiven = self.tolerance.truncation || self.is_lost_mp3_frames(missing);
        if (missing > 0 || self.opened.lost_its_end) && !forgiven {
            return Err(self.truncated());
        }
        Ok(())
    }

    /// Whether the end is short by no more mp3 frames than may be damaged: those whose header is destroyed are never seen.
    fn is_lost_mp3_frames(&self, missing: u64) -> bool {
        let left = self.tolerance.damaged_packets.saturating_sub(self.report.damaged_packets);
        self.opened.container == "mp3" && missing <= left.saturating_mul(self.packet_frames)
    }

    fn truncated(&self) -> Error {
        let rate = f64::from(self.spec.sample_rate_hz);
        let declared = self.opened.declared_frames.filter(|_| rate > 0.0);
        Error::Truncated {
            path: self.path.clone(),
            declared_secs: declared.map(|frames| frames as f64 / rate),
            decoded_secs: self.at_secs(),
        }
    }

    fn nothing_decoded(&self) -> Error {
        let path = self.path.clone();
        if self.report.damaged_packets > 0 {
            let reason = "no packet of it can be decoded".to_owned();
            return Error::Damaged { path, at_secs: 0.0, reason };
        }
        if self.cut_off || self.opened.lost_its_end {
            return self.truncated();
        }
        Error::Empty { path }
    }

    fn changed(&self, spec: &Spec) -> Error {
        let reason = format!(
            "{} channels at {} Hz become {} channels at {} Hz after {:.3} s",
            self.spec.layout.count(),
            self.spec.sample_rate_hz,
            spec.layout.count(),
            spec.sample_rate_hz,
            self.at_secs()
        );
        Error::unsupported(&self.path, reason)
    }

    fn at_secs(&self) -> f64 {
        match self.spec.sample_rate_hz {
            0 => 0.0,
            rate => self.given as f64 / f64::from(rate),
        }
    }
}

fn planes_of(decoded: &GenericAudioBufferRef<'_>) -> Planar {
    let mut planes = Planar::default();
    decoded.copy_to_vecs_planar(planes.channels_mut());
    planes
}
