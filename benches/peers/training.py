"""Steps of training a small LLaMA, in eager mode: forward, backward, clipping and AdamW. transformers and torch.optim."""

import json

from harness import main, path, timed

import torch
import transformers
from safetensors.torch import load_file, save_file

ROWS, POSITIONS = 4, 512
RATE, DECAY, CLIP = 1e-4, 0.1, 1.0


def prepare(folder, quick):
    config = transformers.LlamaConfig(
        vocab_size=8192, max_position_embeddings=2048, hidden_size=384, intermediate_size=1024, num_hidden_layers=8,
        num_attention_heads=6, num_key_value_heads=2)
    transformers.LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    rows = 1 if quick else ROWS
    save_file({"ids": torch.randint(0, config.vocab_size, (rows, POSITIONS))}, path(folder, "io.safetensors"))
    with open(path(folder, "case.json"), "w") as file:
        json.dump({"learning_rate": RATE, "weight_decay": DECAY, "clip_norm": CLIP}, file)


def run(folder, args):
    ids = load_file(path(folder, "io.safetensors"))["ids"]
    torch.set_grad_enabled(True)
    for name, is_mixed in [("float32", False), ("bfloat16", True)]:
        model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
                loss = model(ids, labels=ids).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            return loss.item()

        timed("PyTorch " + name, ids.numel(), args.secs, step)


main(prepare, run)
