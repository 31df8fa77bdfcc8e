#!/usr/bin/env python3
"""Makes goldens of tests/transformers_test.cpp for Llama and its kin: tiny random models of transformers, and one in llama2.c's files.

    python3 tests/goldens/make_llama_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

NAME/ is a model as transformers saves it, NAME.gguf what it computes (see make_transformers_goldens.py):
    llama        grouped queries, a head size of its own, an untied head
    llama3       Llama 3's scaling of positions, biases everywhere, a tied head, in two shards
    mistral      without a window, linear scaling of positions
    qwen2        biases on queries, keys and values
and of llama2.c (export.py there: legacy_export, version1_export, and train.py's checkpoint)
    llama2c_v0.bin, llama2c_v1.bin, llama2c.pt    all of llama2c.gguf
"""
import struct

import torch
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM)

from make_transformers_goldens import OUT, write_expected


def model(seed, make, config, **options):
    torch.manual_seed(seed)
    m = make(config(**dict(num_hidden_layers=2, hidden_size=16, intermediate_size=20, num_attention_heads=4, num_key_value_heads=2,
                           vocab_size=23, max_position_embeddings=24, bos_token_id=1, eos_token_id=2) | options)).eval()
    with torch.no_grad():  # larger than initial values, so that nothing is near zero
        for p in m.parameters():
            p.copy_(0.4 * torch.randn_like(p) + (p == 1))
    return m


def rope(kind, theta, **options):
    return {"rope_type": kind, "rope_theta": theta, **options}


def save(name, m, **options):
    m.save_pretrained(OUT / name, **options)
    (OUT / name / "generation_config.json").unlink()
    write_expected(name, m)


def meta_names(m):
    """Names and orders of Meta's Llama: the two numbers of each rotary pair are neighbours."""
    c, names = m.config, {"model.embed_tokens": "tok_embeddings", "model.norm": "norm", "lm_head": "output"}
    inside = {"input_layernorm": "attention_norm", "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk",
              "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo", "post_attention_layernorm": "ffn_norm",
              "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2", "mlp.up_proj": "feed_forward.w3"}
    out = {}
    for name, t in m.state_dict().items():
        stem = name.removesuffix(".weight")
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            if part.endswith(("q_proj", "k_proj")):
                D = c.hidden_size // c.num_attention_heads
                t = t.view(-1, 2, D // 2, t.shape[1]).transpose(1, 2).reshape(t.shape)
            out[f"layers.{layer}.{inside[part]}.weight"] = t.clone()
        else:
            out[names[stem] + ".weight"] = t.clone()
    return out


def floats(*tensors):
    return b"".join(t.float().contiguous().numpy().tobytes() for t in tensors)


def llama2c(m):
    c, w = m.config, meta_names(m)
    layers = range(c.num_hidden_layers)
    each = lambda *parts: [w[f"layers.{l}.{part}.weight"] for part in parts for l in layers]
    sizes = [c.hidden_size, c.intermediate_size, c.num_hidden_layers, c.num_attention_heads, c.num_key_value_heads, c.vocab_size,
             c.max_position_embeddings]
    attention = each("attention.wq", "attention.wk", "attention.wv", "attention.wo")
    feed_forward = each("feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
    table = torch.zeros(c.max_position_embeddings * (c.hidden_size // c.num_attention_heads))  # cosines and sines
    legacy = struct.pack("<7i", *sizes[:5], -sizes[5], sizes[6])  # negative: the head is not the embedding
    legacy += floats(w["tok_embeddings.weight"], *each("attention_norm"), *attention, *each("ffn_norm"), *feed_forward,
                     w["norm.weight"], table, w["output.weight"])
    (OUT / "llama2c_v0.bin").write_bytes(legacy)
    version1 = (struct.pack("<Ii7iB", 0x616b3432, 1, *sizes, 0)).ljust(256, b"\0")
    version1 += floats(*each("attention_norm", "ffn_norm"), w["norm.weight"], w["tok_embeddings.weight"], *attention,
                       *feed_forward, w["output.weight"])
    (OUT / "llama2c_v1.bin").write_bytes(version1)
    arguments = dict(dim=c.hidden_size, n_layers=c.num_hidden_layers, n_heads=c.num_attention_heads,
                     n_kv_heads=c.num_key_value_heads, vocab_size=c.vocab_size, multiple_of=4,
                     max_seq_len=c.max_position_embeddings, dropout=0.0)
    torch.save({"model": {"_orig_mod." + n: t for n, t in w.items()}, "model_args": arguments, "iter_num": 7},
               OUT / "llama2c.pt")
    write_expected("llama2c", m)


def main():
    save("llama", model(21, LlamaForCausalLM, LlamaConfig, tie_word_embeddings=False, head_dim=6, rms_norm_eps=1e-5,
                        rope_parameters=rope("default", 500.0)))
    llama3 = rope("llama3", 400.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    save("llama3", model(22, LlamaForCausalLM, LlamaConfig, tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
                         head_dim=8, rope_parameters=llama3), max_shard_size=8000)
    save("mistral", model(33, MistralForCausalLM, MistralConfig, tie_word_embeddings=False, sliding_window=None,
                          rope_parameters=rope("linear", 1000.0, factor=2.5)))
    save("qwen2", model(24, Qwen2ForCausalLM, Qwen2Config, tie_word_embeddings=True, num_attention_heads=2,
                        num_key_value_heads=1))
    llama2c(model(25, LlamaForCausalLM, LlamaConfig, tie_word_embeddings=False, rms_norm_eps=1e-5))


if __name__ == "__main__":
    main()
