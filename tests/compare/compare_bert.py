#!/usr/bin/env python3
"""nib beside published answers of real BERTs: all-MiniLM-L6-v2 (sentence embeddings) and rxnfp (masked tokens, classes).

    python3 compare_bert.py NIB MODELS DATA [--isa NAME]

MODELS has the folders minilm, rxnfp-pretrained, rxnfp-ft and rxnfp-classifier, DATA has models/minilm-golden.json,
models/rxnfp-golden.json and pairs/stsb/en-test.csv. The golden files hold token ids and what transformers computes of them:
    vectors     pooled embeddings of MiniLM; the first token's hidden state of rxnfp-ft; as published, too, where that is rounded
    masked      the most probable token of a masked one, and the log-probability of the true one, to 1e-4
    logits      of rxnfp's 50 classes
    cosine      of embeddings with q8_0 weights to those in f32, the mean
    Spearman    of the cosines of STS-B's English test with its scores
"""
import argparse
import csv
import json
import pathlib
import tempfile

import numpy as np

from report import Nib, Table, finish, relative_error

BOUND, Q8_0_COSINE, SPEARMAN, MASK = 1e-5, 0.999, 0.8203, 14


def ranks(x):
    _, where, count = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[where]


def numbers(ids):
    return " ".join(map(str, ids))


def embed(nib, model, out, *texts):
    nib("embed", model, *texts, "-o", out)
    return np.load(out)


def compare_minilm(nib, table, folder, data, isas, work):
    golden = json.loads((data / "models/minilm-golden.json").read_text())
    f32, q8_0, out = work / "minilm.gguf", work / "minilm-q8.gguf", work / "e.npy"
    nib("convert", folder, "-o", f32)
    nib("quantize", f32, q8_0, "q8_0")
    rows = [[t for t, m in zip(ids, mask) if m] for ids, mask in zip(golden["input_ids"], golden["attention_mask"])]
    tokens = [a for row in rows for a in ("--tokens", numbers(row))]
    expected = np.array(golden["mean_pooled_l2"])
    for isa in isas:
        got, packed = (embed(nib, m, out, *tokens, "--isa", isa) for m in (f32, q8_0))
        table.line(f"MiniLM, {isa}", {"vectors": (relative_error(got, expected), BOUND),
                                      "cosine": bool((got * packed).sum(1).mean() > Q8_0_COSINE)})
    texts = embed(nib, f32, out, *golden["sentences"])
    table.line("MiniLM, of texts", {"vectors": (relative_error(texts, expected), BOUND)})
    published = golden["published"]
    first = embed(nib, f32, out, published["sentence"])[0, : len(published["first5"])]
    table.line("MiniLM, published", {"vectors": (np.abs(first - published["first5"]).max(), 1e-3)})
    with open(data / "pairs/stsb/en-test.csv", encoding="utf-8", newline="") as file:
        pairs = list(csv.reader(file))
    (work / "lines.txt").write_text("".join(f"{p[side]}\n" for side in (0, 1) for p in pairs))
    for model, name in ((f32, "f32"), (q8_0, "q8_0")):
        v = embed(nib, model, out, "--file", work / "lines.txt")
        cosine = (v[: len(pairs)] * v[len(pairs):]).sum(1)
        rho = np.corrcoef(ranks(cosine), ranks(np.array([float(p[2]) for p in pairs])))[0, 1]
        table.line(f"MiniLM, STS-B, {name}: {rho:.5f}", {"Spearman": bool(rho > SPEARMAN - (0 if name == "f32" else 2e-3))})


def compare_rxnfp(nib, table, models, data, isas, work):
    golden = json.loads((data / "models/rxnfp-golden.json").read_text())
    ids = golden["input_ids"]
    for name in ("pretrained", "ft", "classifier"):
        nib("convert", models / f"rxnfp-{name}", "-o", work / f"{name}.gguf", "--vocab", "none")
    for isa in isas:
        vector = embed(nib, work / "ft.gguf", work / "e.npy", "--tokens", numbers(ids), "--pooling", "cls", "--raw", "--isa", isa)[0]
        given = json.loads(nib("classify", work / "classifier.gguf", "--tokens", numbers(ids), "--logits", "--isa", isa))
        masked = []
        for case in golden["bert_pretrained_mlm"]:
            hidden = list(ids)
            hidden[case["pos"]] = MASK
            filled = json.loads(nib("fill", work / "pretrained.gguf", "--tokens", numbers(hidden), "--mask-id", MASK, "--top", 591,
                                    "--isa", isa))["tokens"]
            true = next(t["probability"] for t in filled if t["id"] == case["true"])
            masked.append(filled[0]["id"] == case["argmax"] and abs(np.log(true) - case["logprob_true"]) < 1e-4)
        table.line(f"rxnfp, {isa}", {"vectors": (relative_error(vector, golden["bert_ft_cls_vector"]), BOUND),
                                     "logits": (relative_error(given["logits"], golden["bert_ft_10k_25s_logits"]), BOUND),
                                     "masked": all(masked)})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nib")
    p.add_argument("models", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--isa", help="one instruction set (default: all)")
    a = p.parse_args()
    nib = Nib(a.nib)
    isas = [a.isa] if a.isa else nib.isas
    table = Table("BERT beside published answers", "vectors", "masked", "logits", "cosine", "Spearman")
    with tempfile.TemporaryDirectory() as work:
        compare_rxnfp(nib, table, a.models, a.data, isas, pathlib.Path(work))
        compare_minilm(nib, table, a.models / "minilm", a.data, isas, pathlib.Path(work))
    finish(table)


if __name__ == "__main__":
    main()
