//! Residual vector quantisation over libtorch.
