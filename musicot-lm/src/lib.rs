//! LLaMA decoder with a typed music vocabulary and two-phase generation over libtorch.
