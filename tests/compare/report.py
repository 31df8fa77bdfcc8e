"""What the comparisons share: running nib, relative errors, and a table in which numbers are held to bounds."""
import json
import os
import subprocess
import sys

import numpy as np


class Nib:
    """The nib binary, on the CPU."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.isas = self("devices").split("kernels ", 1)[1].split("\n", 1)[0].split(", ")

    def __call__(self, *arguments):
        """The standard output of a command that works."""
        return run(self.path, *arguments)

    def architectures(self):
        """The names in its table of families, as it gives them to whoever asks for another one."""
        refused = subprocess.run([self.path, "train", "x", "-o", "x", "--arch", "?"], capture_output=True, text=True)
        return refused.stderr.split("choose one of: ")[1].split(" (see")[0].split(", ")

    def logits(self, model, ids, out, isa="auto", source=()):
        """(T,V), in float32; `source`: what an encoder reads."""
        reads = ["--source", " ".join(map(str, source))] if source else []
        self("logits", model, "--tokens", " ".join(map(str, ids)), "-o", out, "--isa", isa, *reads)
        return np.load(out)

    def masked(self, model, ids, mask, count, isa="auto"):
        """Log-probabilities (n,count) of all tokens at the n places where `ids` has the mask."""
        given = self("fill", model, "--tokens", " ".join(map(str, ids)), "--mask-id", mask, "--top", count, "--isa", isa)
        rows = [sorted(json.loads(line)["tokens"], key=lambda token: token["id"]) for line in given.splitlines()]
        return np.log([[token["probability"] for token in row] for row in rows])

    def tokens(self, model, text):
        return [int(t) for t in self("tokenize", model, "-p", text).split()]


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


def relative_error(a, b):
    """|a - b| / |b|; of tensors that are all zero the norm of the other."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return np.inf
    norm = np.linalg.norm(b)
    return np.linalg.norm(a - b) / norm if norm > 0 else np.linalg.norm(a)


class Table:
    """Prints a line at a time. A number above its bound, or an answer that is not true, gets a mark and fails the comparison."""

    def __init__(self, title, *columns):
        self.columns, self.failures, self.checks = columns, 0, 0
        print(f"{title}\n{'':48s}" + "".join(f"{c:>19s}" for c in columns))

    def line(self, name, cells):
        """Cells by column: (error, bound), a truth, or a text that is not judged."""
        assert not cells.keys() - set(self.columns), cells
        print(f"{name:48s}" + "".join(f"{self.judge(cells.get(c, '')):>19s}" for c in self.columns), flush=True)

    def judge(self, cell):
        if isinstance(cell, str):
            return cell
        error, bound = cell if isinstance(cell, tuple) else (not cell, 0)
        good = error <= bound
        self.checks += 1
        self.failures += not good
        word = f"{error:.1e}" if isinstance(cell, tuple) else "yes" if good else "NO"
        return word if good else "! " + word


def finish(*tables):
    """Ends the program; the exit code is 1 when a bound was broken."""
    failures = sum(t.failures for t in tables)
    print(f"{sum(t.checks for t in tables)} checks, {failures} failed")
    sys.exit(failures > 0)
