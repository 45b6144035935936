//! Checks at the public edge of the published codecs.

use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, ParamStore, Result};

/// A store for a checkpoint that is to be run in `kind`.
pub(crate) fn store(device: Device, kind: Kind) -> Result<ParamStore> {
    match kind {
        Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half => Ok(ParamStore::for_loading(device, kind)),
        _ => Err(Error::input("element type", format!("expected a floating-point one, got {kind:?}"))),
    }
}

/// A signal `[batch, channels, frames]` of at least one value, in the element type of the weights and where they are.
pub(crate) fn signal(what: &str, x: &Tensor, channels: i64, weights: &ParamStore) -> Result<Tensor> {
    expect(what, x, &[ANY, channels, ANY])?;
    if !x.is_floating_point() || x.numel() == 0 {
        let reason =
            format!("expected floating point, at least one value, got {:?} {:?}", x.kind(), x.size());
        return Err(Error::input(what, reason));
    }
    expect_finite(what, x)?;
    Ok(x.f_to_device(weights.device())?.f_to_kind(weights.kind())?)
}

/// Every size is positive, and small enough for products of two to be far from overflow.
pub(crate) fn check_sizes(sizes: &[(&str, i64)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| !(1..=1 << 20).contains(size)) {
        Some((field, size)) => Err(Error::config(*field, format!("expected 1..={}, got {size}", 1 << 20))),
        None => Ok(()),
    }
}

/// There are ratios, none of them less than `least`, and their product is at most 2^20.
pub(crate) fn check_ratios(field: &str, ratios: &[i64], least: i64) -> Result<()> {
    let hop = ratios.iter().try_fold(1_i64, |hop, ratio| hop.checked_mul(*ratio));
    let fits = hop.is_some_and(|hop| (1..=1 << 20).contains(&hop));
    match !ratios.is_empty() && fits && ratios.iter().all(|ratio| *ratio >= least) {
        true => Ok(()),
        false => {
            let reason = format!("expected ratios of {least} or more with a product of at most {}", 1 << 20);
            Err(Error::config(field, format!("{reason}, got {ratios:?}")))
        }
    }
}
