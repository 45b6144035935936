"""Golden fixtures for musicot-lm, made by the reference implementation (transformers' LlamaForCausalLM).

Usage: python tests/reference/llama.py   (from the repository root; transformers 5, torch, safetensors)

Writes musicot-lm/tests/golden/llama_*/: a tiny model with seeded random weights in the published layout (config.json,
generation_config.json, safetensors whole or in shards, or pytorch_model.bin), the case (`case.json`, `io.safetensors`) and in
`golden.safetensors`:

  out.logits         [batch, seq, vocab], the pass over the whole prompt
  out.greedy_tokens  [batch, steps], generate(do_sample=False) with its cache
  out.greedy_logits  [batch, steps, vocab], the raw logits of those steps
  noise.logits, noise.greedy_logits   largest difference between the reference in f32 and in f64

Positions that padding hides are left at 0. The versions used are written into `versions.json`.
"""

import collections
import json
import os
import shutil
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = os.path.join("musicot-lm", "tests", "golden")
SIZES = dict(
    vocab_size=48, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=None, eos_token_id=None,
)
# A step whose two best logits are closer than this could turn over by rounding: then another seed is needed.
MARGIN = 1e-3


def spread(model, seed):
    """Random values large enough that every term of the computation shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            noise = torch.randn(value.shape, generator=generator)
            if "norm" in name:
                value.copy_(1 + 0.2 * noise)
            else:
                value.copy_(noise * (0.6 if "embed" in name or "lm_head" in name else 0.3))


def load(folder, dtype):
    """Anew for each run: the dynamic rope keeps what it last grew to."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).to(dtype).eval()


def run(folder, ids, mask, new_tokens, dtype):
    positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0)
    with torch.no_grad():
        logits = load(folder, dtype)(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        decoded = load(folder, dtype).generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=new_tokens, output_logits=True,
            return_dict_in_generate=True,
        )
    logits = logits * mask.unsqueeze(-1)
    return logits, decoded.sequences[:, ids.shape[1]:], torch.stack(decoded.logits, 1)


def golden(folder, ids, mask, new_tokens):
    """Runs the reference on the directory as a user would load it, and writes the case."""
    logits, tokens, steps = run(folder, ids, mask, new_tokens, torch.float32)
    exact_logits, exact_tokens, exact_steps = run(folder, ids, mask, new_tokens, torch.float64)
    assert torch.equal(tokens, exact_tokens), folder
    best = steps.topk(2, -1).values
    margin = (best[..., 0] - best[..., 1]).min().item()
    assert margin > MARGIN, (folder, margin)
    noise = [(logits - exact_logits).abs().max().float(), (steps - exact_steps).abs().max().float()]
    inputs = {"in.input_ids": ids}
    if not mask.all():
        inputs["in.attention_mask"] = mask
    save_file(inputs, os.path.join(folder, "io.safetensors"))
    outputs = {
        "out.logits": logits.contiguous(), "out.greedy_tokens": tokens.contiguous(),
        "out.greedy_logits": steps.contiguous(), "noise.logits": noise[0], "noise.greedy_logits": noise[1],
    }
    save_file(outputs, os.path.join(folder, "golden.safetensors"))
    write_json(os.path.join(folder, "case.json"), {"kind": "llama", "new_tokens": new_tokens})
    print(f"{folder}: noise {noise[0]:.1e} {noise[1]:.1e}, margin {margin:.1e}")
    return tokens


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def case(name, seed, settings=None, shape=(2, 9), new_tokens=6, padding=None, shard=None, edit=None):
    """One directory. `padding`: masked ids in front of each row; `edit(folder)` changes the files once they are saved."""
    folder = os.path.join(ROOT, "llama_" + name)
    shutil.rmtree(folder, ignore_errors=True)
    model = LlamaForCausalLM(LlamaConfig(**(SIZES | (settings or {}))))
    spread(model, seed)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    if edit:
        edit(folder)
    ids = torch.randint(0, SIZES["vocab_size"], shape, generator=torch.Generator().manual_seed(seed + 1))
    mask = torch.ones_like(ids)
    for row, count in enumerate(padding or []):
        mask[row, :count] = 0
    return folder, ids, mask, golden(folder, ids, mask, new_tokens)


