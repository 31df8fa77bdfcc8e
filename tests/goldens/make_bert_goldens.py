#!/usr/bin/env python3
"""Makes the goldens of tests/bert_test.cpp: tiny random BERTs of transformers, one for each head, and what they compute.

    python3 tests/goldens/make_bert_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

bert_NAME/ is a model as transformers saves it, bert_NAME.gguf holds, computed in double,
    ids, segments (B,T) int32, lengths (B) int32    texts, padded behind their lengths
    hidden (B,T,C), pooled (B,C)                    hidden states, 0 behind a text's length; what the pooler gives, if there is one
    HEAD, dHEAD                                     logits of each head, (B,T,N) or (B,N), and factors of theirs
    grad.NAME                                       gradient of the sum of all logits times those factors, by the names of transformers
"""
import pathlib

import torch
import transformers
from transformers import BertConfig

from make_goldens import write_gguf

OUT = pathlib.Path(__file__).resolve().parent / "transformers"
B, T = 3, 10
# By model: its class, and its outputs by the names of nib's heads.
MODELS = {
    "model": ("BertModel", {}),
    "pretraining": ("BertForPreTraining", {"mlm": "prediction_logits", "nsp": "seq_relationship_logits"}),
    "mlm": ("BertForMaskedLM", {"mlm": "logits"}),
    "nsp": ("BertForNextSentencePrediction", {"nsp": "logits"}),
    "class": ("BertForSequenceClassification", {"class": "logits"}),
    "tag": ("BertForTokenClassification", {"tag": "logits"}),
    "span": ("BertForQuestionAnswering", {"span": None}),
}


def make(name, seed):
    torch.manual_seed(seed)
    class_name, heads = MODELS[name]
    labels = dict(id2label={i: f"kind {i}" for i in range(3)}, label2id={f"kind {i}": i for i in range(3)})
    config = BertConfig(num_hidden_layers=2, hidden_size=16, num_attention_heads=4, intermediate_size=20, vocab_size=29,
                        max_position_embeddings=12, layer_norm_eps=1e-5, **(labels if name in ("class", "tag") else {}))
    m = getattr(transformers, class_name)(config).eval()
    with torch.no_grad():  # larger than initial values, so that nothing is near zero
        for p in m.parameters():
            p.copy_(0.3 * torch.randn_like(p) + (p == 1))
    m.save_pretrained(OUT / f"bert_{name}")
    double = type(m)(config).eval().double()
    double.load_state_dict(m.state_dict())

    lengths = torch.tensor([7, T, 4])
    ids = torch.randint(1, config.vocab_size, (B, T))  # PyTorch gives the row of the padding, 0, no gradient
    mask = torch.arange(T) < lengths[:, None]
    segments = (torch.arange(T) >= lengths[:, None] // 2).long() * mask
    out = double(input_ids=ids, token_type_ids=segments, attention_mask=mask.long())
    base = double.bert if heads else double
    bare = base(input_ids=ids, token_type_ids=segments, attention_mask=mask.long())
    tensors = {"ids": ids, "segments": segments, "lengths": lengths, "hidden": bare.last_hidden_state * mask[..., None]}
    if bare.pooler_output is not None:
        tensors["pooled"] = bare.pooler_output
    total = torch.zeros(()).double()
    for head, output in heads.items():
        logits = torch.stack([out.start_logits, out.end_logits], -1) if output is None else out[output]
        factors = torch.randn(logits.shape).float().double()
        if logits.dim() == 3:
            logits, factors = logits * mask[..., None], factors * mask[..., None]
        total = total + (logits * factors).sum()
        tensors |= {head: logits, "d" + head: factors}
    if heads:
        total.backward()
        tensors |= {"grad." + n: p.grad for n, p in double.named_parameters() if p.grad is not None}
    write_gguf(OUT / f"bert_{name}.gguf", {"general.architecture": "golden"}, tensors)


if __name__ == "__main__":
    for seed, name in enumerate(MODELS):
        make(name, seed + 40)
