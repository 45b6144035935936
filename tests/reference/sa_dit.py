"""Cases of Stable Audio's diffusion transformer: small random checkpoints in both published layouts, and what diffusers' StableAudioDiTModel
and stable-audio-tools' DiffusionTransformer make of them.

Run from the repository root: python tests/reference/sa_dit.py

A directory of musicot-diffusion/tests/golden/sa_dit* is a case: the checkpoint's own files and

case.json          {"kind": "sa_dit"} or {"kind": "sa_dit_original"}
io.safetensors     in.latents [batch, channels, frames], in.timestep [batch], in.text [batch, seq, dim], in.global [batch, dim] or
                   [batch, 1, dim]; in.text_mask [batch, seq] of 0 and 1 where not all states are attended to
golden.safetensors out.sample [batch, channels, frames], and noise.sample: largest difference between the reference in f32 and in f64

musicot-diffusion/tests/pipeline is a small StableAudioPipeline without its text encoder and codec, with
golden.safetensors in.text, in.text_mask, in.latents (standard normal), in.noise.k for each step; out.latents, noise.latents

The versions used are written into `versions.json`.
"""

import contextlib
import importlib.metadata
import json
import os
import shutil
import sys
from unittest import mock

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import diffusers
import safetensors
import torch
from diffusers import AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel, StableAudioPipeline
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from diffusers.pipelines.stable_audio import StableAudioProjectionModel
from diffusers.schedulers import scheduling_cosine_dpmsolver_multistep as cosine_module
from safetensors.torch import load_file, save_file
from stable_audio_tools.models.dit import DiffusionTransformer

ROOT = os.path.join("musicot-diffusion", "tests", "golden")
PIPELINE = os.path.join("musicot-diffusion", "tests", "pipeline")


@contextlib.contextmanager
def precision(dtype):
    """Makes the reference compute in f64 wherever it asks for f32, as it does for rotary positions."""
    if dtype == torch.float32:
        yield
        return
    torch.set_default_dtype(dtype)
    double = lambda tensor: tensor.double()
    with mock.patch.object(torch, "float32", torch.float64), mock.patch.object(torch.Tensor, "float", double):
        yield
    torch.set_default_dtype(torch.float32)


