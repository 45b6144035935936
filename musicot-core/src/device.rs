//! Choosing and waiting for devices.

use tch::{Cuda, Device};

use crate::{Error, Result};

/// Reads `cpu`, `cuda`, `cuda:N` or `auto` (CUDA where present, else CPU).
///
/// # Errors
/// [`Error::Input`] for another word, or for a CUDA device that is not there: work never falls back to the
/// CPU silently.
pub fn parse(name: &str) -> Result<Device> {
    match name.trim() {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(Device::cuda_if_available()),
        "cuda" => cuda(0),
        other => match other.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => cuda(index),
            None => Err(Error::input("device", format!("expected cpu, cuda, cuda:N or auto, got `{other}`"))),
        },
    }
}

fn cuda(index: usize) -> Result<Device> {
    let present = if Cuda::is_available() { Cuda::device_count().max(0) as usize } else { 0 };
    if index < present {
        return Ok(Device::Cuda(index));
    }
    Err(Error::input("device", format!("cuda:{index} asked for, but libtorch sees {present} CUDA devices")))
}

/// The name [`parse`] reads.
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Waits until the device has done all queued work, so that a clock read afterwards is true.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}
