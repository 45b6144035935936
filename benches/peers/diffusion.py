"""One evaluation of Stable Audio's transformer for a conditional and a null row: diffusers."""

from harness import main, path, timed

import torch
from diffusers import StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from safetensors.torch import load_file, save_file

FRAMES = 256


def prepare(folder, quick):
    StableAudioDiTModel(num_layers=4 if quick else 24).save_pretrained(folder)
    inputs = {
        "latents": torch.randn(2, 64, FRAMES), "timestep": torch.tensor([0.5, 0.5]),
        "text": torch.randn(2, 64, 768), "global": torch.randn(2, 1536),
    }
    save_file(inputs, path(folder, "io.safetensors"))


def run(folder, args):
    model = StableAudioDiTModel.from_pretrained(folder).eval()
    x = load_file(path(folder, "io.safetensors"))
    # One position more than frames: the global state stands in front.
    rotary = get_1d_rotary_pos_embed(32, FRAMES + 1, use_real=True, repeat_interleave_real=False)
    call = lambda: model(
        x["latents"], x["timestep"], encoder_hidden_states=x["text"], global_hidden_states=x["global"][:, None],
        rotary_embedding=rotary).sample
    timed("diffusers", 1, args.secs, call)


main(prepare, run)
