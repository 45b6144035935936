//! A quantiser on its own, with its files.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{ParamStore, Result, Storage};

use crate::{ResidualVq, RvqConfig, VectorQuantizer};

/// A [`ResidualVq`] that owns its codebooks. On disk: a directory with `config.json` ([`RvqConfig`]) and `model.safetensors`
/// (`layers.N.embed`, `[codebook_size, dim]`).
pub struct RvqModel {
    store: ParamStore,
    quantizer: ResidualVq,
}

impl RvqModel {
    /// Random codebooks, for tests.
    ///
    /// # Errors
    /// [`musicot_core::Error::Config`] for sizes out of range.
    pub fn new(config: &RvqConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(ParamStore::new(device, seed), config)
    }

    /// A copy of a quantiser that lives inside another model.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn from_quantizer(quantizer: &ResidualVq) -> Result<Self> {
        let device = quantizer.codebooks().first().map_or(Device::Cpu, Tensor::device);
        Self::from_codebooks(quantizer.config(), quantizer.codebooks(), device)
    }

    /// A copy of codebooks, whose sizes must be those of the configuration.
    pub(crate) fn from_codebooks(config: &RvqConfig, codebooks: &[Tensor], device: Device) -> Result<Self> {
        let model = Self::build(ParamStore::for_loading(device, Kind::Float), config)?;
        tch::no_grad(|| -> Result<()> {
            for (target, source) in model.quantizer.codebooks().iter().zip(codebooks) {
                target.shallow_clone().f_copy_(source)?;
            }
            Ok(())
        })?;
        Ok(model)
    }

    /// Reads a model directory; the codebooks must be exactly those of the configuration.
    ///
    /// # Errors
    /// [`musicot_core::Error`]'s `Io`, `Format`, `Config` or `Checkpoint`, naming the file.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let dir = dir.as_ref();
        let config: RvqConfig = read_json(dir.join("config.json"))?;
        let model = Self::build(ParamStore::for_loading(device, Kind::Float), &config)?;
        model.store.load_file(dir.join("model.safetensors"))?;
        Ok(model)
    }

    /// Writes a model directory. Codewords are the whole content, so prefer [`Storage::Native`].
    ///
    /// # Errors
    /// [`musicot_core::Error::Io`] names the file.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        write_json(dir.join("config.json"), self.config())?;
        self.store.save(dir.join("model.safetensors"), storage)
    }

    /// The sizes.
    pub fn config(&self) -> &RvqConfig {
        self.quantizer.config()
    }

    /// The quantiser itself.
    pub fn quantizer(&self) -> &ResidualVq {
        &self.quantizer
    }

    /// Where the codebooks are.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// See [`ResidualVq::error_per_level`].
    ///
    /// # Errors
    /// See there.
    pub fn error_per_level(&self, vectors: &Tensor) -> Result<Vec<f64>> {
        self.quantizer.error_per_level(vectors)
    }

    fn build(store: ParamStore, config: &RvqConfig) -> Result<Self> {
        let quantizer = ResidualVq::new(&store.root(), config)?;
        Ok(Self { store, quantizer })
    }
}

impl VectorQuantizer for RvqModel {
    fn dim(&self) -> usize {
        self.quantizer.dim()
    }

    fn levels(&self) -> usize {
        self.quantizer.levels()
    }

    fn codebook_size(&self) -> usize {
        self.quantizer.codebook_size()
    }

    fn encode(&self, vectors: &Tensor) -> Result<Tensor> {
        self.quantizer.encode(vectors)
    }

    fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        self.quantizer.decode(codes)
    }
}
