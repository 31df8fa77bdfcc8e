#!/usr/bin/env python3
"""Makes the goldens of tests/marian_test.cpp: a tiny random MarianMTModel, and what transformers computes with it, in double.

    python3 tests/goldens/make_marian_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

transformers/marian/ is the model (save_pretrained); marian.gguf holds
    source_ids (B,S), source_lengths (B), ids, targets (B,T) int32   a batch; target -1 does not count
    logits (B,T,V), loss (1), grad.NAME                              by transformers' names
    beam_ids (B,T), beam_scores (B)                                  what generate() finds for each source, -1 after the end
"""
import pathlib

import torch
import torch.nn.functional as F
from transformers import MarianConfig, MarianMTModel

from make_goldens import write_gguf

OUT = pathlib.Path(__file__).resolve().parent / "transformers"
END, START, BEAMS, PENALTY = 0, 18, 4, 0.8


def main(seed=66):
    torch.manual_seed(seed)
    config = MarianConfig(vocab_size=19, d_model=12, encoder_layers=2, decoder_layers=3, encoder_attention_heads=3, decoder_attention_heads=3,
                          encoder_ffn_dim=20, decoder_ffn_dim=20, max_position_embeddings=14, activation_function="swish", scale_embedding=True,
                          pad_token_id=START, eos_token_id=END, forced_eos_token_id=None, decoder_start_token_id=START, dropout=0.0)
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, p in list(model.named_parameters()) + [("final_logits_bias", model.final_logits_bias)]:
            if "embed_positions" not in name:  # sinusoids
                p.copy_((0.2 if "shared" in name else 0.4) * torch.randn_like(p) + (p == 1))
    model.save_pretrained(OUT / "marian")
    (OUT / "marian" / "generation_config.json").unlink()
    double = MarianMTModel(config).eval().double()
    double.load_state_dict(model.state_dict())

    B, S, T = 3, 9, 11
    source, lengths = torch.randint(1, START, (B, S)), torch.tensor([9, 5, 7])
    ids, targets = torch.randint(START, (B, T)), torch.randint(START, (B, T))
    targets[torch.rand(B, T) < 0.2] = -1
    mask = (torch.arange(S) < lengths[:, None]).long()
    logits = double(input_ids=source, attention_mask=mask, decoder_input_ids=ids).logits
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    loss.backward()
    tensors = {"source_ids": source, "source_lengths": lengths, "ids": ids, "targets": targets, "logits": logits, "loss": loss.reshape(1)}
    tensors |= {"grad." + n: p.grad for n, p in double.named_parameters() if p.grad is not None and "embed_positions" not in n}

    found, scores = torch.full((B, T), -1), torch.zeros(B)
    for b in range(B):
        g = double.generate(source[b:b + 1, :lengths[b]], num_beams=BEAMS, length_penalty=PENALTY, early_stopping=False, max_length=T,
                            bad_words_ids=[[START]], output_scores=True, return_dict_in_generate=True)
        written = [t for t in g.sequences[0, 1:].tolist() if t not in (END, START)]
        found[b, :len(written)] = torch.tensor(written)
        scores[b] = g.sequences_scores[0]
    tensors |= {"beam_ids": found, "beam_scores": scores}
    write_gguf(OUT / "marian.gguf", {"general.architecture": "golden", "beams": BEAMS, "length_penalty": PENALTY}, tensors)
    print("loss", loss.item(), "beams", found.tolist(), scores.tolist())


if __name__ == "__main__":
    main()
