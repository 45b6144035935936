//! Named parameters of a model, their initial values, and their loading.
//!
//! Unlike `tch::nn::VarStore`, initial values come from the counter RNG keyed by the parameter's name (no global RNG, no
//! dependence on creation order), and loading is strict.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::checkpoint::{self, Checkpoint, LoadOptions, Loading, Storage};
use crate::{CounterRng, Error, Result, shape};

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All elements equal.
    Const(f64),
    /// Normal with mean 0 and the given standard deviation.
    Normal(f64),
    /// Uniform in `[-bound, bound]`.
    Uniform(f64),
}

impl Init {
    /// Uniform with bound `1 / sqrt(fan_in)`, the usual start of linear layers and convolutions.
    pub fn fan_in(fan_in: i64) -> Self {
        Self::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }
}

struct Param {
    tensor: Tensor,
    role: Role,
}

/// What a tensor is to an optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Weight,
    /// Rows that are looked up one at a time.
    Table,
    Buffer,
}

/// The parameters and buffers of one model on one device.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::{ParamStore, nn::Linear, tch::{Device, Kind, Tensor}};
/// let store = ParamStore::new(Device::Cpu, 7);
/// let layer = Linear::new(&store.root().sub("head"), 3, 2, true)?;
/// let names: Vec<String> = store.named().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["head.bias", "head.weight"]);
/// let output = layer.forward(&Tensor::ones([5, 3], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(output.size(), [5, 2]);
/// # Ok(())
/// # }
/// ```
pub struct ParamStore {
    params: RefCell<BTreeMap<String, Param>>,
    device: Device,
    kind: Kind,
    start: Start,
}

/// How parameters begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Random, from a seed.
    Random(u64),
    /// Zeros, for a checkpoint to fill.
    Zeros,
    /// Zeros that take no memory until a checkpoint puts tensors in their place.
    Placeholders,
}

impl ParamStore {
    /// A store whose parameters start from seeded random values and can be trained.
    pub fn new(device: Device, seed: u64) -> Self {
        Self { params: RefCell::default(), device, kind: Kind::Float, start: Start::Random(seed) }
    }

    /// A store whose parameters start as zeros without gradients, to be filled by [`ParamStore::load`].
    pub fn for_loading(device: Device, kind: Kind) -> Self {
        Self { params: RefCell::default(), device, kind, start: Start::Zeros }
    }

    /// Like [`ParamStore::for_loading`], with parameters that take no memory before they are loaded, for models that are read in parts
    /// ([`ParamStore::loading`]). Loading gives a parameter other memory: views that a model took of it before keep seeing zeros.
    pub fn for_loading_in_parts(device: Device, kind: Kind) -> Self {
        Self { params: RefCell::default(), device, kind, start: Start::Placeholders }
    }

