#!/usr/bin/env python3
"""llama.cpp's converter on a random model, for compare_llamacpp.py; wants PyTorch and transformers.

    llamacpp_convert.py CONVERTER FOLDER OUT.gguf    # CONVERTER: llama.cpp's convert_hf_to_gguf.py, in a copy of its repository

It knows tokenizers by a hash of what they do to a text, so one that was trained for a test has to be named: GPT-2's, as far as
texts are split before the merges. And it reads GPT-2's context under a name that transformers has given up.
"""
import json
import pathlib
import runpy
import sys

converter, folder, out = map(pathlib.Path, sys.argv[1:])
sys.path[:0] = [str(converter.parent / "gguf-py"), str(converter.parent)]
from conversion import base

config = json.loads((folder / "config.json").read_text())
if "n_positions" in config:
    (folder / "config.json").write_text(json.dumps(config | {"n_ctx": config["n_positions"]}))
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
sys.argv = [str(converter), str(folder), "--outfile", str(out), "--outtype", "f32"]
runpy.run_path(str(converter), run_name="__main__")
