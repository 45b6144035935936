//! Diffusion transformer, objectives and solvers for audio latents over libtorch.
