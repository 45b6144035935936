//! How files name the layers of a stack.

use musicot_core::Scope;

/// A file names a layer by its role, or by its number in a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names {
    /// transformers, diffusers: `block.0.res_unit1.conv1`.
    Roles,
    /// The projects' own: a sequence in a sequence, each below a word of its own.
    Numbers { stack: &'static str, block: &'static str },
}

impl Names {
    /// A layer of the stack.
    pub fn layer<'a>(self, stack: &Scope<'a>, role: &str, number: usize) -> Scope<'a> {
        match self {
            Self::Roles => stack.sub(role),
            Self::Numbers { stack: word, .. } => stack.sub(word).sub(number),
        }
    }

    /// A block of the stack, which stands behind its first layer.
    pub fn block<'a>(self, stack: &Scope<'a>, index: usize) -> Scope<'a> {
        match self {
            Self::Roles => stack.sub("block").sub(index),
            Self::Numbers { stack: word, .. } => stack.sub(word).sub(index + 1),
        }
    }

    /// A part of a block, or of a residual unit in it.
    pub fn part<'a>(self, block: &Scope<'a>, role: &str, number: usize) -> Scope<'a> {
        match self {
            Self::Roles => block.sub(role),
            Self::Numbers { block: word, .. } => block.sub(word).sub(number),
        }
    }
}
