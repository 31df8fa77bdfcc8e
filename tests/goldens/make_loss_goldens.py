#!/usr/bin/env python3
"""Makes losses.gguf, the goldens of tests/loss_golden_test.cpp: losses of numbers, labels, answers and sentence embeddings.

    python3 tests/goldens/make_loss_goldens.py        # PyTorch (>= 2.0, CPU), in double; writes beside itself

    x (2,14,C)                       hidden states of every loss
    values.w (3,C), values.b (3)     a head of three numbers
    numbers.targets, labels.targets (2,14,3)   rows that begin with NaN do not count
    numbers.loss, labels.loss (1)    MSELoss and BCEWithLogitsLoss over the rows that count
    span.w (2,C), span.b (2)         a head of the first and last row of an answer
    texts (4,2) int32                first row and last + 1 of texts, of all 28
    span.targets (4,2) int32         the answers' rows; -1 does not count
    span.loss (1)                    as BertForQuestionAnswering: the mean of both ends' cross-entropies, over the texts that count
    anchors (3,2), others (5,2) int32   texts, of which others 0 to 2 belong to the anchors
    contrast.loss (1)                multiple negatives ranking: means, length 1, cosines * 20, cross-entropy
    NAME.grad.x, NAME.grad.w, NAME.grad.b   gradients of the losses
"""
import pathlib

import torch
import torch.nn.functional as F

from make_goldens import write_gguf

C = 37
torch.manual_seed(15)
exact = lambda t: t.float().double().requires_grad_()  # as the file stores them
integers = lambda *rows: torch.tensor(rows)
x = exact(torch.randn(2, 14, C))
heads = {name: (exact(0.3 * torch.randn(n, C)), exact(torch.randn(n))) for name, n in (("values", 3), ("span", 2))}
tensors = {"x": x} | {f"{name}.{part}": t for name, head in heads.items() for part, t in zip("wb", head)}


def add(name, loss, head=()):
    gradients = torch.autograd.grad(loss, [x, *head], retain_graph=True)
    return {f"{name}.loss": loss.reshape(1)} | {f"{name}.grad.{part}": g for part, g in zip("xwb", gradients)}


values = F.linear(x, *heads["values"])
for name, targets, loss in (("numbers", 3 * torch.randn(2, 14, 3), torch.nn.MSELoss()),
                            ("labels", torch.randint(2, (2, 14, 3)), torch.nn.BCEWithLogitsLoss())):
    targets = targets.float().double()
    targets[0, 2, 0] = targets[1, 13, 0] = torch.nan
    counts = ~targets[..., 0].isnan()
    tensors |= {f"{name}.targets": targets} | add(name, loss(values[counts], targets[counts]), heads["values"])

texts = integers((0, 9), (9, 9), (11, 20), (20, 27))
answers = integers((3, 3), (-1, -1), (-1, -1), (22, 26))
logits = F.linear(x, *heads["span"]).reshape(28, 2)
ends = [[F.cross_entropy(logits[first:end, k], answer[k] - first) for k in (0, 1)]
        for (first, end), answer in zip(texts.tolist(), answers) if answer[0] >= 0]
tensors |= {"texts": texts, "span.targets": answers}
tensors |= add("span", sum((start + end) / 2 for start, end in ends) / len(ends), heads["span"])

anchors, others = integers((0, 5), (5, 6), (14, 16)), integers((6, 8), (9, 13), (16, 19), (19, 20), (21, 28))
embed = lambda list: F.normalize(torch.stack([x.reshape(28, C)[first:end].mean(0) for first, end in list.tolist()]), dim=-1)
scores = 20 * embed(anchors) @ embed(others).T
tensors |= {"anchors": anchors, "others": others} | add("contrast", F.cross_entropy(scores, torch.arange(3)))
write_gguf(pathlib.Path(__file__).resolve().parent / "losses.gguf", {"general.architecture": "golden"}, tensors)
