#!/usr/bin/env python3
"""Makes the goldens of tests/attention_map_test.cpp: what transformers shows of the inside of models in transformers/.

    python3 tests/goldens/make_attention_goldens.py   # PyTorch and transformers; writes into attention/ beside itself

NAME.gguf holds, computed in double,
    ids (T) int32, and of BERT segments (T) int32
    weights (L,H,T,T)   of attention
    logits (L,T,V)      the last norm and the head applied to the output of each layer
"""
import pathlib

import torch
from transformers import AutoModelForCausalLM, BertForMaskedLM

from make_goldens import write_gguf

HERE = pathlib.Path(__file__).resolve().parent
LAST_NORM = {"gpt2": "transformer.ln_f", "gpt_neo": "transformer.ln_f", "llama": "model.norm", "qwen2": "model.norm"}


def save(name, seed, length, encoder=False):
    make = BertForMaskedLM if encoder else AutoModelForCausalLM
    m = make.from_pretrained(HERE / "transformers" / name, attn_implementation="eager", dtype=torch.float64).eval()
    torch.manual_seed(seed)
    ids = torch.randint(1, m.config.vocab_size, (length,))
    tensors, more = {"ids": ids}, {}
    if encoder:
        tensors["segments"] = (torch.arange(length) >= length // 2).long()
        more["token_type_ids"] = tensors["segments"][None]
    with torch.no_grad():
        out = m(ids[None], output_attentions=True, output_hidden_states=True, **more)
        norm = LAST_NORM.get(m.config.model_type)
        normed = m.get_submodule(norm) if norm else (lambda x: x)
        head = m.cls if encoder else m.get_output_embeddings()
        layers = [head(normed(x)) for x in out.hidden_states[1:-1]] + [out.logits]  # the last is normed already
    tensors |= {"weights": torch.cat(out.attentions), "logits": torch.cat(layers)}
    write_gguf(HERE / "attention" / (name + ".gguf"), {"general.architecture": "golden"}, tensors)


def main():
    (HERE / "attention").mkdir(exist_ok=True)
    save("gpt1", 61, 11)
    save("gpt2_inverse", 62, 16)
    save("gptneo_local", 63, 13)  # a window of 3
    save("llama", 64, 17)  # grouped queries
    save("qwen2", 65, 9)
    save("bert_mlm", 66, 12, encoder=True)


if __name__ == "__main__":
    main()