def other_head(folder):
    """A tied configuration whose file has an output matrix of its own."""
    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    noise = torch.randn(tensors["model.embed_tokens.weight"].shape, generator=torch.Generator().manual_seed(99))
    tensors["lm_head.weight"] = noise * 0.6
    save_file(tensors, path, metadata={"format": "pt"})


def head_only(folder):
    """A tied configuration whose file has the shared matrix under the output's name."""
    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    save_file(tensors, path, metadata={"format": "pt"})


def as_version_4(folder):
    """What transformers 4 wrote: other keys, bfloat16, a buffer of frequencies per layer."""
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
    config["torch_dtype"] = "bfloat16"
    config["pretraining_tp"] = 1
    config["transformers_version"] = "4.31.0"
    for key in ("dtype", "head_dim", "num_key_value_heads", "attention_bias", "mlp_bias"):
        config.pop(key)
    write_json(path, config)
    os.remove(os.path.join(folder, "generation_config.json"))
    path = os.path.join(folder, "model.safetensors")
    tensors = {name: value.bfloat16() for name, value in load_file(path).items()}
    for layer in range(config["num_hidden_layers"]):
        tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.full([3], 0.5)
    save_file(tensors, path, metadata={"format": "pt"})


def as_pickle(folder):
    """bfloat16 in a file of torch.save, where tied names share a storage."""
    path = os.path.join(folder, "model.safetensors")
    tensors = {name: value.bfloat16() for name, value in load_file(path).items()}
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    torch.save(collections.OrderedDict(tensors), os.path.join(folder, "pytorch_model.bin"))
    os.remove(path)


def ends(folder, ids, mask, tokens, new_tokens):
    """Rows that end at different steps, each at an id of its own; then nobody goes on."""
    path = os.path.join(folder, "generation_config.json")
    with open(path) as file:
        config = json.load(file)
    config["eos_token_id"] = [tokens[0, 2].item(), tokens[1, 4].item()]
    config["pad_token_id"] = 7
    write_json(path, config)
    ended = golden(folder, ids, mask, new_tokens)
    assert ended.shape[1] == 5 and (ended[0, 3:] == 7).all(), ended


def rope(kind, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0} | more}


def main():
    torch.set_num_threads(1)
    case("gqa", 1)
    case("tied", 2, dict(tie_word_embeddings=True))
    case("tied_other_head", 3, dict(tie_word_embeddings=True), edit=other_head)
    case("tied_head_only", 4, dict(tie_word_embeddings=True), edit=head_only)
    case("linear", 5, rope("linear", factor=4.0))
    # Longer than its training from the start, rows of different lengths; and growing past it while decoding.
    case("dynamic", 6, dict(max_position_embeddings=8) | rope("dynamic", factor=2.0), (2, 19), padding=[0, 4])
    case("dynamic_growing", 7, dict(max_position_embeddings=8) | rope("dynamic", factor=4.0), (2, 6))
    # Wavelengths of 6.3, 29 and 135 positions and longer: each of the three bands.
    llama3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
    case("llama3", 8, dict(head_dim=12) | llama3, (2, 16))
    case("head_dim", 9, dict(head_dim=10, num_attention_heads=3, num_key_value_heads=1))
    case("biases", 10, dict(attention_bias=True, mlp_bias=True))
    case("sharded", 11, shard="16KB")
    case("version_4", 12, dict(num_key_value_heads=4) | rope("linear", factor=2.0), edit=as_version_4)
    case("pickled", 14, dict(num_hidden_layers=1, tie_word_embeddings=True), (1, 5), 3, edit=as_pickle)
    folder, ids, mask, tokens = case("padded", 13, shape=(3, 9), padding=[5, 0, 2], new_tokens=8)
    shutil.rmtree(os.path.join(ROOT, "llama_ends"), ignore_errors=True)
    ends(shutil.copytree(folder, os.path.join(ROOT, "llama_ends")), ids[:2], mask[:2], tokens, 8)
    versions = {m.__name__: m.__version__ for m in (safetensors, torch, transformers)}
    write_json(os.path.join(ROOT, "versions.json"), versions)
    print(versions)


if __name__ == "__main__":
    main()
