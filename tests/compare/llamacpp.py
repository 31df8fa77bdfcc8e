#!/usr/bin/env python3
"""llama.cpp for compare_llamacpp.py, whose Python need not have llama-cpp-python.

    llamacpp.py logits MODEL "IDS" OUT.npy          # (T,V); keys and values kept as f32, as `nib logits` does
    llamacpp.py quantize MODEL OUT f32|f16|q8_0|q4_0
    llamacpp.py tokens MODEL TEXTS.json             # a list of texts; prints the list of their ids
"""
import json
import sys

import llama_cpp
import numpy as np

GGML_TYPE_F32 = 0
FILE_TYPES = dict(f32=llama_cpp.LLAMA_FTYPE_ALL_F32, f16=llama_cpp.LLAMA_FTYPE_MOSTLY_F16, q8_0=llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
                  q4_0=llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0)


def logits(model, ids, out):
    ids = [int(t) for t in ids.split()]
    m = llama_cpp.Llama(model, n_ctx=len(ids) + 8, n_threads=2, n_threads_batch=2, logits_all=True, verbose=False,
                        type_k=GGML_TYPE_F32, type_v=GGML_TYPE_F32)
    m.eval(ids)
    np.save(out, np.array(m.scores[: len(ids)], dtype=np.float32))


def quantize(model, out, kind):
    llama_cpp.llama_log_set(QUIET, None)
    options = llama_cpp.llama_model_quantize_default_params()
    options.nthread, options.ftype = 2, FILE_TYPES[kind]
    if llama_cpp.llama_model_quantize(model.encode(), out.encode(), options) != 0:
        sys.exit(f"llama.cpp does not make a {kind} of {model}")


def tokens(model, texts):
    m = llama_cpp.Llama(model, vocab_only=True, verbose=False)
    with open(texts, encoding="utf-8") as f:
        print(json.dumps([m.tokenize(t.encode(), add_bos=False, special=True) for t in json.load(f)]))


QUIET = llama_cpp.llama_log_callback(lambda level, text, data: None)

if __name__ == "__main__":
    {"logits": logits, "quantize": quantize, "tokens": tokens}[sys.argv[1]](*sys.argv[2:])
