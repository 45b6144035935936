"""Cases of the published schedulers: what diffusers' schedulers do with a toy model.

Run from the repository root: python tests/reference/solver.py

A directory of musicot-diffusion/tests/golden/solver_* is a case: scheduler_config.json as diffusers saves it and

case.json          {"kind": "solver", "steps": n}, and "mu" and "sigmas" where the scheduler is given some
io.safetensors     in.sample [batch, channels, frames], the initial noise as the first step gets it (scaled already);
                   in.toy_w: the model returns toy_w x, where x is the scaled sample; [channels, channels] acts on the channels;
                   in.noise.k for each step of a scheduler that adds noise, standard normal
golden.safetensors out.sigmas [steps + 1], out.timesteps [steps], out.sample.k after each step k
                   noise.NAME: largest difference between the reference in f32 and in f64

The versions used are written into `versions.json`.
"""

import contextlib
import json
import os
import shutil
import sys
from unittest import mock

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import diffusers
import numpy
import safetensors
import torch
from diffusers import CosineDPMSolverMultistepScheduler as Cosine
from diffusers import EDMDPMSolverMultistepScheduler as Edm
from diffusers import FlowMatchEulerDiscreteScheduler as Flow
from diffusers.schedulers import scheduling_edm_dpmsolver_multistep as edm_module
from diffusers.schedulers import scheduling_flow_match_euler_discrete as flow_module
from safetensors.torch import save_file

ROOT = os.path.join("musicot-diffusion", "tests", "golden")
SHAPE = (2, 3, 5)


@contextlib.contextmanager
def precision(dtype):
    """Makes the reference compute in f64 wherever it asks for f32, coefficients and levels included."""
    if dtype == torch.float32:
        yield
        return
    torch.set_default_dtype(dtype)
    with mock.patch.object(torch, "float32", torch.float64), mock.patch.object(numpy, "float32", numpy.float64):
        yield
    torch.set_default_dtype(torch.float32)


def run(folder, options, sample, toy_w, noises, dtype):
    with precision(dtype):
        with open(os.path.join(folder, "scheduler_config.json")) as file:
            name = json.load(file)["_class_name"]
        scheduler = {kind.__name__: kind for kind in (Cosine, Edm, Flow)}[name].from_pretrained(folder)
        more = {key: options[key] for key in ("mu", "sigmas") if key in options}
        scheduler.set_timesteps(options["steps"], **more)
        queue = [noise.to(dtype) for noise in noises]
        if name == Cosine.__name__:
            scheduler.noise_sampler = lambda *_: queue.pop(0)
        draw = lambda *_, **__: queue.pop(0)
        x, toy_w, samples = sample.to(dtype), toy_w.to(dtype), []
        with mock.patch.object(edm_module, "randn_tensor", draw), mock.patch.object(flow_module, "randn_tensor", draw):
            for t in scheduler.timesteps:
                scaled = x if name == Flow.__name__ else scheduler.scale_model_input(x, t)
                output = torch.einsum("oc,bcf->bof", toy_w, scaled) if toy_w.ndim == 2 else toy_w * scaled
                x = scheduler.step(output, t, x).prev_sample
                samples.append(x)
        assert not queue
        outputs = {"sigmas": scheduler.sigmas, "timesteps": scheduler.timesteps}
        return outputs | {f"sample.{k}": sample for k, sample in enumerate(samples)}


