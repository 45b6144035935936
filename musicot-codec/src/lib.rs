//! Audio codec, semantic tokeniser and audio file input and output over libtorch.
