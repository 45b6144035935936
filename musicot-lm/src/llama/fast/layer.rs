//! One block of the decoder: packed weights, and its pass over some positions.

use std::ops::Range;

use musicot_core::tensor;
use musicot_kernels::{Isa, KvCache, Matrix, Scratch, Threads, Turn, rms_norm, silu_times};

use super::super::LlamaConfig;
use super::super::model;
use super::packer::Packer;
use crate::Result;

/// The sizes of a decoder that a pass needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) dim: usize,
    /// Width of all queries of a position.
    queries: usize,
    /// Width of all keys, and of all values.
    keys: usize,
    /// Inside the feed-forward network.
    hidden: usize,
    pub(super) eps: f32,
}

/// Multiplications in attention that are worth waking another thread for: some 30 microseconds.
const WORTH_A_THREAD: usize = 1 << 20;

/// A position that a pass computes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) slot: usize,
    /// The slots that it sees, its own among them.
    pub(super) visible: Range<usize>,
    pub(super) turn: Turn,
}

/// What all layers of a pass share.
pub(super) struct Pass<'a> {
    pub(super) sizes: Sizes,
    pub(super) isa: Isa,
    pub(super) threads: &'a Threads,
    /// As many of each row, row by row.
    pub(super) places: &'a [Place],
    pub(super) buffers: &'a mut Buffers,
}

/// Memory between the products, kept from pass to pass. Each has a row for every place.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    normed: Vec<f32>,
    projected: Vec<f32>,
    attended: Vec<f32>,
    gate_and_up: Vec<f32>,
    gated: Vec<f32>,
    added: Vec<f32>,
    scratch: Scratch,
}

#[derive(Debug)]
pub(super) struct Layer {
    input_norm: Vec<f32>,
    query_key_value: Affine,
    output: Affine,
    post_norm: Vec<f32>,
    gate_and_up: Affine,
    down: Affine,
}

/// Maps of the same input, one below the other.
#[derive(Debug)]
pub(super) struct Affine {
    pub(super) matrix: Matrix,
    pub(super) bias: Option<Vec<f32>>,
}

impl Sizes {
    pub(super) fn new(config: &LlamaConfig) -> Self {
        let head = config.head_size();
        Self {
            dim: config.hidden_size as usize,
            queries: (config.num_attention_heads * head) as usize,
            keys: (config.num_key_value_heads * head) as usize,
            hidden: config.intermediate_size as usize,
            eps: config.rms_norm_eps as f32,
        }
    }

    /// Width of queries, keys and values together.
    fn projected(self) -> usize {
        self.queries + 2 * self.keys
    }
}

impl Buffers {
    fn resize(&mut self, places: usize, sizes: Sizes) {
        self.normed.resize(places * sizes.dim, 0.0);
        self.projected.resize(places * sizes.projected(), 0.0);
        self.attended.resize(places * sizes.queries, 0.0);
        self.gate_and_up.resize(places * 2 * sizes.hidden, 0.0);
        self.gated.resize(places * sizes.hidden, 0.0);
        self.added.resize(places * sizes.dim, 0.0);
    }
}

