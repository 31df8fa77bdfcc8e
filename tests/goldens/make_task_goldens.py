#!/usr/bin/env python3
"""Makes the goldens of tests/task_golden_test.cpp with PyTorch and transformers: small BERTs with heads, and the losses of five
steps of training them.

    python3 tests/goldens/make_task_goldens.py    # writes into tasks/ beside itself

tasks/NAME/       a model as transformers saves it, without a tokenizer
tasks/cases.json  for each the texts of a batch (ids, segments), what they are to predict (targets, -1 where nothing; second
                  ones of the head for next sentences; numbers; weights of the texts; of spans where the first token is what the last one is), and the loss before each of five updates by AdamW with a learning rate
                  of 0.01, betas of 0.9 and 0.99, an epsilon of 1e-8 and a decay of 0.1 of all but vectors
"""
import json
import pathlib
import shutil

import torch
from transformers import (BertConfig, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification,
                          BertForTokenClassification)

OUT = pathlib.Path(__file__).parent / "tasks"
LENGTHS = [9, 5, 7, 12]
VOCAB, TAGS = 37, ["B-LOC", "B-PER", "I-PER", "O"]


def texts(g):
    ids = [torch.randint(3, VOCAB, (n,), generator=g).tolist() for n in LENGTHS]
    return ids, [[int(t > n // 2) for t in range(n)] for n in LENGTHS]


def fill(rows, value):
    return torch.tensor([row + [value] * (max(LENGTHS) - len(row)) for row in rows])


def loss_of(model, batch, weights):
    """transformers' own, but with weights of classes, and a span is looked for among the tokens of its text alone, not in what
    fills the rows"""
    if weights is not None:
        return torch.nn.functional.cross_entropy(model(**batch).logits, batch["labels"], weight=weights)
    mask = batch.get("mask")
    if mask is None:
        return model(**batch).loss
    out = model(**{k: v for k, v in batch.items() if k not in ("mask", "start_positions", "end_positions")})
    ends = [(out.start_logits, batch["start_positions"]), (out.end_logits, batch["end_positions"])]
    return sum(torch.nn.functional.cross_entropy(logits + mask, at) for logits, at in ends) / 2


def losses(model, batch, weights=None):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0}], lr=0.01,
                                  betas=(0.9, 0.99), eps=1e-8)
    found = []
    for _ in range(5):
        loss = loss_of(model, batch, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def make(name, kind, heads, seed):
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    config = BertConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
                        max_position_embeddings=16, hidden_dropout_prob=0, attention_probs_dropout_prob=0, initializer_range=0.2, **heads)
    model = kind(config)
    shutil.rmtree(OUT / name, ignore_errors=True)
    model.save_pretrained(OUT / name)
    ids, segments = texts(g)
    case = {"name": name, "ids": ids, "segments": segments}
    batch = {"input_ids": fill(ids, 0), "token_type_ids": fill(segments, 0),
             "attention_mask": fill([[1] * n for n in LENGTHS], 0)}
    if name == "numbers":
        case["targets"] = [[0] + [-1] * (n - 1) for n in LENGTHS]
        case["numbers"] = [0.5, -1.25, 3.0, 0.75]
        batch["labels"] = torch.tensor(case["numbers"], dtype=torch.float64)
    elif name == "label_sets":
        case["targets"] = [[0] + [-1] * (n - 1) for n in LENGTHS]
        case["numbers"] = [1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1]
        batch["labels"] = torch.tensor(case["numbers"], dtype=torch.float64).view(len(LENGTHS), -1)
    elif kind is BertForSequenceClassification:
        labels = [2, 0, 1, 2]
        case["targets"] = [[label] + [-1] * (n - 1) for label, n in zip(labels, LENGTHS)]
        batch["labels"] = torch.tensor(labels)
    elif kind is BertForTokenClassification:
        case["targets"] = [[-1 if t % 3 == 1 else (t * 7 + n) % len(TAGS) for t in range(n)] for n in LENGTHS]
        batch["labels"] = fill([[-100 if t < 0 else t for t in row] for row in case["targets"]], -100)
    elif kind is BertForQuestionAnswering:
        spans = [(3, 5), (0, 0), (6, 6), (4, 11)]
        case["targets"] = [[last if t == first else -1 for t in range(n)] for (first, last), n in zip(spans, LENGTHS)]
        batch["start_positions"], batch["end_positions"] = torch.tensor(spans).T
    else:
        follows = [0, 1, 1, 0]
        case["targets"] = [[row[t] if t % 4 == 2 else -1 for t in range(len(row))] for row in ids]
        case["second"] = [[label] + [-1] * (n - 1) for label, n in zip(follows, LENGTHS)]
        batch["labels"] = fill([[-100 if t < 0 else t for t in row] for row in case["targets"]], -100)
        batch["next_sentence_label"] = torch.tensor(follows)
    weights = None
    if name == "weighted":
        weights = torch.tensor([0.5, 2, 1.25], dtype=torch.float64)
        case["weights"] = weights[batch["labels"]].tolist()
    if kind is BertForQuestionAnswering:
        batch["mask"] = fill([[0.0] * n for n in LENGTHS], float("-inf"))
    case["losses"] = losses(model.double(), batch, weights)
    return case


def names(labels):
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


cases = [
    make("classes", BertForSequenceClassification, names(["bad", "fair", "good"]), 1),
    make("tags", BertForTokenClassification, names(TAGS), 2),
    make("pretraining", BertForPreTraining, {}, 3),
    make("numbers", BertForSequenceClassification, {"num_labels": 1}, 4),
    make("label_sets", BertForSequenceClassification, dict(problem_type="multi_label_classification", **names(["a", "b", "c"])), 5),
    make("weighted", BertForSequenceClassification, names(["bad", "fair", "good"]), 6),
    make("answers", BertForQuestionAnswering, {}, 5),
]
(OUT / "cases.json").write_text(json.dumps(cases) + "\n")
