#!/usr/bin/env python3
"""Makes policy.gguf, the goldens of tests/policy_golden_test.cpp: losses of policies and of preferences.

    python3 tests/goldens/make_policy_goldens.py      # PyTorch (>= 2.0, CPU), in double; writes beside itself

    x (2,14,C)                       hidden states
    head.w (V,C), head.b (V)         a language model's head
    value.w (1,C), value.b (1)       a head of values or scores
    rows (20) int32                  of all 28, those of the tokens
    targets (20) int32               the tokens; -1 does not count
    old, reference, advantages, weights (20)   of the tokens; where the weight is 0, the others are NaN
    old_values, returns (20,1)       NaN where the weight is 0
    texts (8,2) int32                first and last + 1 of the tokens; pairs of a chosen and a rejected text
    sums.scales, sums.offsets, means.scales, means.offsets, scores.scales, scores.offsets (4,2)   of the pairs; one does not count
    last (8) int32                   a row of each text
    ppo.loss, ppo.values (1)         clipped ratio and entropy; clipped values: the sums over tokens / 17
    grpo.loss                        clipped ratio and divergence from the reference
    reinforce.loss                   without old
    dpo.loss, hinge.loss, ipo.loss, reward.loss (1)   means over the pairs that count
    NAME.grad.x, NAME.grad.w, NAME.grad.b, ppo.grad.value.w, ppo.grad.value.b   gradients
"""
import pathlib

import torch
import torch.nn.functional as F

from make_goldens import write_gguf

C, V, N = 37, 19, 20
torch.manual_seed(18)
exact = lambda t: t.detach().float().double()  # as the file stores them
integers = lambda rows: torch.tensor(rows)
x = exact(torch.randn(2, 14, C)).requires_grad_()
heads = {name: [exact(0.3 * torch.randn(*shape)).requires_grad_() for shape in ((n, C), (n,))] for name, n in (("head", V), ("value", 1))}
tensors = {"x": x} | {f"{name}.{part}": t for name, head in heads.items() for part, t in zip("wb", head)}


def add(name, loss, head):
    gradients = torch.autograd.grad(loss, [x, *heads[head]], retain_graph=True)
    tensors.update({f"{name}.loss": loss.reshape(1)} | {f"{name}.grad.{part}": g for part, g in zip("xwb", gradients)})


rows, targets = torch.randint(28, (N,)), torch.randint(V, (N,))
targets[7] = -1
hidden = x.reshape(28, C)[rows]
log_p = F.log_softmax(F.linear(hidden, *heads["head"]), -1)
counts = targets >= 0
logp = torch.where(counts, log_p.gather(1, targets.clamp(0)[:, None])[:, 0], 0.0)
entropy = torch.where(counts, -(log_p.exp() * log_p).sum(-1), 0.0)
values = F.linear(hidden, *heads["value"])
old, reference = exact(logp + 0.5 * torch.randn(N)), exact(logp + 0.5 * torch.randn(N))
advantages, weights = exact(torch.randn(N)), exact(0.2 + torch.rand(N))
old_values, returns = exact(values + 0.3 * torch.randn(N, 1)), exact(values + torch.randn(N, 1))
weights[[3, 7, 11]] = 0
used = weights > 0
counted = used.sum()
ratio, d = torch.exp(logp - old)[used], (reference - logp)[used]
A, w = advantages[used], weights[used]
clipped = lambda low, high: torch.min(ratio * A, ratio.clamp(1 - low, 1 + high) * A)
add("ppo", (w * (-clipped(0.2, 0.2) - 0.01 * entropy[used])).sum() / counted, "head")
add("grpo", (w * (-clipped(0.2, 0.28) + 0.04 * (torch.exp(d) - d - 1))).sum() / counted, "head")
add("reinforce", (w * (-A * logp[used])).sum() / counted, "head")
clipped_values = torch.clamp(values, old_values - 0.2, old_values + 0.2)
squares = torch.max((values - returns) ** 2, (clipped_values - returns) ** 2)[used, 0]
tensors["ppo.values"] = (squares.sum() / counted).reshape(1)
of_values = torch.autograd.grad((w * squares).sum() / counted, [x, *heads["value"]], retain_graph=True)
tensors["ppo.grad.x"] = tensors["ppo.grad.x"] + of_values[0]
tensors |= {"ppo.grad.value.w": of_values[1], "ppo.grad.value.b": of_values[2]}

texts = integers([(0, 2), (2, 5), (5, 6), (6, 10), (10, 13), (13, 14), (15, 17), (17, 20)])
lengths = (texts[:, 1] - texts[:, 0]).double().reshape(4, 2)
sums = lambda t: torch.stack([t[first:end].sum() for first, end in texts.tolist()]).reshape(4, 2)
pairs = torch.tensor([True, True, False, True])
last = torch.randint(28, (8,))
scores = F.linear(x.reshape(28, C)[last], *heads["value"]).reshape(4, 2)
judged = {"sums": (lengths, exact(sums(reference))), "means": (torch.ones(4, 2).double(), exact(sums(reference) / lengths)),
          "scores": (torch.ones(4, 2).double(), torch.zeros(4, 2).double())}
margin = lambda gain: (gain[:, 0] - gain[:, 1])[pairs]
m = margin(sums(logp) - judged["sums"][1])
add("dpo", (-0.9 * F.logsigmoid(0.5 * m) - 0.1 * F.logsigmoid(-0.5 * m)).mean(), "head")
add("hinge", torch.relu(1 - 2 * m).mean(), "head")
add("ipo", ((margin(sums(logp) / lengths - judged["means"][1]) - 1 / (2 * 0.5)) ** 2).mean(), "head")
add("reward", -F.logsigmoid(margin(scores)).mean(), "value")

for t in (old, reference, advantages, old_values, returns):
    t[~used] = torch.nan
for name, (scales, offsets) in judged.items():
    tensors |= {f"{name}.scales": scales, f"{name}.offsets": torch.where(pairs[:, None], offsets, torch.nan)}
tensors |= {"rows": rows, "targets": targets, "old": old, "reference": reference, "advantages": advantages, "weights": weights,
            "old_values": old_values, "returns": returns, "texts": texts, "last": last}
print("outside:", ((ratio - 1).abs() > 0.2).sum().item(), "of", counted.item(), " clipped:", (clipped(0.2, 0.2) != ratio * A).sum().item(),
      " values clipped:", (squares != ((values - returns) ** 2)[used, 0]).sum().item(), " hinge:", (2 * m).tolist())
write_gguf(pathlib.Path(__file__).resolve().parent / "policy.gguf", {"general.architecture": "golden"}, tensors)