def spread(model, seed):
    """Random values large enough that every term of the computation shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.state_dict().items()):
            if name.endswith("inv_freq"):
                continue
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim == 1 and ("norm" in name and name.endswith(("weight", "gamma"))):
                value.copy_(1 + 0.3 * noise)
            elif value.ndim == 1 and not name.endswith(("time_proj.weight", "0.weights")):
                value.copy_(0.3 * noise)
            elif value.ndim == 1 or name.startswith("timestep_features"):
                value.copy_(noise)
            else:
                value.copy_(1.3 * noise / value[0].numel() ** 0.5)
    return model.eval()


def draw(seed, channels, text_dim, global_dim, frames, states=7, batch=2):
    generator = torch.Generator().manual_seed(seed)
    randn = lambda *shape: torch.randn(shape, generator=generator)
    return {
        "latents": randn(batch, channels, frames), "timestep": torch.tensor([0.93, 0.21])[:batch],
        "text": randn(batch, states, text_dim), "global": randn(batch, global_dim),
    }


def rotary(dims, positions, dtype):
    return get_1d_rotary_pos_embed(dims, positions, use_real=True, repeat_interleave_real=False, freqs_dtype=dtype)


def run_diffusers(model, inputs, dtype, rotary_dims=None):
    with precision(dtype), torch.no_grad():
        inputs = {name: value if name == "text_mask" else value.to(dtype) for name, value in inputs.items()}
        dims = rotary_dims or model.config.attention_head_dim // 2
        condition = inputs["global"]
        mask = inputs.get("text_mask")
        return model.to(dtype)(
            inputs["latents"], inputs["timestep"], encoder_hidden_states=inputs["text"],
            global_hidden_states=condition if condition.ndim == 3 else condition.unsqueeze(1),
            rotary_embedding=rotary(dims, inputs["latents"].shape[2] + 1, dtype),
            encoder_attention_mask=None if mask is None else mask.bool(),
        ).sample


def run_original(model, inputs, dtype):
    with precision(dtype), torch.no_grad():
        inputs = {name: value.to(dtype) for name, value in inputs.items()}
        return model.to(dtype)(
            inputs["latents"], inputs["timestep"], cross_attn_cond=inputs["text"], global_embed=inputs["global"],
            use_checkpointing=False,
        )


def finish(folder, kind, inputs, sample, exact):
    assert sample.dtype == torch.float32 and exact.dtype == torch.float64
    noise = (sample - exact).abs().max().float()
    save_file({f"in.{name}": value for name, value in inputs.items()}, os.path.join(folder, "io.safetensors"))
    golden = {"out.sample": sample.contiguous(), "noise.sample": noise}
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    write_json(os.path.join(folder, "case.json"), {"kind": kind})
    print(f"{folder}: noise {noise:.1e}, largest {sample.abs().max():.1f}")


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def case(name, seed, settings, inputs, **saving):
    folder = fresh(os.path.join(ROOT, name))
    spread(StableAudioDiTModel(**settings), seed).save_pretrained(folder, **saving)
    load = lambda: StableAudioDiTModel.from_pretrained(folder, low_cpu_mem_usage=False)
    sample, exact = run_diffusers(load(), inputs, torch.float32), run_diffusers(load(), inputs, torch.float64)
    finish(folder, "sa_dit", inputs, sample, exact)


def original(name, seed, arguments, inputs, write):
    """`write(folder, arguments, state)` makes the files out of weights in half precision."""
    folder = fresh(os.path.join(ROOT, name))
    os.makedirs(folder)
    model = spread(DiffusionTransformer(**arguments), seed)
    state = {key: value.half() if not key.endswith("inv_freq") else value for key, value in model.state_dict().items()}
    write(folder, arguments, state)

    def load():
        model = DiffusionTransformer(**arguments).eval()
        model.load_state_dict({key: value.float() for key, value in state.items()})
        return model

    sample, exact = run_original(load(), inputs, torch.float32), run_original(load(), inputs, torch.float64)
    finish(folder, "sa_dit_original", inputs, sample, exact)
    return state, sample, exact


def whole_file(folder, arguments, state):
    """As published: one file for all parts, whose configuration is that of all parts."""
    tensors = {f"model.model.{key}": value for key, value in state.items()}
    tensors["pretransform.model.decoder.layers.0.bias"] = torch.zeros(3)
    tensors["conditioner.conditioners.seconds_start.embedder.embedding.0.weights"] = torch.zeros(4)
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    diffusion = {
        "cross_attention_cond_ids": ["prompt", "seconds_start", "seconds_total"],
        "global_cond_ids": ["seconds_start", "seconds_total"], "type": "dit", "config": arguments,
    }
    codec = {"type": "autoencoder", "config": {"downsampling_ratio": 2048, "io_channels": 2, "latent_dim": 64}}
    model = {
        "pretransform": codec, "conditioning": {"configs": [], "cond_dim": 32}, "diffusion": diffusion,
        "io_channels": arguments["io_channels"],
    }
    config = {
        "model_type": "diffusion_cond", "sample_size": 2097152, "sample_rate": 44100, "audio_channels": 2, "model": model,
        "training": {"use_ema": True},
    }
    write_json(os.path.join(folder, "model_config.json"), config)


def bare_pickle(folder, arguments, state):
    """The transformer alone, as a training checkpoint, with its arguments alone."""
    state = {f"model.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state, "epoch": 3}, os.path.join(folder, "model.ckpt"))
    write_json(os.path.join(folder, "config.json"), arguments)


def bare_file(folder, arguments, state):
    save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    write_json(os.path.join(folder, "model_config.json"), {"type": "dit", "config": arguments})


def as_diffusers(state):
    """The same weights under diffusers' names."""
    names = [
        ("transformer.layers", "transformer_blocks"), ("pre_norm", "norm1"), ("cross_attend_norm", "norm2"), ("ff_norm", "norm3"),
        ("gamma", "weight"), ("beta", "bias"), ("self_attn", "attn1"), ("cross_attn", "attn2"), ("to_out", "to_out.0"),
        ("ff.ff.0", "ff.net.0"), ("ff.ff.2", "ff.net.2"), ("timestep_features", "time_proj"), ("to_timestep_embed", "timestep_proj"),
        ("to_global_embed", "global_proj"), ("to_cond_embed", "cross_attention_proj"), ("transformer.project_in", "proj_in"),
        ("transformer.project_out", "proj_out"),
    ]
    converted = {}
    for key, value in state.items():
        if key.endswith("inv_freq"):
            continue
        for old, new in names:
            key = key.replace(old, new)
        if "to_qkv" in key or "to_kv" in key:
            parts = "qkv" if "to_qkv" in key else "kv"
            for part, piece in zip(parts, value.chunk(len(parts))):
                converted[key.replace(f"to_{parts}", f"to_{part}")] = piece
        else:
            converted[key] = value.squeeze(1) if key == "time_proj.weight" else value
    return {key: value.float() for key, value in converted.items()}


