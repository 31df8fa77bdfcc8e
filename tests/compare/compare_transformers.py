#!/usr/bin/env python3
"""nib beside PyTorch and transformers: logits, gradients and trainings of every family of families.py, and the way there and back.

    python3 compare_transformers.py NIB TRAIN_ON_BATCHES HF_FAMILY.PY [--only TEXT] [--isa NAME] [--seed N]

Each row of families.py becomes a small random folder, which nib converts. Then, for every instruction set of this machine:
    logits      of one sequence, relative L2 error; of a model that predicts hidden tokens, log-probabilities of these
    gradients   of the loss of one batch of sequences of different lengths: the worst relative L2 error of any tensor, each in
                transformers' names and layouts (train_on_batches.cpp, then `nib export`); of one that is zero but for rounding,
                relative to all of them together
    losses      before each of STEPS steps of AdamW on other batches, with decay and clipping: the largest relative difference
    norms       of all gradients, before each of these steps: likewise
and once:
    same file   converted, exported, converted again: byte for byte
    same logits of the exported folder in transformers, bit for bit
    same ids    of a text from both folders' tokenizers and from nib's, where there is one

The reference computes in double precision (but for what transformers always does in single: RMS norms, softmax, rotary angles).
The line "PyTorch f32" has PyTorch's own distance from it: what rounding alone does, with nothing to hold it to.

A training is compared where it is well conditioned. AdamW divides each gradient by its own size, so one that is all rounding, such
as that of a key's bias, which softmax ignores, still moves its weight by the learning rate. Small models, few steps, a modest rate
(LR) and an eps above such gradients (EPS) keep that out of the losses: PyTorch's in single precision are within 3e-7 of those in
double. At a rate of 1e-2 and an eps of 1e-8 the same models' losses part by up to 6e-4, with PyTorch alone.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

from families import ELSEWHERE, FAMILIES, HfFamily, make_folder
from report import Nib, Table, finish, relative_error, run

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "goldens"))
from make_goldens import write_gguf

BOUND = 1e-5
NO_GRADIENT = 1e-12  # of the norm of all, in double precision: rounding
STEPS, LR, EPS = 20, 1e-3, 1e-6
MASK = 42  # the hidden ones among these
TOKENS = [5, 99, 0, 311, 42, 42, 7, 256, 18, 130, 201, 64, 3, 3, 77, 290, 12, 55, 160, 31]
SOURCE = [44, 7, 7, 301, 90, 12, 5, 211, 66, 18, 0]  # of a model with an encoder
TEXT = "Hello world, it's 12 o'clock:\n\tna\u00efve caf\u00e9 \u4f60\u597d \U0001f600  !"


def hf_logits(hf, family, folder, out, *precision):
    """Into out/logits.npy"""
    source = ["--encoder", " ".join(map(str, SOURCE))] if family.encoder else []
    hf(folder, "--tokens", " ".join(map(str, TOKENS)), *source, "-o", out, *precision)


def log_softmax(logits):
    return torch.log_softmax(torch.tensor(logits, dtype=torch.float64), -1).numpy()


def nib_logits(nib, family, model, reference, out, isa):
    if family.masked:
        return nib.masked(model, TOKENS, MASK, reference.shape[-1], isa)
    return nib.logits(model, TOKENS, out, isa, SOURCE if family.encoder else ())


class Reference:
    """What PyTorch makes of a folder, in one precision."""

    def __init__(self, hf, family, folder, out, seed, *precision):
        out.mkdir()
        hf_logits(hf, family, folder, out, *precision)
        hf(folder, "--grads", "--seed", seed, "-o", out / "grads.npz", *precision)
        hf(folder, "--losses", STEPS, "--lr", LR, "--eps", EPS, "--seed", seed, "-o", out / "losses.npz", *precision)
        grads, self.training = np.load(out / "grads.npz"), np.load(out / "losses.npz")
        assert (grads["ids"] == self.training["ids"][0]).all()  # the batch of the gradients is the first of the training
        self.logits = np.load(out / "logits.npy")
        if family.masked:
            self.logits = log_softmax(self.logits[np.array(TOKENS) == MASK])
        self.gradients = {n.removeprefix("grad."): grads[n] for n in grads.files if n.startswith("grad.")}
        self.steps = np.stack([self.training["losses"], self.training["norms"]])

    def write_batches(self, path):
        t = self.training
        settings = {k: float(t[k]) for k in ("lr", "beta1", "beta2", "eps", "weight_decay", "clip")}
        targets = np.where(t["targets"] < 0, -1, t["targets"])
        more = {n: torch.tensor(t[n]) for n in ("encoder_ids", "encoder_lengths") if n in t}
        write_gguf(path, settings, {"ids": torch.tensor(t["ids"]), "targets": torch.tensor(targets)} | more)

    def gradient_error(self, gradient, right):
        """A gradient that is none, such as that of a key's bias, is held to the norm of all of them."""
        whole = np.sqrt(sum(np.sum(np.square(g)) for g in self.gradients.values()))
        if np.linalg.norm(right) > NO_GRADIENT * whole:
            return relative_error(gradient, right)
        return np.linalg.norm(gradient - right) / whole if gradient.shape == right.shape else np.inf

    def errors(self, logits, gradients, steps):
        """Cells of a table. Tensors of other names are an infinite error."""
        worst = np.inf
        if gradients.keys() == self.gradients.keys():
            worst = np.max([self.gradient_error(gradients[n], g) for n, g in self.gradients.items()])  # a NaN is the worst
        losses, norms = np.max(np.abs(steps / self.steps - 1), axis=1)
        errors = dict(logits=relative_error(logits, self.logits), gradients=worst, losses=losses, norms=norms)
        return {name: (error, BOUND) for name, error in errors.items()}


