#!/usr/bin/env python3
"""Makes the goldens of tests/rlhf_golden_test.cpp with PyTorch and transformers: one step of PPO, GRPO, DPO and of a reward model
from given rollouts, computed in double.

    python3 tests/goldens/make_rlhf_goldens.py    # writes into rlhf/ beside itself

rlhf/policy/      a small random GPT-2 as transformers saves it, without a tokenizer
rlhf/NAME/        the same, with the gradients of a loss in place of the weights
rlhf/steps.json   the rollouts, 8 rows of ids, of which the first prompt[b] were given and the others, up to lengths[b], written; what
                  PPO makes of them (advantages, returns, by token of a response), the losses, and the gradients of the head of
                  values or scores

Per token of a response: logp and values of the policy, old_logp and old_values of the one that wrote it, ref_logp of the
reference. Rows 2i and 2i + 1 share a prompt and are a chosen and a rejected one; groups are of 4.
"""
import json
import pathlib
import shutil

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

OUT = pathlib.Path(__file__).parent / "rlhf"
B, T, KL, GAMMA, LAMBDA = 8, 12, 0.05, 0.98, 0.95
torch.manual_seed(21)
config = GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=32, n_positions=16, bos_token_id=0, eos_token_id=0)


def shaken(model, noise):
    other = GPT2LMHeadModel(config).eval().double()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for p in other.parameters():
            p.copy_((p + noise * torch.randn(p.shape)).float().double())
    return other


def save(model, name):
    shutil.rmtree(OUT / name, ignore_errors=True)
    model.float().save_pretrained(OUT / name)
    (OUT / name / "generation_config.json").unlink(missing_ok=True)


def look(model, ids):
    """log-probabilities of ids and the hidden states that they come from, of all but the first"""
    out = model(ids, output_hidden_states=True)
    logp = F.log_softmax(out.logits, -1)[:, :-1]
    return logp.gather(-1, ids[:, 1:, None])[..., 0], out.hidden_states[-1][:, :-1], -(logp.exp() * logp).sum(-1)


policy = shaken(GPT2LMHeadModel(config).double(), 0.1)
reference, writer = shaken(policy, 0.03), shaken(policy, 0.02)
prompt = torch.randint(2, T // 2, (B // 2,)).repeat_interleave(2)
lengths = torch.randint(T // 2 + 1, T + 1, (B,))
ids = torch.randint(1, 32, (B, T))
for b in range(1, B, 2):
    ids[b, : prompt[b]] = ids[b - 1, : prompt[b]]
at = torch.arange(1, T)
mask = ((at >= prompt[:, None]) & (at < lengths[:, None])).double()
ids = ids * (torch.arange(T) < lengths[:, None])
reward = torch.randn(B).double().float().double()
w, b = (0.1 * torch.randn(16)).double().requires_grad_(), torch.tensor(0.05).double().requires_grad_()
f32 = lambda t: t.detach().float().double()
with torch.no_grad():
    w.copy_(f32(w))
    b.copy_(f32(b))
    old_logp, hidden, _ = look(writer, ids)
    old_values = f32((hidden @ w + b) * mask)
    old_logp, ref_logp = f32(old_logp * mask), f32(look(reference, ids)[0] * mask)
logp, hidden, entropy = look(policy, ids)
over = lambda x: (x * mask).sum() / mask.sum()

# What every token was worth.
costs = -KL * (old_logp - ref_logp) * mask
raw = torch.zeros_like(costs)
for row in range(B):
    after, next_value = 0.0, 0.0
    for t in reversed(range(prompt[row] - 1, lengths[row] - 1)):
        gain = costs[row, t] + (reward[row] if t == lengths[row] - 2 else 0.0)
        after = gain + GAMMA * next_value - old_values[row, t] + GAMMA * LAMBDA * after
        raw[row, t], next_value = after, old_values[row, t]
returns = raw + old_values * mask
inside = raw[mask > 0]
advantages = (raw - inside.mean()) * torch.rsqrt(inside.var() + 1e-8) * mask

ratio = torch.exp((logp - old_logp) * mask)
values = hidden @ w + b
near = torch.minimum(torch.maximum(values, old_values - 0.2), old_values + 0.2)
ppo = over(torch.maximum(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2))) - 0.01 * over(entropy) \
    + 0.1 * 0.5 * over(torch.maximum((values - returns) ** 2, (near - returns) ** 2))
groups = reward.view(-1, 4)
better = ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).view(-1, 1)
d = (ref_logp - logp) * mask
per_token = -torch.minimum(ratio * better, ratio.clamp(0.8, 1.2) * better) + 0.04 * (torch.exp(d) - d - 1)
grpo = over(per_token)
gain = ((logp - ref_logp) * mask).sum(1)
dpo = -F.logsigmoid(0.1 * (gain[0::2] - gain[1::2])).mean()
last = policy(ids, output_hidden_states=True).hidden_states[-1][torch.arange(B), lengths - 1]
score = last @ w
reward_model = -F.logsigmoid(score[0::2] - score[1::2]).mean()

shutil.rmtree(OUT, ignore_errors=True)
steps = {"prompt": prompt.tolist(), "lengths": lengths.tolist(), "ids": [row[:n] for row, n in zip(ids.tolist(), lengths.tolist())],
         "rewards": reward.tolist(), "value.weight": w.tolist(), "value.bias": [b.item()]}
for name, tensor in dict(old_logp=old_logp, old_values=old_values, ref_logp=ref_logp, advantages=advantages, returns=returns).items():
    steps[name] = [row[m > 0].tolist() for row, m in zip(tensor, mask)]
for name, loss in dict(ppo=ppo, grpo=grpo, dpo=dpo, reward=reward_model).items():
    found = torch.autograd.grad(loss, [*policy.parameters(), w, b], retain_graph=True, allow_unused=True)
    gradients = shaken(policy, 0)
    with torch.no_grad():
        for p, g in zip(gradients.parameters(), found):
            p.copy_(torch.zeros_like(p) if g is None else g)
    save(gradients, name)
    steps[name] = {"loss": loss.item(), "value.weight": found[-2].tolist() if found[-2] is not None else [],
                   "value.bias": [found[-1].item()] if found[-1] is not None else []}
save(policy, "policy")
(OUT / "steps.json").write_text(json.dumps(steps) + "\n")