impl Layer {
    pub(super) fn new(layer: &model::Layer, packer: &mut Packer) -> Result<Self> {
        let (attention, feed) = (&layer.attention, &layer.feed_forward);
        Ok(Self {
            input_norm: tensor::to_vec(layer.input_norm.weight())?,
            query_key_value: packer.affine(&[&attention.query, &attention.key, &attention.value])?,
            output: packer.affine(&[&attention.output])?,
            post_norm: tensor::to_vec(layer.post_norm.weight())?,
            gate_and_up: packer.affine(&[feed.gate(), feed.up()])?,
            down: packer.affine(&[feed.down()])?,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let all = [&self.query_key_value, &self.output, &self.gate_and_up, &self.down];
        all.iter().map(|affine| affine.matrix.bytes()).sum()
    }

    /// Takes `x [places, dim]` through the block; the places' keys and values are in the caches afterwards, of which each row has one.
    pub(super) fn run(&self, x: &mut [f32], caches: &mut Vec<KvCache>, pass: &mut Pass<'_>) -> Result<()> {
        let Pass { sizes, isa, threads, places, buffers } = pass;
        buffers.resize(places.len(), *sizes);
        rms_norm(*isa, x, &self.input_norm, sizes.eps, &mut buffers.normed)?;
        self.query_key_value.apply(&buffers.normed, &mut buffers.projected, threads)?;
        attend(*sizes, *isa, threads, places, caches, buffers)?;
        self.output.apply(&buffers.attended, &mut buffers.added, threads)?;
        add(x, &buffers.added);
        rms_norm(*isa, x, &self.post_norm, sizes.eps, &mut buffers.normed)?;
        self.gate_and_up.apply(&buffers.normed, &mut buffers.gate_and_up, threads)?;
        silu_times(*isa, &buffers.gate_and_up, sizes.hidden, &mut buffers.gated)?;
        self.down.apply(&buffers.gated, &mut buffers.added, threads)?;
        add(x, &buffers.added);
        Ok(())
    }
}

/// Attention of all places, those of a row after one another; rows on several threads where that pays.
fn attend(
    sizes: Sizes,
    isa: Isa,
    threads: &Threads,
    places: &[Place],
    caches: &mut Vec<KvCache>,
    buffers: &mut Buffers,
) -> Result<()> {
    if caches.is_empty() {
        return Err(musicot_kernels::Error::WorkerLost.into());
    }
    let (each, width) = (places.len() / caches.len(), sizes.projected());
    let rows = places.chunks_exact(each).zip(buffers.projected.chunks_exact_mut(each * width));
    let products = places.iter().map(|place| place.visible.len()).sum::<usize>() * 2 * sizes.queries;
    if products < caches.len().min(threads.count()) * WORTH_A_THREAD || threads.count() == 1 {
        let attended = buffers.attended.chunks_exact_mut(each * sizes.queries);
        for ((cache, (places, projected)), attended) in caches.iter_mut().zip(rows).zip(attended) {
            attend_row(sizes, isa, cache, places, projected, &mut buffers.scratch, attended)?;
        }
        return Ok(());
    }
    // The caches go to the threads and come back.
    let own = |(cache, (places, projected)): (_, (&[Place], &mut [f32]))| {
        (cache, places.to_vec(), projected.to_vec())
    };
    let items: Vec<(KvCache, Vec<Place>, Vec<f32>)> = caches.drain(..).zip(rows).map(own).collect();
    let results = threads.map(items, move |(mut cache, places, mut projected)| {
        let mut attended = vec![0.0; places.len() * sizes.queries];
        let scratch = &mut Scratch::default();
        let outcome = attend_row(sizes, isa, &mut cache, &places, &mut projected, scratch, &mut attended);
        (cache, outcome.map(|()| attended))
    })?;
    let (back, attended): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    *caches = back;
    for (place, attended) in buffers.attended.chunks_exact_mut(each * sizes.queries).zip(attended) {
        place.copy_from_slice(&attended?);
    }
    Ok(())
}

/// Turns queries and keys of a row's places, puts keys and values into its cache, and attends, each place to what it may see.
fn attend_row(
    sizes: Sizes,
    isa: Isa,
    cache: &mut KvCache,
    places: &[Place],
    projected: &mut [f32],
    scratch: &mut Scratch,
    attended: &mut [f32],
) -> Result<()> {
    let width = sizes.projected();
    for (place, projected) in places.iter().zip(projected.chunks_exact_mut(width)) {
        let (turned, value) = projected.split_at_mut(sizes.queries + sizes.keys);
        place.turn.apply(isa, turned)?;
        cache.put(0, place.slot, &turned[sizes.queries..], value)?;
    }
    let rows = projected.chunks_exact(width).zip(attended.chunks_exact_mut(sizes.queries));
    for (place, (projected, attended)) in places.iter().zip(rows) {
        cache.attend(isa, 0, &projected[..sizes.queries], place.visible.clone(), scratch, attended)?;
    }
    Ok(())
}

fn add(x: &mut [f32], added: &[f32]) {
    x.iter_mut().zip(added).for_each(|(x, added)| *x += added);
}

impl Affine {
    fn apply(&self, x: &[f32], y: &mut [f32], threads: &Threads) -> Result<()> {
        self.matrix.multiply(x, y, threads)?;
        if let Some(bias) = &self.bias {
            y.chunks_exact_mut(bias.len()).for_each(|y| add(y, bias));
        }
        Ok(())
    }
}
