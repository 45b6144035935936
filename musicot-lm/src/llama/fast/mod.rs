//! The decoder without libtorch in its inner loop.
//!
//! At one position a small model spends its time in the overhead of libtorch's operations, and a large one in reading its weights. Both are met by
//! `musicot-kernels`: packed weights of a choosable type, and no allocation or dispatch between the products of a layer.

mod group;
mod layer;
mod packer;
mod session;
#[cfg(test)]
mod tests;

use std::ops::Range;

use musicot_core::tch::{Device, Kind, Tensor, get_num_threads};
use musicot_core::{Loading, ParamStore, tensor};
use musicot_kernels::{Isa, Matrix, Threads, WeightKind};

use self::group::Stack;
use self::layer::{Layer, Sizes};
use self::packer::Packer;
use self::session::FastSession;
use super::{Llama, LlamaConfig};
use crate::causal::{CausalLm, LmSession, SessionShape};
use crate::{Error, Result};

/// More hidden states than these are no step of decoding: their logits are libtorch's, which is made for many rows.
const MOST_ROWS: usize = 64;

/// A [`Llama`] on the CPU whose sessions run on kernels of their own, with weights in f32, bf16, int8 or int4.
///
/// A row's hidden states and logits are the same bytes whatever other rows, how much padding and how many threads there are. They agree with those of
/// [`Llama`] to rounding in f32, and to the quantisation of the weights otherwise. The output matrix is never narrower than int8; with int4, activations are
/// rounded to 8 bits as well. Embeddings are in f32.
///
/// Of a [`Llama`] ([`FastLlama::new`]) the weights are packed beside its own: it does not see later changes of them, and [`CausalLm::forward`] is that of
/// the [`Llama`]. Loaded ([`FastLlama::load`], [`crate::MusicLm::load_fast`]), it has the packed weights alone and only decodes.
///
/// ```
/// use musicot_lm::{CausalLm, FastLlama, Llama, LlamaConfig, SessionShape, WeightKind};
/// use musicot_lm::core::{ParamStore, tch::{Device, Tensor}};
/// let config = LlamaConfig { vocab_size: 11, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1,
///     num_attention_heads: 4, num_key_value_heads: 2, ..Default::default() };
/// let store = ParamStore::new(Device::Cpu, 0);
/// let llama = FastLlama::new(Llama::new(&store.root(), &config)?, WeightKind::Int8)?;
/// let shape = SessionShape { padding: vec![0], prefix_positions: 3, window_positions: 4, reach_positions: 9 };
/// let mut session = llama.session(&shape)?;
/// let hidden = session.extend(&llama.embed(&Tensor::from_slice(&[1_i64, 2, 3]).unsqueeze(0))?)?;
/// assert_eq!(llama.logits(&hidden, 0..11)?.size(), [1, 11]);
/// # Ok::<(), musicot_lm::Error>(())
/// ```
#[derive(Debug)]
pub struct FastLlama {
    /// Without layers, where only the packed ones were kept.
    llama: Llama,
    sizes: Sizes,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Matrix,
    kind: WeightKind,
    isa: Isa,
    threads: Threads,
}

impl FastLlama {
    /// Packs the weights. It uses as many threads as libtorch does at that moment.
    ///
    /// # Errors
    /// [`musicot_core::Error::Input`] for a decoder that is not on the CPU or not in f32, [`musicot_core::Error::Config`] for a dynamic scaling of
    /// its rotations, [`Error::Kernels`] for weights that cannot be quantised.
    pub fn new(llama: Llama, kind: WeightKind) -> Result<Self> {
        expect_plain(&llama)?;
        let mut packer = Packer::new(kind);
        let layers =
            llama.layers.iter().map(|layer| Layer::new(layer, &mut packer)).collect::<Result<_>>()?;
        Self::assemble(llama, layers, kind)
    }

    /// Reads and packs one layer after another of a decoder whose parameters are those of `store` under `model.` and `lm_head.`; what else the store has is
    /// read as well. Afterwards the layers are no longer in the store.
    pub(crate) fn fill(
        mut llama: Llama,
        store: &ParamStore,
        loading: &Loading<'_>,
        kind: WeightKind,
    ) -> Result<Self> {
        expect_plain(&llama)?;
        loading.fill(|name| !name.starts_with("model.layers."))?;
        let mut packer = Packer::new(kind);
        let mut layers = Vec::with_capacity(llama.layers.len());
        let prefix = |index: usize| format!("model.layers.{index}.");
        for (index, layer) in llama.layers.iter().enumerate() {
            let own = prefix(index);
            if index > 0 {
                store.pass_on(&prefix(index - 1), &own)?;
            }
            loading.fill(|name| name.starts_with(&own))?;
            layers.push(Layer::new(layer, &mut packer)?);
        }
        drop(packer);
        store.give_back("model.layers.")?;
        llama.layers.clear();
        let fast = Self::assemble(llama, layers, kind)?;
        // A tied output matrix is the embedding table, which stays.
        store.give_back("lm_head.")?;
        Ok(fast)
    }