    /// The scope that holds everything.
    pub fn root(&self) -> Scope<'_> {
        Scope { store: self, prefix: String::new() }
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Element type of the parameters.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All parameters and buffers by name; the tensors share memory with the model.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        self.params.borrow().iter().map(|(name, p)| (name.clone(), p.tensor.shallow_clone())).collect()
    }

    /// The parameters that are trained, by name; the tensors share memory with the model.
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        let params = self.params.borrow();
        params
            .iter()
            .filter(|(_, p)| p.role != Role::Buffer && p.tensor.requires_grad())
            .map(|(name, p)| (name.clone(), p.tensor.shallow_clone()))
            .collect()
    }

    /// Whether a parameter is a table ([`Scope::table`]).
    pub fn is_table(&self, name: &str) -> bool {
        self.params.borrow().get(name).is_some_and(|param| param.role == Role::Table)
    }

    /// Number of values in all parameters and buffers.
    pub fn count(&self) -> usize {
        self.params.borrow().values().map(|p| p.tensor.numel()).sum()
    }

    /// Stops training of every parameter whose name starts with `prefix`.
    pub fn freeze(&self, prefix: &str) {
        for (name, param) in self.params.borrow_mut().iter_mut() {
            if name.starts_with(prefix) {
                param.tensor = param.tensor.set_requires_grad(false);
            }
        }
    }

    /// Fills every parameter from a checkpoint that must hold exactly these tensors.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] lists every missing, unexpected, mis-shaped or wrong-typed tensor; then nothing was changed.
    pub fn load(&self, checkpoint: &Checkpoint, options: &LoadOptions) -> Result<()> {
        self.loading(checkpoint, options)?.fill(|_| true)
    }

    /// Checks that a checkpoint holds exactly these tensors, to be filled in parts: where each part is used and given back
    /// ([`ParamStore::give_back`]) before the next one is read, a model that is larger than memory can pass by.
    ///
    /// # Errors
    /// See [`ParamStore::load`].
    pub fn loading<'a>(&self, checkpoint: &'a Checkpoint, options: &LoadOptions) -> Result<Loading<'a>> {
        Loading::new(checkpoint, options, self.named())
    }

    /// Forgets the parameters whose names start with `prefix`, and gives their memory back: whoever still holds them sees zeros.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn give_back(&self, prefix: &str) -> Result<()> {
        let mut params = self.params.borrow_mut();
        for (_, param) in params.iter_mut().filter(|(name, _)| name.starts_with(prefix)) {
            let zeros = checkpoint::placeholder(&param.tensor.size(), self.kind, self.device)?;
            param.tensor.f_set_data(&zeros)?;
        }
        params.retain(|name, _| !name.starts_with(prefix));
        Ok(())
    }

    /// Gives the memory of the parameters whose names start with `from` to those that are called the same after `to`, and forgets the
    /// former: whoever still holds them sees zeros. The values of the latter are then whatever was there, for [`Loading::fill`] to replace:
    /// the next part of a model takes the place of the one before it.
    ///
    /// # Errors
    /// [`Error::Input`] names a parameter whose partner is missing or has another shape; then nothing was changed.
    pub fn pass_on(&self, from: &str, to: &str) -> Result<()> {
        {
            let params = self.params.borrow();
            let mut pairs = Vec::new();
            for (name, param) in params.iter().filter(|(name, _)| name.starts_with(from)) {
                let partner = format!("{to}{}", &name[from.len()..]);
                match params.get(&partner) {
                    Some(other) if other.tensor.size() == param.tensor.size() => pairs.push((param, other)),
                    _ => return Err(Error::input(name, format!("expected `{partner}` of the same shape"))),
                }
            }
            for (param, partner) in pairs {
                partner.tensor.shallow_clone().f_set_data(&param.tensor.f_detach()?)?;
            }
        }
        self.give_back(from)
    }

    /// Opens and loads a checkpoint with default options.
    ///
    /// # Errors
    /// See [`ParamStore::load`].
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load(&Checkpoint::open(path)?, &LoadOptions::default())
    }

    /// Copies the tensors of another store whose names are `wanted`; what only this store has stays as it is.
    ///
    /// # Errors
    /// [`Error::Input`] names a tensor that this store lacks or has in another shape; then nothing was changed.
    pub fn copy_from(&self, other: &Self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let own = self.params.borrow();
        let pair = |(name, value): (String, Tensor)| {
            let target = own.get(&name).map(|param| param.tensor.shallow_clone());
            match target {
                Some(target) if target.size() == value.size() => Ok((target, value)),
                other => {
                    let expected =
                        other.map_or("no such tensor".to_owned(), |own| format!("{:?}", own.size()));
                    Err(Error::input(&name, format!("expected {expected}, got {:?}", value.size())))
                }
            }
        };
        let pairs = other.named().into_iter().filter(|(name, _)| wanted(name)).map(pair);
        for (mut target, value) in pairs.collect::<Result<Vec<_>>>()? {
            tch::no_grad(|| target.f_copy_(&value))?;
        }
        Ok(())
    }

    /// Writes every parameter to a safetensors file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn save(&self, path: impl AsRef<Path>, storage: Storage) -> Result<()> {
        checkpoint::write(path, &self.named(), storage)
    }

    fn add(&self, name: String, tensor: Tensor, role: Role) -> Result<Tensor> {
        checkpoint::expect_name(&name)?;
        let mut params = self.params.borrow_mut();
        if params.contains_key(&name) {
            return Err(Error::input("parameter", format!("`{name}` is made twice")));
        }
        let handle = tensor.shallow_clone();
        params.insert(name, Param { tensor, role });
        Ok(handle)
    }
}

impl std::fmt::Debug for ParamStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParamStore")
            .field("tensors", &self.params.borrow().len())
            .field("values", &self.count())
            .field("kind", &self.kind)
            .field("device", &self.device)
            .finish()
    }
}

/// A place in the tree of parameter names.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    store: &'a ParamStore,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The scope `name` within this one.
    pub fn sub(&self, name: impl std::fmt::Display) -> Scope<'a> {
        Scope { store: self.store, prefix: self.path(name) }
    }

    /// Where parameters are made.
    pub fn device(&self) -> Device {
        self.store.device
    }

    /// Makes a trainable parameter.
    ///
    /// # Errors
    /// [`Error::Input`] when the name is taken or reserved, or a size is negative or huge; libtorch could not allocate.
    pub fn param(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.make(name, shape, init, Role::Weight)
    }

    /// Makes a trainable parameter whose rows are looked up one at a time: optimisers that treat a matrix as a whole leave it out.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn table(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.make(name, shape, init, Role::Table)
    }

    fn make(&self, name: &str, shape: &[i64], init: Init, role: Role) -> Result<Tensor> {
        let name = self.path(name);
        shape::count(&name, shape)?;
        let seed = match self.store.start {
            Start::Random(seed) => seed,
            Start::Zeros => {
                let zeros = Tensor::f_zeros(shape, (self.store.kind, self.store.device))?;
                return self.store.add(name, zeros, role);
            }
            Start::Placeholders => {
                let zeros = checkpoint::placeholder(shape, self.store.kind, self.store.device)?;
                return self.store.add(name, zeros, role);
            }
        };
        let rng = CounterRng::new(seed).stage("init").stage(&name);
        let tensor = match init {
            // Not `f_full`: tch panics when a function that takes a scalar fails.
            Init::Const(value) => Tensor::f_zeros(shape, (Kind::Float, self.store.device))?.f_fill_(value)?,
            Init::Normal(std) => rng.normal(0, shape, self.store.device)?.f_mul_scalar(std)?,
            Init::Uniform(bound) => {
                rng.uniform(0, shape, self.store.device)?.f_mul_scalar(2.0 * bound)?.f_sub_scalar(bound)?
            }
        };
        self.store.add(name, tensor.f_to_kind(self.store.kind)?.f_set_requires_grad(true)?, role)
    }

    /// Makes a buffer: saved and loaded, never trained by gradients.
    ///
    /// # Errors
    /// [`Error::Input`] when the name is taken or reserved.
    pub fn buffer(&self, name: &str, value: Tensor) -> Result<Tensor> {
        let value = value.f_detach()?.f_to_device(self.store.device)?;
        self.store.add(self.path(name), value, Role::Buffer)
    }

    fn path(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
