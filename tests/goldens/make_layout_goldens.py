#!/usr/bin/env python3
"""Makes goldens of tests/transformers_test.cpp for models whose programs name their parameters otherwise than transformers.

    python3 tests/goldens/make_layout_goldens.py   # PyTorch and transformers; writes into transformers/ beside itself

NAME.pt is a state dict as that program saves it, NAME.gguf what it computes (see make_transformers_goldens.py): the modules
here have the names and formulas of
    mingpt2020   the first minGPT (August 2020): query, key and value apart, exact GELU
    lecture      the lecture gpt.py: a module for each head, ReLU, a head with a bias
    book         "Build a Large Language Model (From Scratch)": its own norms and GELU, no biases of query, key, value
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from make_goldens import write_gguf
from make_transformers_goldens import OUT

V, T, C, H, L = 23, 12, 12, 3, 2


def attend(q, k, v):
    """(..., T, head size)"""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    mask = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(mask, -math.inf).softmax(-1) @ v


def attend_heads(q, k, v):
    split = lambda x: x.unflatten(-1, (H, C // H)).transpose(-3, -2)
    return attend(split(q), split(k), split(v)).transpose(-3, -2).flatten(-2)


class MinGptAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.query, self.value, self.proj = (nn.Linear(C, C) for _ in range(4))
        self.register_buffer("mask", torch.ones(T, T).tril().view(1, 1, T, T))

    def forward(self, x):
        return self.proj(attend_heads(self.query(x), self.key(x), self.value(x)))


class MinGptBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2, self.attn = nn.LayerNorm(C), nn.LayerNorm(C), MinGptAttention()
        self.mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C), nn.Dropout(0))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class MinGpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(V, C), nn.Parameter(torch.zeros(1, T, C))
        self.blocks = nn.Sequential(*[MinGptBlock() for _ in range(L)])
        self.ln_f, self.head = nn.LayerNorm(C), nn.Linear(C, V, bias=False)

    def forward(self, ids):
        return self.head(self.ln_f(self.blocks(self.tok_emb(ids) + self.pos_emb[0, :len(ids)])))


class LectureHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(C, C // H, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.ones(T, T).tril())

    def forward(self, x):
        return attend(self.query(x), self.key(x), self.value(x))


class LectureAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads, self.proj = nn.ModuleList([LectureHead() for _ in range(H)]), nn.Linear(C, C)

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))


class LectureFeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(C, 4 * C), nn.ReLU(), nn.Linear(4 * C, C), nn.Dropout(0))

    def forward(self, x):
        return self.net(x)


class LectureBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.sa, self.ffwd, self.ln1, self.ln2 = LectureAttention(), LectureFeedForward(), nn.LayerNorm(C), nn.LayerNorm(C)

    def forward(self, x):
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class Lecture(nn.Module):
    def __init__(self):
        super().__init__()
        self.token_embedding_table, self.position_embedding_table = nn.Embedding(V, C), nn.Embedding(T, C)
        self.blocks = nn.Sequential(*[LectureBlock() for _ in range(L)])
        self.ln_f, self.lm_head = nn.LayerNorm(C), nn.Linear(C, V)

    def forward(self, ids):
        x = self.token_embedding_table(ids) + self.position_embedding_table(torch.arange(len(ids)))
        return self.lm_head(self.ln_f(self.blocks(x)))


class BookNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(C)), nn.Parameter(torch.zeros(C))

    def forward(self, x):
        return F.layer_norm(x, (C,), self.scale, self.shift, 1e-5)


class BookAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.W_query, self.W_key, self.W_value = (nn.Linear(C, C, bias=False) for _ in range(3))
        self.out_proj = nn.Linear(C, C)
        self.register_buffer("mask", torch.ones(T, T).triu(1))

    def forward(self, x):
        return self.out_proj(attend_heads(self.W_query(x), self.W_key(x), self.W_value(x)))


class BookFeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(approximate="tanh"), nn.Linear(4 * C, C))

    def forward(self, x):
        return self.layers(x)


class BookBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.att, self.ff, self.norm1, self.norm2 = BookAttention(), BookFeedForward(), BookNorm(), BookNorm()

    def forward(self, x):
        x = x + self.att(self.norm1(x))
        return x + self.ff(self.norm2(x))


class Book(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(V, C), nn.Embedding(T, C)
        self.trf_blocks = nn.Sequential(*[BookBlock() for _ in range(L)])
        self.final_norm, self.out_head = BookNorm(), nn.Linear(C, V, bias=False)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(len(ids)))
        return self.out_head(self.final_norm(self.trf_blocks(x)))


def write_expected(name, m):
    m = m.double()
    ids = torch.randint(V, (T,))
    greedy = ids[:3]
    with torch.no_grad():
        logits = m(ids)
        while len(greedy) < T:
            following = m(greedy)[-1]
            best = following.topk(2).values
            assert best[0] - best[1] > 0.01, "a choice that rounding could turn"
            greedy = torch.cat([greedy, following.argmax(-1, keepdim=True)])
    write_gguf(OUT / (name + ".gguf"), {"general.architecture": "golden"},
               {"ids": ids, "logits": logits, "greedy": greedy[3:],
                "loss": F.cross_entropy(logits[:-1], ids[1:]).reshape(1)})


def main():
    for seed, (name, make) in enumerate({"mingpt2020": MinGpt, "lecture": Lecture, "book": Book}.items()):
        torch.manual_seed(20 + seed)
        m = make().eval()
        with torch.no_grad():  # as in make_transformers_goldens.py
            for p in m.parameters():
                p.copy_(0.3 * torch.randn_like(p) + (p == 1))
        torch.save(m.state_dict(), OUT / (name + ".pt"))
        write_expected(name, m)


if __name__ == "__main__":
    main()
