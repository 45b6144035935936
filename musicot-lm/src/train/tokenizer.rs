//! Making a tokenizer of lyrics.

use std::path::Path;

use tokenizers::Tokenizer;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::{Lowercase, NFC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::{Error, LyricTokenizer, Result};

/// Trains a byte-level BPE tokenizer of at most `size` ids on lyrics, in lower case: no text is outside it.
///
/// # Errors
/// `size` is below 256, the number of bytes.
pub fn train_tokenizer<'a>(
    lyrics: impl Iterator<Item = &'a str> + Send,
    size: usize,
) -> Result<LyricTokenizer> {
    if size < 256 {
        return Err(Error::config(
            "vocab.lyric_tokens",
            format!("expected at least 256, one per byte, got {size}"),
        ));
    }
    let fail = |error: Box<dyn std::error::Error + Send + Sync>| Error::tokenizer(Path::new("(new)"), error);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_normalizer(Some(Sequence::new(vec![NFC.into(), Lowercase.into()]))).map_err(fail)?;
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::BpeTrainer(trainer), lyrics).map_err(fail)?;
    Ok(LyricTokenizer::new(tokenizer))
}