def case(name, scheduler, steps, seed, scale=1.0, toy=None, **options):
    folder = os.path.join(ROOT, "solver_" + name)
    shutil.rmtree(folder, ignore_errors=True)
    scheduler.save_pretrained(folder)
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    sample = draw(*SHAPE) * scale
    toy_w = draw(SHAPE[1], SHAPE[1]) * 0.6 if toy is None else toy
    config = scheduler.config
    adds_noise = isinstance(scheduler, Cosine) or config.get("algorithm_type") == "sde-dpmsolver++" or config.get(
        "stochastic_sampling"
    )
    noises = [draw(*SHAPE) for _ in range(steps if adds_noise else 0)]
    options = {"steps": steps} | options
    outputs = run(folder, options, sample, toy_w, noises, torch.float32)
    exact = run(folder, options, sample, toy_w, noises, torch.float64)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in outputs.values()), name
    assert all(value.dtype == torch.float64 for value in exact.values()), name
    noise = {key: (outputs[key] - exact[key]).abs().max().float() for key in outputs}
    golden = {f"out.{key}": value.contiguous() for key, value in outputs.items()}
    golden |= {f"noise.{key}": value for key, value in noise.items()}
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    inputs = {"in.sample": sample, "in.toy_w": toy_w}
    inputs |= {f"in.noise.{k}": value for k, value in enumerate(noises)}
    save_file(inputs, os.path.join(folder, "io.safetensors"))
    write_json(os.path.join(folder, "case.json"), {"kind": "solver"} | options)
    last = f"sample.{steps - 1}"
    print(f"{folder}: noise {noise['sigmas']:.1e} {noise['timesteps']:.1e} {noise[last]:.1e}", outputs["sigmas"][:3])


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def note_versions():
    """Beside those of the other script of this folder."""
    path = os.path.join(ROOT, "versions.json")
    versions = {}
    if os.path.exists(path):
        with open(path) as file:
            versions = json.load(file)
    versions |= {m.__name__: m.__version__ for m in (diffusers, numpy, safetensors, torch)}
    write_json(path, dict(sorted(versions.items())))


def main():
    torch.set_num_threads(1)
    scalar = torch.tensor(0.4)
    case("cosine", Cosine(), 8, 1, 500.0)
    case("cosine_many", Cosine(), 20, 2, 500.0)
    case("cosine_karras", Cosine(sigma_schedule="karras", sigma_min=0.1, sigma_max=80.0, rho=5.0, solver_type="heun"), 7, 3, 80.0)
    case("cosine_epsilon", Cosine(prediction_type="epsilon", sigma_data=0.7, solver_order=1), 5, 4, 20.0, scalar)
    # At other levels the reference may take the root of a last digit below zero.
    case("cosine_sigma_min", Cosine(sigma_min=1.0, final_sigmas_type="sigma_min", euler_at_final=True), 16, 5, 90.0)
    case("edm", Edm(), 6, 6, 80.0)
    case("edm_third", Edm(solver_order=3, sigma_data=0.7), 17, 7, 80.0)
    case("edm_third_few", Edm(solver_order=3, prediction_type="v_prediction"), 6, 8, 80.0)
    case("edm_heun", Edm(solver_type="heun", sigma_schedule="exponential", lower_order_final=False), 9, 9, 80.0)
    case("edm_sde", Edm(algorithm_type="sde-dpmsolver++", rho=6.0), 8, 10, 80.0)
    case("edm_sde_heun", Edm(algorithm_type="sde-dpmsolver++", solver_type="heun"), 8, 11, 80.0)
    case("edm_sigma_min", Edm(final_sigmas_type="sigma_min", sigma_schedule="exponential", lower_order_final=False), 8, 12, 80.0)
    case("edm_first", Edm(solver_order=1), 3, 13, 80.0, torch.linspace(-0.8, 0.8, 30).reshape(SHAPE))
    case("edm_one", Edm(), 1, 14, 80.0)
    case("flow", Flow(), 6, 20)
    case("flow_shift", Flow(shift=3.0), 7, 21, toy=scalar)
    case("flow_terminal", Flow(shift=2.5, shift_terminal=0.1), 6, 22)
    case("flow_dynamic", Flow(use_dynamic_shifting=True), 6, 23, mu=0.83)
    case("flow_linear", Flow(use_dynamic_shifting=True, time_shift_type="linear"), 6, 24, mu=1.7)
    levels = [1.0, 0.87, 0.61, 0.33, 0.1]
    case("flow_sigmas", Flow(shift=3.1), 5, 25, sigmas=levels)
    case("flow_sigmas_dynamic", Flow(use_dynamic_shifting=True, shift_terminal=0.05), 5, 26, sigmas=levels, mu=0.6)
    case("flow_karras", Flow(shift=2.0, use_karras_sigmas=True), 6, 27)
    case("flow_exponential", Flow(shift=2.0, use_exponential_sigmas=True, num_train_timesteps=500), 6, 28)
    case("flow_inverted", Flow(invert_sigmas=True, shift=1.7), 5, 29)
    case("flow_stochastic", Flow(stochastic_sampling=True, shift=3.0), 6, 30)
    note_versions()


if __name__ == "__main__":
    main()