def check_both_agree(arguments, state, inputs, sample, exact, rotary_dims):
    """Diffusers says the same of the original's weights, but for the number of rotated dims, which it gets as an argument."""
    width, heads, text = arguments["embed_dim"], arguments["num_heads"], arguments["cond_token_dim"]
    cross = width if arguments.get("project_cond_tokens", True) else text
    model = StableAudioDiTModel(
        in_channels=arguments["io_channels"], out_channels=arguments["io_channels"], num_layers=arguments["depth"],
        attention_head_dim=width // heads, num_attention_heads=heads, num_key_value_attention_heads=cross * heads // width,
        cross_attention_dim=cross, cross_attention_input_dim=text, global_states_input_dim=arguments["global_cond_dim"],
    ).eval()
    model.load_state_dict(as_diffusers(state))
    other = run_diffusers(model, inputs, torch.float32, rotary_dims)
    difference, noise = (other - sample).abs().max(), (sample - exact).abs().max()
    print(f"  both implementations: {difference:.1e} apart")
    assert difference <= 10 * noise, (difference, noise)


def pipeline():
    """Guidance, durations, padding and the stochastic solver together, as a user would run them."""
    folder, steps, frames, text_dim = fresh(PIPELINE), 4, 9, 10
    generator = torch.Generator().manual_seed(50)
    randn = lambda *shape: torch.randn(shape, generator=generator)
    settings = dict(
        sample_size=frames, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        num_key_value_attention_heads=1, cross_attention_dim=8, time_proj_dim=16, global_states_input_dim=16, cross_attention_input_dim=8,
    )
    spread(StableAudioDiTModel(**settings), 51).save_pretrained(os.path.join(folder, "transformer"))
    projection = StableAudioProjectionModel(text_encoder_dim=text_dim, conditioning_dim=8, min_value=0, max_value=512)
    spread(projection, 52).save_pretrained(os.path.join(folder, "projection_model"))
    CosineDPMSolverMultistepScheduler().save_pretrained(os.path.join(folder, "scheduler"))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    inputs = {"text": randn(2, 5, text_dim), "text_mask": mask, "latents": randn(2, 4, frames)}
    inputs |= {f"noise.{k}": randn(2, 4, frames) for k in range(steps)}

    def run(dtype):
        model = lambda kind, name: kind.from_pretrained(os.path.join(folder, name), low_cpu_mem_usage=False).to(dtype)
        pipe = StableAudioPipeline(
            vae=AutoencoderOobleck(4, [2], [1], 4, 4, 2, 44100).to(dtype), text_encoder=None, tokenizer=None,
            projection_model=model(StableAudioProjectionModel, "projection_model"),
            transformer=model(StableAudioDiTModel, "transformer"),
            scheduler=CosineDPMSolverMultistepScheduler.from_pretrained(os.path.join(folder, "scheduler")),
        )
        pipe.set_progress_bar_config(disable=True)
        queue = [inputs[f"noise.{k}"].to(dtype) for k in range(steps)]
        tree = lambda *_, **__: lambda *_: queue.pop(0)
        with precision(dtype), mock.patch.object(cosine_module, "BrownianTreeNoiseSampler", tree):
            return pipe(
                prompt_embeds=inputs["text"].to(dtype), attention_mask=mask, latents=inputs["latents"].to(dtype),
                audio_start_in_s=0.0, audio_end_in_s=frames * 2 / 44100, num_inference_steps=steps, guidance_scale=7.0,
                output_type="latent",
            ).audios

    sample, exact = run(torch.float32), run(torch.float64)
    assert sample.dtype == torch.float32 and exact.dtype == torch.float64
    noise = (sample - exact).abs().max().float()
    golden = {f"in.{name}": value for name, value in inputs.items()}
    golden |= {"out.latents": sample.contiguous(), "noise.latents": noise}
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    print(f"{folder}: noise {noise:.1e}, largest {sample.abs().max():.1f}")