def train(nib, program, model, batches, out, isa):
    """The first gradients by transformers' names; losses and norms (2,STEPS)."""
    steps = run(program, model, batches, out / f"{isa}.gguf", isa)
    nib("export", out / f"{isa}.gguf", "-o", out / isa)
    gradients = load_file(out / isa / "model.safetensors")
    gradients.pop("final_logits_bias", None)  # which is not trained
    return gradients, np.array(steps.split(), dtype=float).reshape(-1, 2).T


def there_and_back(nib, hf, family, folder, model, out):
    """Cells of a table."""
    nib("export", model, "-o", out / "exported")
    nib("convert", out / "exported", "-o", out / "again.gguf")
    logits = []
    for name in (folder, out / "exported"):
        hf_logits(hf, family, name, out / "logits")
        logits.append(np.load(out / "logits" / "logits.npy"))
    cells = {"same file": model.read_bytes() == (out / "again.gguf").read_bytes(), "same logits": np.array_equal(*logits)}
    if (folder / "tokenizer_config.json").exists():
        tokenizers = [transformers.AutoTokenizer.from_pretrained(name) for name in (folder, out / "exported")]
        ids = [t.encode(TEXT) for t in tokenizers]
        end = [tokenizers[0].sep_token_id] if family.masked else []  # which `nib tokenize` leaves out
        cells["same ids"] = ids[0] == ids[1] == nib.tokens(model, TEXT) + end
    return cells


def compare(family, nib, program, hf, isas, seed, table, work):
    folder, model = work / "folder", work / "model.gguf"
    make_folder(family, folder, hf, seed)
    nib("convert", folder, "-o", model)
    reference = Reference(hf, family, folder, work / "f64", seed, "--f64")
    single = Reference(hf, family, folder, work / "f32", seed)
    reference.write_batches(work / "batches.gguf")
    errors = reference.errors(single.logits, single.gradients, single.steps)
    table.line(f"{family.name}: PyTorch f32", {k: f"{error:.1e}" for k, (error, _) in errors.items()})
    for isa in isas:
        logits = nib_logits(nib, family, model, reference.logits, work / "logits.npy", isa)
        gradients, steps = train(nib, program, model, work / "batches.gguf", work, isa)
        table.line(f"  nib, {isa}", reference.errors(logits, gradients, steps))
    table.line("  there and back", there_and_back(nib, hf, family, folder, model, work))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nib")
    p.add_argument("train_on_batches")
    p.add_argument("hf_family")
    p.add_argument("--only", default="", help="families with this in their names")
    p.add_argument("--isa", help="one instruction set (default: all)")
    p.add_argument("--seed", type=int, default=0, help="of weights and batches")
    a = p.parse_args()
    nib, hf = Nib(a.nib), HfFamily(a.hf_family)
    chosen = [f for f in FAMILIES if a.only in f.name]
    missing = set(nib.architectures()) - {f.arch for f in FAMILIES} - ELSEWHERE
    if missing or not chosen:
        sys.exit(f"families.py has no row for {', '.join(missing) or a.only}")
    table = Table(f"Beside PyTorch {torch.__version__} in f64 and transformers {transformers.__version__}; bound {BOUND:.0e}",
                  "logits", "gradients", "losses", "norms", "same file", "same logits", "same ids")
    for family in chosen:
        with tempfile.TemporaryDirectory() as work:
            isas = [a.isa] if a.isa else nib.isas
            compare(family, nib, a.train_on_batches, hf, isas, a.seed, table, pathlib.Path(work))
    finish(table)


if __name__ == "__main__":
    main()
