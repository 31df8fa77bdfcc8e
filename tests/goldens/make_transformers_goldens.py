#!/usr/bin/env python3
"""Makes the goldens of tests/transformers_test.cpp: tiny random models as other programs save them, and what those compute.

    python3 tests/goldens/make_transformers_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

NAME/ or NAME.pt is a model (save_pretrained of transformers' class, or a state dict of makemore's Transformer); NAME.gguf holds
    ids (T) int32, logits (T,V)   computed in double
    greedy (N) int32              what greedy generation appends to the first 3 ids
    loss (1)                      mean negative log-likelihood of ids 1 ... T-1, each given those before it
names.gguf also has names_loss (1), that of the letters of names.txt and the end of each name, as makemore counts it.
"""
import pathlib

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from make_goldens import write_gguf

OUT = pathlib.Path(__file__).resolve().parent / "transformers"


def model(seed, **config):
    torch.manual_seed(seed)
    m = GPT2LMHeadModel(GPT2Config(**config, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():  # larger than GPT-2's initial values, so that nothing is near zero
        for p in m.parameters():
            p.copy_(0.3 * torch.randn_like(p) + (p == 1))
    return m


def names_loss(m):
    """0 comes before and after a name, letters are 1 to 26; each name is predicted from its own beginning."""
    total, count = 0, 0
    for name in (OUT / "names.txt").read_text().split():
        ids = torch.tensor([0] + [ord(c) - ord("a") + 1 for c in name] + [0])
        total += F.cross_entropy(m(ids[None, :-1]).logits[0], ids[1:], reduction="sum")
        count += len(name) + 1
    return total / count


def write_expected(name, m, length=None):
    """`length`: of ids and logits, if less than the context."""
    config = m.config
    context = config.max_position_embeddings
    double = type(m)(config).eval().double()
    double.load_state_dict(m.state_dict())
    ids = torch.randint(config.vocab_size, (length or context,))
    greedy = ids[:3]
    with torch.no_grad():
        logits = double(ids[None]).logits[0]
        while len(greedy) < context:
            next_logits = double(greedy[None]).logits[0, -1]
            best = next_logits.topk(2).values
            assert best[0] - best[1] > 0.01, "a choice that rounding could turn"
            greedy = torch.cat([greedy, next_logits.argmax(-1, keepdim=True)])
        expected = {"ids": ids, "logits": logits, "greedy": greedy[3:],
                    "loss": F.cross_entropy(logits[:-1], ids[1:]).reshape(1)}
        if name == "names":
            expected["names_loss"] = names_loss(double).reshape(1)
    write_gguf(OUT / (name + ".gguf"), {"general.architecture": "golden"}, expected)


def makemore(state):
    """Names and shapes of makemore's Transformer: Linear instead of Conv1D, a mask in every layer, a head of its own."""
    layers = max(int(k.split(".")[2]) for k in state if k.startswith("transformer.h.")) + 1
    out = {}
    for name, t in state.items():
        conv1d = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        out[name] = t.T.contiguous() if conv1d else t.clone()
    size = state["transformer.wpe.weight"].shape[0]
    for i in range(layers):
        out[f"transformer.h.{i}.attn.bias"] = torch.ones(size, size).tril().view(1, 1, size, size)
    return out


def main():
    OUT.mkdir(exist_ok=True)
    base = dict(n_layer=2, n_embd=12, n_positions=20)
    for name, m in {
        "tied": model(1, **base, n_head=3, vocab_size=19),
        "untied_relu": model(2, **base, n_head=1, vocab_size=23, n_inner=20, activation_function="relu",
                             tie_word_embeddings=False),
        "gelu": model(3, **base, n_head=4, vocab_size=11, activation_function="gelu", layer_norm_epsilon=1e-3),
    }.items():
        m.save_pretrained(OUT / name)
        (OUT / name / "generation_config.json").unlink()
        write_expected(name, m)
    long = model(16, n_layer=2, n_embd=16, n_positions=203, n_head=2, vocab_size=40)
    long.transformer.wpe.weight.data.mul_(4)  # or it repeats itself
    long.save_pretrained(OUT / "long")
    (OUT / "long" / "generation_config.json").unlink()
    write_expected("long", long, 20)
    m = model(4, n_layer=2, n_embd=16, n_positions=16, n_head=4, vocab_size=27, tie_word_embeddings=False)
    torch.save(makemore(m.state_dict()), OUT / "names.pt")
    write_expected("names", m)


if __name__ == "__main__":
    main()
