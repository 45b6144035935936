//! Tensors as they lie in a storage: checked against its bytes first, copied later.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::{Parsed, limits};
use crate::checkpoint::TensorInfo;
use crate::{Result, shape};

/// The bytes of a storage and what they are.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    pub(super) elements: usize,
    /// Place in the file.
    start: usize,
}

impl Storage {
    /// A storage of so many elements in an entry of the archive, which may be longer.
    pub(super) fn new(kind: Kind, elements: i64, entry: &Range<usize>) -> Parsed<Self> {
        let bytes = entry.len();
        let fits =
            |elements: &usize| elements.checked_mul(kind.elt_size_in_bytes()).is_some_and(|all| all <= bytes);
        let Some(elements) = usize::try_from(elements).ok().filter(fits) else {
            return Err(format!(
                "a storage claims {elements} elements of {kind:?}, its entry has {bytes} bytes"
            ));
        };
        Ok(Self { kind, elements, start: entry.start })
    }
}

/// Which elements of a storage a tensor has, as the file claims.
pub(super) struct Layout {
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

impl Layout {
    /// Elements from the first to behind the last; none when there is nothing to read.
    fn span(&self) -> Option<Range<usize>> {
        let first = usize::try_from(self.offset).ok()?;
        let axes = || self.shape.iter().zip(&self.stride);
        let is_sound = self.shape.len() == self.stride.len() && axes().all(|(n, step)| *n >= 0 && *step >= 0);
        if !is_sound {
            return None;
        }
        if self.shape.contains(&0) {
            return Some(first..first);
        }
        let reach = axes().try_fold(0_i64, |all, (n, step)| all.checked_add((n - 1).checked_mul(*step)?))?;
        let end = first.checked_add(usize::try_from(reach).ok()?)?.checked_add(1)?;
        Some(first..end)
    }

    /// Whether the elements lie one after another, the last axis first; the stride of an axis of one does not matter.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(n, step)| {
            let fits = *n == 1 || *step == expected;
            expected *= n;
            fits
        })
    }
}

/// A tensor whose bytes are known to be in the file.
#[derive(Debug, Clone)]
pub(super) struct View {
    kind: Kind,
    shape: Vec<i64>,
    /// Steps between elements, unless they lie one after another.
    stride: Option<Vec<i64>>,
    /// From the first to the last byte.
    place: Range<usize>,
}

impl View {
    pub(super) fn new(storage: &Storage, layout: Layout) -> Parsed<Self> {
        let within = |span: &Range<usize>| span.end <= storage.elements;
        let Some(span) = layout.span().filter(within) else {
            return Err(format!(
                "a tensor of shape {:?}, stride {:?} and offset {} is not within its storage of {} elements",
                layout.shape, layout.stride, layout.offset, storage.elements
            ));
        };
        let width = storage.kind.elt_size_in_bytes();
        let most = (storage.elements * width).max(limits::EXPANDED_BYTES);
        let elements = shape::count("a tensor", &layout.shape).map_err(|e| e.to_string())?;
        if elements.checked_mul(width).is_none_or(|bytes| bytes > most) {
            return Err(format!(
                "a tensor of shape {:?} repeats the elements of its storage to more than {most} bytes",
                layout.shape
            ));
        }
        let place = storage.start + span.start * width..storage.start + span.end * width;
        // Without elements no stride means anything.
        let is_plain = elements == 0 || layout.is_contiguous();
        let stride = (!is_plain).then_some(layout.stride);
        Ok(Self { kind: storage.kind, shape: layout.shape, stride, place })
    }

    pub(super) fn info(&self) -> TensorInfo {
        TensorInfo { shape: self.shape.clone(), kind: self.kind }
    }

    /// Copies the tensor out of the file, contiguous; `None` when the file is not the one it was made for.
    pub(super) fn read(&self, file: &[u8]) -> Result<Option<Tensor>> {
        let Some(bytes) = file.get(self.place.clone()) else { return Ok(None) };
        let Some(stride) = &self.stride else {
            return Ok(Some(Tensor::f_from_data_size(bytes, &self.shape, self.kind)?));
        };
        let elements = (bytes.len() / self.kind.elt_size_in_bytes()) as i64;
        let span = Tensor::f_from_data_size(bytes, &[elements], self.kind)?;
        Ok(Some(span.f_as_strided(&self.shape, stride, 0)?.f_contiguous()?))
    }
}
