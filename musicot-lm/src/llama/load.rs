//! Loading published directories.

use std::path::Path;

use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, KeyMap, LoadOptions, ParamStore};

use super::{FastLlama, Llama, LlamaConfig};
use crate::{Error, Result, WeightKind};

/// The two names of the matrix that a tied checkpoint holds once.
const TABLE: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

impl Llama {
    /// Loads a published directory (`config.json` and weights as [`Checkpoint::open`] finds them: safetensors or `pytorch_model.bin`, whole or
    /// in shards) in f32, whatever its element type.
    ///
    /// Where `tie_word_embeddings` is set, the file may hold the shared matrix as the embedding table, as the output matrix, or as both;
    /// if these two differ, they are not tied, and [`Llama::config`] says so.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit (rotary frequencies that old files hold as buffers are
    /// passed over); see also [`LlamaConfig::read_published`].
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`Llama::load`], with weights, activations and cache in another floating-point type. In bfloat16 the logits of small random
    /// models kept a cosine of at least 0.9997 to those in f32.
    ///
    /// # Errors
    /// [`musicot_core::Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Llama::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let store = ParamStore::for_loading(device, kind);
        let Opened { llama, checkpoint, options } = Opened::new(dir.as_ref(), &store)?;
        store.load(&checkpoint, &options)?;
        Ok(llama)
    }
}

impl FastLlama {
    /// Loads a published directory as [`Llama::load`] does, to decode with: layer by layer, so that beside the packed weights no more than one layer is ever in
    /// memory in f32: a decoder of 1.0 B in int8 takes 1.5 GB at most, the caches of 600 positions of two rows included.
    ///
    /// # Errors
    /// See [`Llama::load`] and [`FastLlama::new`].
    pub fn load(dir: impl AsRef<Path>, kind: WeightKind) -> Result<Self> {
        let store = ParamStore::for_loading_in_parts(Device::Cpu, Kind::Float);
        let Opened { llama, checkpoint, options } = Opened::new(dir.as_ref(), &store)?;
        Self::fill(llama, &store, &store.loading(&checkpoint, &options)?, kind)
    }
}

/// A decoder without weights, and where they are.
struct Opened {
    llama: Llama,
    checkpoint: Checkpoint,
    options: LoadOptions,
}

impl Opened {
    /// The parameters are made in `store`.
    fn new(dir: &Path, store: &ParamStore) -> Result<Self> {
        let kind = store.kind();
        if !matches!(kind, Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half) {
            return Err(Error::input("element type", format!("expected a floating-point one, got {kind:?}")));
        }
        let mut config = LlamaConfig::read_published(dir.join("config.json"))?;
        let checkpoint = Checkpoint::open(dir)?;
        let mut rename = without_frequencies(&checkpoint, config.num_hidden_layers);
        if config.tie_word_embeddings {
            match SharedMatrix::find(&checkpoint)? {
                SharedMatrix::Table => {}
                SharedMatrix::Head => rename = rename.replace(HEAD, TABLE),
                SharedMatrix::BothEqual => rename = rename.drop_exact(HEAD),
                SharedMatrix::Differ => config.tie_word_embeddings = false,
            }
        }
        let llama = Llama::new(&store.root(), &config)?;
        Ok(Self { llama, checkpoint, options: LoadOptions { rename, ..Default::default() } })
    }
}

/// Leaves out the frequencies that older files carry as buffers, and nothing else.
fn without_frequencies(checkpoint: &Checkpoint, layers: i64) -> KeyMap {
    let known = |name: &String| {
        let Some(owner) = name.strip_suffix(".rotary_emb.inv_freq") else { return false };
        owner == "model" || (0..layers).any(|layer| owner == format!("model.layers.{layer}.self_attn"))
    };
    checkpoint
        .names()
        .iter()
        .filter(|name| known(name))
        .fold(KeyMap::default(), |map, name| map.drop_exact(name))
}

/// Where a checkpoint holds the matrix that its configuration ties.
enum SharedMatrix {
    Table,
    Head,
    BothEqual,
    Differ,
}

impl SharedMatrix {
    fn find(checkpoint: &Checkpoint) -> Result<Self> {
        let (Some(table), Some(head)) = (checkpoint.info(TABLE), checkpoint.info(HEAD)) else {
            return Ok(if checkpoint.info(HEAD).is_some() { Self::Head } else { Self::Table });
        };
        // Other shapes or types: loaded apart, which names the one that does not fit.
        if table != head {
            return Ok(Self::Differ);
        }
        let equal = checkpoint.tensor(TABLE)?.f_equal(&checkpoint.tensor(HEAD)?)?;
        Ok(if equal { Self::BothEqual } else { Self::Differ })
    }
}
