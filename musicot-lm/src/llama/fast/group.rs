//! Rows of a session that pass through the layers together.

use musicot_kernels::{CacheShape, Isa, KvCache, Threads, Turn, at_once};

use super::layer::{Buffers, Layer, Pass, Place, Sizes};
use crate::Result;

/// Weights up to here stay in a cache that the cores share, so that each group may read them for itself; larger ones are read once for all rows.
const SHARED_BYTES: usize = 32 << 20;

/// Fewer rows are not worth a group.
const FEWEST_ROWS: usize = 4;

/// What all groups read.
#[derive(Clone, Copy)]
pub(super) struct Stack<'a> {
    pub(super) layers: &'a [Layer],
    pub(super) sizes: Sizes,
    pub(super) isa: Isa,
}

impl Stack<'_> {
    fn is_shared(&self) -> bool {
        self.layers.iter().map(Layer::bytes).sum::<usize>() <= SHARED_BYTES
    }

    /// Rows that keep all threads busy while what they remember has room beside the weights in the shared cache; where the weights have none, every row
    /// more shares the reading of them.
    pub(super) fn rows_at_once(&self, threads: usize) -> usize {
        if self.is_shared() { FEWEST_ROWS * threads } else { usize::MAX }
    }
}

/// Some rows, one below the other, and what the layers remember of them.
pub(super) struct Group {
    /// Of each layer, one a row.
    caches: Vec<Vec<KvCache>>,
    buffers: Buffers,
}

impl Group {
    /// Groups for `rows` rows, of the same size but for the last.
    pub(super) fn share_out(
        rows: usize,
        stack: &Stack<'_>,
        cache: CacheShape,
        threads: usize,
    ) -> Result<Vec<Self>> {
        let most = if stack.is_shared() { threads } else { 1 };
        let each = rows.div_ceil((rows / FEWEST_ROWS).clamp(1, most));
        let group = |first: usize| {
            let row = |_| Ok(KvCache::new(cache)?);
            let layer = |_| (first..rows.min(first + each)).map(row).collect::<Result<Vec<_>>>();
            let caches = stack.layers.iter().map(layer).collect::<Result<_>>()?;
            Ok(Self { caches, buffers: Buffers::default() })
        };
        (0..rows).step_by(each).map(group).collect()
    }

    fn rows(&self) -> usize {
        self.caches.first().map_or(0, Vec::len)
    }

    /// Takes `x [rows * count, dim]` of the rows of all groups through all layers; `places` are as many. Several groups run on a thread each, a single
    /// one has all `threads` for its products.
    pub(super) fn run_all(
        groups: &mut [Self],
        stack: Stack<'_>,
        mut x: &mut [f32],
        mut places: &[Place],
        threads: &Threads,
    ) -> Result<()> {
        if let [only] = groups {
            return only.run(stack, x, places, threads);
        }
        let count = places.len() / groups.iter().map(Self::rows).sum::<usize>().max(1);
        let mut parts = Vec::with_capacity(groups.len());
        for group in groups {
            let own = group.rows() * count;
            let (own_x, other_x) = x.split_at_mut(own * stack.sizes.dim);
            let (own_places, other_places) = places.split_at(own);
            parts.push((group, own_x, own_places));
            (x, places) = (other_x, other_places);
        }
        at_once(parts, |(group, x, places)| group.run(stack, x, places, &Threads::one()))
    }

    fn run(&mut self, stack: Stack<'_>, x: &mut [f32], places: &[Place], threads: &Threads) -> Result<()> {
        let Stack { layers, sizes, isa } = stack;
        let mut pass = Pass { sizes, isa, threads, places, buffers: &mut self.buffers };
        layers.iter().zip(&mut self.caches).try_for_each(|(layer, caches)| layer.run(x, caches, &mut pass))
    }

    /// Turns the keys of the first `count` slots; see [`KvCache::turn_first`].
    pub(super) fn turn_first(&mut self, isa: Isa, count: usize, turn: &Turn) -> Result<()> {
        self.caches.iter_mut().flatten().try_for_each(|cache| Ok(cache.turn_first(isa, count, turn)?))
    }
}
