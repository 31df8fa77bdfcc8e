#!/usr/bin/env python3
"""nib beside published answers: SmolLM2-135M-Instruct, a real Llama in llama.cpp's Q4_1, and the vocabulary of Llama.

    python3 compare_smollm2.py NIB MODEL.gguf DATA [--isa NAME]

DATA has models/smollm2-golden.json: token ids of prompts, the best five logits after them, greedy continuations and one turn of a
chat, which transformers has computed with the same weights unpacked to float32. So nib's are held to them
    in f32      `nib quantize MODEL F32 f32` unpacks them, too: the same best five in the same order, the same text
    as it is    where activations are rounded to 8 bits per block, as in llama.cpp: the same best token, logits within Q4_1's bound
and to tokenizers/llama-spm, if it is there: 46 hard texts with Llama's ids, by llama.cpp.
"""
import argparse
import json
import pathlib
import tempfile

import numpy as np

from report import Nib, Table, finish, relative_error

F32_BOUND, Q4_1_BOUND = 1e-5, 4e-2  # of the best five logits


def compare_prompt(nib, table, name, model, case, exact, isas, work):
    """A prompt, its best next tokens, and what nib writes."""
    prompt, ids = case["prompt"], case["ids"]
    best, expected = zip(*case["top5"])
    for isa in isas:
        logits = nib.logits(model, ids, work / "logits.npy", isa)[-1]
        order = np.argsort(-logits, kind="stable")[: len(best) if exact else 1]
        error = relative_error(logits[list(best)], expected), F32_BOUND if exact else Q4_1_BOUND
        table.line(f"{name}: {prompt!r}, {isa}", {"best": list(order) == list(best[: len(order)]), "logits": error})
    answer = case["greedy16"][len(ids):]
    written = write(nib, model, len(answer), "-p", prompt)
    same = written["ids"] == answer and prompt + written["text"] == case["text"]
    table.line(f"{name}: {prompt!r}, written", {"ids": nib.tokens(model, prompt) == ids, "text": judged(same, exact)})


def compare_chat(nib, table, name, model, case, exact):
    """A turn of a chat in ChatML, up to the token that ends it, which is not part of what nib writes as text."""
    ids, answer = case["ids"], case["greedy20"][len(case["ids"]):]
    prompt = nib("tokenize", model, "--decode", " ".join(map(str, ids)))
    written = write(nib, model, 2 * len(answer), "-p", prompt)
    text = prompt + written["text"] + nib("tokenize", model, "--decode", str(answer[-1]))
    same = written["ids"] == answer and written["stopped"] and text == case["text"]
    table.line(f"{name}: a chat", {"ids": nib.tokens(model, prompt) == ids, "text": judged(same, exact)})


def judged(same, exact):
    """Rounding may turn a choice between two tokens: then the text is only reported."""
    return same if exact else "same" if same else "another"


def write(nib, model, length, *prompt):
    return json.loads(nib("run", model, *prompt, "-n", length, "--temp", "0", "--json"))["samples"][0]


def compare_vocabulary(nib, table, vocabulary, work):
    """nib puts the token 1, which begins a text, before the ids."""
    texts = pathlib.Path(f"{vocabulary}.inp").read_bytes().split(b"\n__ggml_vocab_test__\n")[:-1]
    expected = [[int(t) for t in line.split()] for line in pathlib.Path(f"{vocabulary}.out").read_text().splitlines()]
    same = 0
    for text, ids in zip(texts, expected, strict=True):
        (work / "text").write_bytes(text)
        got = [int(t) for t in nib("tokenize", vocabulary, "--file", work / "text").split()]
        same += got == [1] + ids
    table.line(f"Llama's vocabulary: {same} of {len(texts)} hard texts", {"ids": same == len(texts)})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nib")
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--isa", help="one instruction set (default: all)")
    a = p.parse_args()
    nib, data = Nib(a.nib), pathlib.Path(a.data)
    cases = json.loads((data / "models/smollm2-golden.json").read_text())["cases"]
    table = Table(f"SmolLM2 beside transformers; bounds of logits: f32 {F32_BOUND:.0e}, Q4_1 {Q4_1_BOUND:.0e}",
                  "ids", "best", "logits", "text")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        nib("quantize", a.model, work / "f32.gguf", "f32")
        for name, model, exact in (("f32", work / "f32.gguf", True), ("Q4_1", a.model, False)):
            for case in cases:
                if "chat" in case:
                    compare_chat(nib, table, name, model, case, exact)
                else:
                    compare_prompt(nib, table, name, model, case, exact, [a.isa] if a.isa else nib.isas, work)
        vocabulary = data / "tokenizers/llama-spm/ggml-vocab-llama-spm.gguf"
        if vocabulary.exists():
            compare_vocabulary(nib, table, vocabulary, work)
    finish(table)


if __name__ == "__main__":
    main()