def note_versions():
    """Beside those of the other script of this folder."""
    path = os.path.join(ROOT, "versions.json")
    versions = {}
    if os.path.exists(path):
        with open(path) as file:
            versions = json.load(file)
    versions |= {m.__name__: m.__version__ for m in (diffusers, safetensors, torch)}
    versions["stable-audio-tools"] = importlib.metadata.version("stable-audio-tools")
    write_json(path, dict(sorted(versions.items())))


def main():
    torch.set_num_threads(1)
    settings = dict(
        sample_size=16, in_channels=6, num_layers=2, attention_head_dim=8, num_attention_heads=4, num_key_value_attention_heads=2,
        out_channels=6, cross_attention_dim=16, time_proj_dim=32, global_states_input_dim=20, cross_attention_input_dim=12,
    )
    case("sa_dit", 1, settings, draw(2, 6, 12, 20, 13))
    # Other widths everywhere, masked states, a global condition with an axis of its own.
    settings |= dict(num_layers=3, attention_head_dim=12, num_attention_heads=2, num_key_value_attention_heads=1, out_channels=5)
    inputs = draw(4, 6, 12, 20, 7, states=4)
    inputs["global"] = inputs["global"].unsqueeze(1)
    inputs["text_mask"] = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0]])
    case("sa_dit_sharded", 3, settings, inputs, max_shard_size="60KB")
    # 32 rotated dims of 32; text that stays narrow, so that its heads are fewer.
    arguments = dict(
        io_channels=6, embed_dim=64, depth=2, num_heads=2, cond_token_dim=32, global_cond_dim=20, project_cond_tokens=False,
        transformer_type="continuous_transformer",
    )
    inputs = draw(6, 6, 32, 20, 13)
    result = original("sa_dit_original", 5, arguments, inputs, whole_file)
    check_both_agree(arguments, inputs=inputs, state=result[0], sample=result[1], exact=result[2], rotary_dims=32)
    # 32 rotated dims of 48, where half would be 24; normalised heads, another feed-forward network and epsilon.
    arguments = dict(
        io_channels=4, embed_dim=48, depth=1, num_heads=1, cond_token_dim=10, global_cond_dim=12,
        attn_kwargs={"qk_norm": "ln"}, ff_kwargs={"mult": 1.5}, norm_kwargs={"bias": True, "eps": 0.01},
    )
    original("sa_dit_original_pickled", 7, arguments, draw(8, 4, 10, 12, 5), bare_pickle)
    arguments = dict(
        io_channels=4, embed_dim=48, depth=1, num_heads=1, cond_token_dim=10, global_cond_dim=48, project_global_cond=False,
        diffusion_objective="rectified_flow", ff_kwargs={"mult": 1},
    )
    original("sa_dit_original_bare", 9, arguments, draw(10, 4, 10, 48, 5, batch=1), bare_file)
    pipeline()
    note_versions()


if __name__ == "__main__":
    main()
