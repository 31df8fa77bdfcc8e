#!/usr/bin/env python3
"""Makes optimizers.gguf, the goldens of tests/optimizer_golden_test.cpp: updates of torch.optim and losses with smoothed labels.

    python3 tests/goldens/make_optimizer_goldens.py        # PyTorch (>= 2.0, CPU); writes beside itself

    weights (C), gradients (T,C)     where every optimizer begins, and the gradients of its steps
    NAME (T,C)                       the weights after each step, in float32; the test has the options of each NAME
    logits (R,V), targets (R) int32  a batch, in which target -1 does not count
    loss.S (1), dlogits.S (R,V)      cross_entropy with label_smoothing S, mean over the rows that count, in double
"""
import pathlib

import torch
import torch.nn.functional as F

from make_goldens import write_gguf

STEPS, CHANNELS, ROWS, VOCAB = 12, 133, 9, 77
MAKE = {
    "adamw": lambda w: torch.optim.AdamW(w, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1),
    "adam": lambda w: torch.optim.Adam(w, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1),
    "adam_plain": lambda w: torch.optim.Adam(w, lr=1e-2, betas=(0.9, 0.95), eps=1e-8),
    "sgd": lambda w: torch.optim.SGD(w, lr=1e-2, weight_decay=0.1),
    "sgd_momentum": lambda w: torch.optim.SGD(w, lr=1e-2, momentum=0.9, weight_decay=0.1),
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=1e-2, weight_decay=0.1),
    "adagrad_plain": lambda w: torch.optim.Adagrad(w, lr=1e-2),
}

torch.manual_seed(14)
start, gradients = torch.randn(CHANNELS), torch.randn(STEPS, CHANNELS)
tensors = {"weights": start, "gradients": gradients}
for name, make in MAKE.items():
    w = start.clone().requires_grad_()
    optimizer, after = make([w]), []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        after.append(w.detach().clone())
    tensors[name] = torch.stack(after)

logits, targets = 3 * torch.randn(ROWS, VOCAB), torch.randint(VOCAB, (ROWS,))
targets[2] = targets[7] = -1
tensors |= {"logits": logits, "targets": targets}
for smoothing in (0.0, 0.1, 0.6):
    x = logits.double().requires_grad_()
    loss = F.cross_entropy(x, targets, ignore_index=-1, label_smoothing=smoothing)
    loss.backward()
    tensors |= {f"loss.{smoothing}": loss.reshape(1), f"dlogits.{smoothing}": x.grad}
write_gguf(pathlib.Path(__file__).resolve().parent / "optimizers.gguf", {"general.architecture": "golden"}, tensors)
