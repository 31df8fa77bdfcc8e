#!/usr/bin/env python3
"""Makes goldens of tests/transformers_test.cpp for GPT-1, GPT-Neo, and GPT-2 with other scales of its scores: tiny random models of transformers.

    python3 tests/goldens/make_gpt_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

NAME/ is a model as transformers saves it, NAME.gguf what it computes (see make_transformers_goldens.py):
    gpt1          a tied head, the activation that GPT-1 calls "gelu"
    gpt1_untied   an untied head, "silu"
    gptneo        global and local layers in turn, a window shorter than the text
    gptneo_local  local layers first, erf-GELU, a narrow feed-forward layer, an untied head
    gpt2_scaled   scale_attn_weights: false, scale_attn_by_inverse_layer_idx: true
    gpt2_inverse  scale_attn_by_inverse_layer_idx: true
"""
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoConfig, GPTNeoForCausalLM, OpenAIGPTConfig, OpenAIGPTLMHeadModel

from make_transformers_goldens import OUT, write_expected


def save(name, seed, make, config):
    torch.manual_seed(seed)
    m = make(config).eval()
    with torch.no_grad():  # larger than initial values, so that nothing is near zero
        for p in m.parameters():
            p.copy_(0.4 * torch.randn_like(p) + (p == 1))
    m.save_pretrained(OUT / name)
    (OUT / name / "generation_config.json").unlink()
    write_expected(name, m)


def main():
    gpt1 = dict(n_layer=2, n_embd=12, n_positions=18, n_head=3, vocab_size=19)
    save("gpt1", 41, OpenAIGPTLMHeadModel, OpenAIGPTConfig(**gpt1))
    save("gpt1_untied", 42, OpenAIGPTLMHeadModel, OpenAIGPTConfig(**gpt1, afn="silu", layer_norm_epsilon=1e-3, tie_word_embeddings=False))
    neo = dict(hidden_size=12, max_position_embeddings=20, num_heads=3, vocab_size=23, bos_token_id=0, eos_token_id=0)
    save("gptneo", 43, GPTNeoForCausalLM, GPTNeoConfig(**neo, num_layers=4, attention_types=[[["global", "local"], 2]], window_size=5))
    save("gptneo_local", 44, GPTNeoForCausalLM, GPTNeoConfig(
        **neo, num_layers=3, attention_types=[[["local"], 2], [["global"], 1]], window_size=3, activation_function="gelu",
        intermediate_size=20, tie_word_embeddings=False))
    gpt2 = dict(n_layer=3, n_embd=12, n_positions=16, n_head=3, vocab_size=19, bos_token_id=0, eos_token_id=0,
                scale_attn_by_inverse_layer_idx=True)
    save("gpt2_scaled", 45, GPT2LMHeadModel, GPT2Config(**gpt2, scale_attn_weights=False))
    save("gpt2_inverse", 46, GPT2LMHeadModel, GPT2Config(**gpt2))


if __name__ == "__main__":
    main()
