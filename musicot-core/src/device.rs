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

/// The name of a device, as [`parse`] reads it where it can.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        assert_eq!(parse(" cpu ").unwrap(), Device::Cpu);
        assert_eq!(name(Device::Cpu), "cpu");
        assert_eq!(name(Device::Cuda(3)), "cuda:3");
        assert!(matches!(parse("auto").unwrap(), Device::Cpu | Device::Cuda(0)));
    }

    #[test]
    fn unknown_and_absent_devices_are_refused() {
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:4096"] {
            let error = parse(name).unwrap_err();
            assert!(matches!(error, Error::Input { .. }), "{name}: {error}");
        }
    }
}
