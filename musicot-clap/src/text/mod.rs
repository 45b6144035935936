//! The text tower and its tokenizer.

mod layer;
mod tokenizer;
mod tower;

pub use tokenizer::{Cut, TextTokenizer, Tokens};
pub use tower::TextTower;