    fn assemble(llama: Llama, layers: Vec<Layer>, kind: WeightKind) -> Result<Self> {
        // The logits add up over the whole width, and there is no later layer to make up for their errors.
        let head_kind = if kind == WeightKind::Int4 { WeightKind::Int8 } else { kind };
        Ok(Self {
            sizes: Sizes::new(&llama.config),
            layers,
            norm: tensor::to_vec(llama.norm.weight())?,
            head: Packer::new(head_kind).matrix(&[llama.head_weight()])?,
            llama,
            kind,
            isa: Isa::best(),
            threads: Threads::new(usize::try_from(get_num_threads()).unwrap_or(1).clamp(1, 256))?,
        })
    }

    fn stack(&self) -> Stack<'_> {
        Stack { layers: &self.layers, sizes: self.sizes, isa: self.isa }
    }

    /// Sets the number of threads, the calling one included; results do not depend on it.
    ///
    /// # Errors
    /// [`Error::Kernels`] when it is not 1 to 256, or the system gives no thread.
    pub fn with_threads(self, count: usize) -> Result<Self> {
        Ok(Self { threads: Threads::new(count)?, ..self })
    }

    /// How the weights are stored.
    pub fn weight_kind(&self) -> WeightKind {
        self.kind
    }

    /// Bytes of packed weights, all of which a position reads but for the rows of the output matrix that are not asked for.
    pub fn packed_bytes(&self) -> usize {
        self.layers.iter().map(Layer::bytes).sum::<usize>() + self.head.bytes()
    }

    /// The sizes.
    pub fn config(&self) -> &LlamaConfig {
        &self.llama.config
    }

    /// Whether it has the packed weights alone, with which it can decode, and neither score nor be saved.
    pub fn is_packed_only(&self) -> bool {
        self.llama.layers.is_empty()
    }
}

fn packed_only() -> Error {
    Error::input("decoder", "has only packed weights, which decode; load it whole to train or to score")
}

/// Refuses what the kernels do not compute.
fn expect_plain(llama: &Llama) -> Result<()> {
    if llama.device() != Device::Cpu || llama.kind() != Kind::Float {
        let found = (llama.device(), llama.kind());
        return Err(Error::input("decoder", format!("expected one on the CPU in f32, got {found:?}")));
    }
    llama.config.expect_unbounded()
}

impl CausalLm for FastLlama {
    fn dim(&self) -> i64 {
        self.llama.dim()
    }

    fn vocab_size(&self) -> i64 {
        self.llama.vocab_size()
    }

    fn device(&self) -> Device {
        self.llama.device()
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.llama.embed(ids)
    }

    fn forward(&self, embeddings: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        if self.is_packed_only() {
            return Err(packed_only());
        }
        self.llama.forward(embeddings, mask)
    }

    fn logits(&self, hidden: &Tensor, rows: Range<i64>) -> Result<Tensor> {
        let size = hidden.size();
        let is_step = hidden.kind() == Kind::Float
            && !hidden.requires_grad()
            && size.last() == Some(&self.dim())
            && (self.is_packed_only() || hidden.numel() / self.sizes.dim <= MOST_ROWS)
            && hidden.numel() > 0;
        let within = rows.start >= 0 && rows.start < rows.end && rows.end <= self.vocab_size();
        if !is_step || !within {
            // Which also says what is wrong.
            let logits = self.llama.logits(hidden, rows)?;
            return if self.is_packed_only() { Err(packed_only()) } else { Ok(logits) };
        }
        let hidden = tensor::to_vec(hidden)?;
        let range = rows.start as usize..rows.end as usize;
        let mut logits = vec![0.0; hidden.len() / self.sizes.dim * range.len()];
        self.head.multiply_rows(range, &hidden, &mut logits, &self.threads)?;
        let leading = size.iter().copied().take(size.len() - 1);
        let shape: Vec<i64> = leading.chain([rows.end - rows.start]).collect();
        Ok(Tensor::f_from_slice(&logits)?.f_reshape(shape)?)
    }

    fn rows_at_once(&self) -> usize {
        self.stack().rows_at_once(self.threads.count())
    }

    fn session(&self, shape: &SessionShape) -> Result<Box<dyn LmSession + '_>> {
        shape.validate()?;
        Ok(Box::new(FastSession::new(self, shape)?))
    }
}
