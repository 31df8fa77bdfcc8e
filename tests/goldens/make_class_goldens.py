#!/usr/bin/env python3
"""Makes goldens of tests/decoder_class_test.cpp: tiny random decoders of transformers that name the class of a text.

    python3 tests/goldens/make_class_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

NAME_class/ is a model as transformers saves it, NAME_class.gguf its logits of texts of several lengths: `ids` (B,T) with
padding behind, `lengths` (B), `logits` (B,N). The Llama is one of several labels for each text.
"""
import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, GPTNeoConfig, GPTNeoForSequenceClassification
from transformers import LlamaConfig, LlamaForSequenceClassification, OpenAIGPTConfig, OpenAIGPTForSequenceClassification
from transformers import Qwen2Config, Qwen2ForSequenceClassification

from make_transformers_goldens import OUT, write_gguf

B, T, V, PAD = 3, 10, 23, 22
LABELS = dict(id2label={i: f"kind {i}" for i in range(3)}, label2id={f"kind {i}": i for i in range(3)}, pad_token_id=PAD)


def save(name, seed, make, config):
    torch.manual_seed(seed)
    m = make(config).eval()
    with torch.no_grad():  # larger than initial values, so that nothing is near zero
        for p in m.parameters():
            p.copy_(0.4 * torch.randn_like(p) + (p == 1))
    m.save_pretrained(OUT / f"{name}_class")
    double = make(config).eval().double()
    double.load_state_dict(m.state_dict())
    lengths = torch.tensor([7, T, 1])
    ids = torch.randint(PAD, (B, T)).masked_fill(torch.arange(T) >= lengths[:, None], PAD)
    with torch.no_grad():
        logits = double(ids, attention_mask=(ids != PAD).long()).logits
    write_gguf(OUT / f"{name}_class.gguf", {"general.architecture": "golden"}, {"ids": ids, "lengths": lengths, "logits": logits})


def main():
    gpt = dict(n_layer=2, n_embd=12, n_positions=T, n_head=3, vocab_size=V, bos_token_id=0, eos_token_id=PAD, **LABELS)
    llama = dict(vocab_size=V, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=T, bos_token_id=0, eos_token_id=PAD, **LABELS)
    save("gpt2", 71, GPT2ForSequenceClassification, GPT2Config(**gpt))
    save("gpt1", 72, OpenAIGPTForSequenceClassification, OpenAIGPTConfig(**gpt))
    save("gptneo", 73, GPTNeoForSequenceClassification, GPTNeoConfig(
        vocab_size=V, hidden_size=12, num_layers=2, num_heads=3, max_position_embeddings=T, window_size=4,
        attention_types=[[["global", "local"], 1]], bos_token_id=0, eos_token_id=PAD, **LABELS))
    save("llama", 74, LlamaForSequenceClassification, LlamaConfig(**llama, problem_type="multi_label_classification"))
    save("qwen2", 75, Qwen2ForSequenceClassification, Qwen2Config(**llama))


if __name__ == "__main__":
    main()
