#!/usr/bin/env python3
"""nib beside llama.cpp, both ways: the files of each give the same logits in the other.

    python3 compare_llamacpp.py NIB LLAMA_PYTHON HF_FAMILY.PY [--smollm2 FILE.gguf] [--converter FILE.py] [--only TEXT]

LLAMA_PYTHON has llama-cpp-python; this script itself needs PyTorch and transformers, which make random models (families.py).
nib converts each and stores it as each type; llama.cpp makes its own files of these types, and with --converter, the
convert_hf_to_gguf.py in a copy of llama.cpp's repository, also one of the model itself. Then, relative L2 errors of logits:
    nib - llama.cpp     of the same file, held to a bound
    nib - exact         nib beside f32 arithmetic with the same weights unpacked (`nib quantize FILE F32 f32`), to the same bound
    llama.cpp - exact   likewise, only reported
Bounds by type are what rounding does. f32: the order of sums. f16: llama.cpp rounds activations to f16 before a product, nib does
not. Blocks: both round activations to 8 bits per block, where the last bit of a float can turn a rounding, which then turns others:
after a few layers the two are as far apart as each is from exact arithmetic, 1 to 2 % for these models.
--smollm2 is a real file of llama.cpp's. Of that the ids of texts are compared, too.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np

from families import FAMILIES, HfFamily, make_folder
from report import Nib, Table, finish, relative_error, run

BOUNDS = dict(f32=1e-5, f16=1e-3, q8_0=3e-2, q4_0=3e-2)
GELU_BOUND = 1e-3  # at least, where llama.cpp's GELU is a table of f16
SMOLLM2_BOUND = 5e-2  # 30 layers of Q4_1
TOKENS = [5, 99, 0, 311, 42, 42, 7, 256, 18, 130, 201, 64, 3, 3, 77, 290, 12, 55, 160, 31]
TEXTS = ["Hello world", " Hello  world\n\n\n  \t x", "3.14159 is 12345678 or 9", "It's I'LL we'Ve",
         "na\u00efve caf\u00e9 \u4f60\u597d\uff0c\u4e16\u754c", "\u00a0\u2009\u3000 spaces",
         "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0915\u094d\u0937 e\u0301",
         "<|im_start|>user\nWhat is 2+2?<|im_end|>\n", "def f(x):\n\treturn x**2  # x\u00b2\r\n",
         "ALL CAPS, CamelCase_and_snake 100% $5.00 a/b\\c"]


class LlamaCpp:
    def __init__(self, python):
        self.command = python, pathlib.Path(__file__).with_name("llamacpp.py")

    def __call__(self, *arguments):
        return run(*self.command, *arguments)

    def logits(self, model, ids, out):
        self("logits", model, " ".join(map(str, ids)), out)
        return np.load(out)


def compare_logits(nib, llama, model, ids, bound, work):
    """Cells of a table."""
    nib("quantize", model, work / "exact.gguf", "f32", "--overwrite")
    exact = nib.logits(work / "exact.gguf", ids, work / "logits.npy")
    ours, theirs = nib.logits(model, ids, work / "logits.npy"), llama.logits(model, ids, work / "logits.npy")
    return {"nib - llama.cpp": (relative_error(ours, theirs), bound), "nib - exact": (relative_error(ours, exact), bound),
            "llama.cpp - exact": f"{relative_error(theirs, exact):.1e}"}


def compare_family(family, nib, llama, hf, converter, table, work):
    make_folder(family, work / "folder", hf)
    nib("convert", work / "folder", "-o", work / "f32.gguf")

    def compare(maker, kind, file):
        bound = max(BOUNDS[kind], GELU_BOUND if family.arch == "gpt2" else 0)
        table.line(f"{family.name}: {kind} by {maker}", compare_logits(nib, llama, file, TOKENS, bound, work))

    for kind in BOUNDS:
        nib("quantize", work / "f32.gguf", work / f"nib.{kind}.gguf", kind)
        llama("quantize", work / "f32.gguf", work / f"llama.{kind}.gguf", kind)
        compare("nib", kind, work / f"nib.{kind}.gguf")
        compare("llama.cpp", kind, work / f"llama.{kind}.gguf")
    if converter:
        script, file = pathlib.Path(__file__).with_name("llamacpp_convert.py"), work / "converted.gguf"
        run(sys.executable, script, converter, work / "folder", file)
        compare("its converter", "f32", file)


def compare_smollm2(nib, llama, table, model, work):
    (work / "texts.json").write_text(json.dumps(TEXTS))
    for text, ids in zip(TEXTS, json.loads(llama("tokens", model, work / "texts.json"))):
        same_ids = {"same ids": nib.tokens(model, text) == ids}
        table.line(f"SmolLM2: {ascii(text)[:30]}", compare_logits(nib, llama, model, ids, SMOLLM2_BOUND, work) | same_ids)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nib")
    p.add_argument("llama_python")
    p.add_argument("hf_family")
    p.add_argument("--smollm2")
    p.add_argument("--converter")
    p.add_argument("--only", default="", help="families with this in their names")
    a = p.parse_args()
    nib, llama, hf = Nib(a.nib), LlamaCpp(a.llama_python), HfFamily(a.hf_family)
    bounds = ", ".join(f"{kind} {bound:.0e}" for kind, bound in BOUNDS.items())
    table = Table(f"Beside llama.cpp; bounds: {bounds}", "nib - llama.cpp", "nib - exact", "llama.cpp - exact", "same ids")
    for family in FAMILIES:
        if a.only in family.name and family.llamacpp:
            with tempfile.TemporaryDirectory() as work:
                compare_family(family, nib, llama, hf, a.converter, table, pathlib.Path(work))
    if a.smollm2:
        with tempfile.TemporaryDirectory() as work:
            compare_smollm2(nib, llama, table, a.smollm2, pathlib.Path(work))
    finish(table)


if __name__ == "__main__":
    main()
