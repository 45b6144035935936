//! Which instructions are used, and plain code that is compiled for each of them.

use crate::{avx2, avx512};

/// A set of instructions that this machine has: found at run time, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A token is the proof that the machine has them.
    Avx512(avx512::Token),
    Avx2(avx2::Token),
    Portable,
}

impl Isa {
    /// The best one that this machine has and this crate knows.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::portable())
    }

    /// All that this machine has and this crate knows, the best one first.
    pub fn available() -> impl Iterator<Item = Self> {
        let avx512 = avx512::Token::detect().map(Kind::Avx512);
        let avx2 = avx2::Token::detect().map(Kind::Avx2);
        avx512.into_iter().chain(avx2).chain([Kind::Portable]).map(Self)
    }

    /// Rust without intrinsics: runs anywhere, and is what the others are compared with.
    pub fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Avx512(_) => "avx512",
            Kind::Avx2(_) => "avx2",
            Kind::Portable => "portable",
        }
    }

    /// Runs plain code, compiled for these instructions.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Out {
        match self.0 {
            // Vectors of eight as well: the same bytes.
            Kind::Avx512(token) => token.avx2().run(work),
            Kind::Avx2(token) => token.run(work),
            Kind::Portable => work.run::<Separate>(),
        }
    }
}

/// Plain code that is compiled once for each set of instructions. `run` and everything hot below it must be `#[inline(always)]`, or it
/// would be compiled for the lowest common instructions.
pub(crate) trait Work {
    type Out;
    fn run<M: MulAdd>(self) -> Self::Out;
}

/// `a * b + c`. [`f32::mul_add`] is one instruction where there is one, and a slow function of the C library elsewhere.
pub(crate) trait MulAdd {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Rounded once.
pub(crate) struct Fused;

/// Rounded twice.
pub(crate) struct Separate;

impl MulAdd for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl MulAdd for Separate {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
