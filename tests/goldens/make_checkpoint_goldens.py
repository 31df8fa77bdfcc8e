#!/usr/bin/env python3
"""Makes the checkpoints of tests/safetensors_test.cpp and tests/torch_file_test.cpp, which know their contents.

    python3 tests/goldens/make_checkpoint_goldens.py      # PyTorch (>= 2.1) and safetensors; writes into checkpoints/ and
                                                          # ../fuzz_corpus/{safetensors,torch_file}/

Element i of a tensor, in row-major order, is (i - 3) / 4 unless a line below says otherwise.
"""
import argparse
import json
import pathlib
import shutil
import zipfile

import torch
from safetensors.torch import save_file

from checkpoint_values import ramp

HERE = pathlib.Path(__file__).resolve().parent
OUT, CORPUS = HERE / "checkpoints", HERE.parent / "fuzz_corpus"


def special(dtype):
    """Least subnormal, least normal, largest, infinities, NaN, zeros and 1/3 of a 16-bit type."""
    half = dtype == torch.float16
    bits = [0x0001, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x8000, 0x3555] if half else \
           [0x0001, 0x0080, 0x7F7F, 0x7F80, 0xFF80, 0x7FC0, 0x8000, 0x3EAB]
    return torch.tensor(bits, dtype=torch.int32).to(torch.uint16).view(dtype)


def typed():
    tensors = {name: ramp(2, 3, dtype=getattr(torch, name)) for name in ("float64", "float32", "float16", "bfloat16")}
    tensors |= {"special.float16": special(torch.float16), "special.bfloat16": special(torch.bfloat16)}
    tensors["rounded"] = torch.tensor([1 / 3, 1e300, 1e-300, -1e-45], dtype=torch.float64)
    for name in ("int64", "int32", "int16", "int8", "uint8", "bool"):
        tensors[name] = torch.ones(3, dtype=getattr(torch, name))
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["float8"] = torch.ones(4).to(torch.float8_e4m3fn)
    return tensors


def checkpoint():
    """What nanoGPT saves, with all that can happen to a tensor."""
    model = torch.nn.Linear(3, 2).state_dict()  # an OrderedDict with the attribute _metadata
    model.clear()
    for name, tensor in typed().items():
        model[name] = tensor
    base = ramp(4, 6)
    model["base"] = base
    model["transposed"] = base.t()                # (6,4)
    model["slice"] = base[1:3, 2:5]               # (2,3), rows 6 apart, from element 8
    model["steps"] = base[:, ::2]                 # (4,3), every second column
    model["permuted"] = ramp(2, 3, 4).permute(1, 2, 0)  # (3,4,2)
    model["shared"] = base                        # the same storage
    model["parameter"] = torch.nn.Parameter(ramp(5))
    model["expanded"] = torch.ones(1).expand(3, 2)
    model["negated"] = torch._neg_view(ramp(2))
    model["version"] = 7                          # no tensor
    optimizer = {"state": {0: {"step": torch.tensor(10.0), "exp_avg": ramp(5)}},
                 "param_groups": [{"lr": 6e-4, "betas": (0.9, 0.95), "eps": 1e-8, "params": [0]}]}
    args = {"n_layer": 2, "n_head": 4, "n_embd": 8, "block_size": 16, "bias": False, "vocab_size": 65, "dropout": 0.1}
    config = {"dataset": "text", "long": "x" * 300, "umlaut": "\u00e4", "none": None, "true": True, "negative": -5,
              "short": 65535, "large": 1 << 40, "least": -(1 << 63), "huge": 1 << 70, "bytes": b"\x00\xff", "no_bytes": b"",
              "set": {1}, "frozen": frozenset([1]), "size": torch.Size([2, 3]), "dtype": torch.bfloat16, "list": [1, [2, []]],
              "tuple": (1, (2,), (3, 4), (5, 6, 7, 8), ()), "namespace": argparse.Namespace(n_layer=3)}
    return {"model": model, "optimizer": optimizer, "model_args": args, "iter_num": 2000, "best_val_loss": torch.tensor(1.5),
            "config": config}


def main():
    for folder in (OUT, CORPUS / "safetensors", CORPUS / "torch_file"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    torch.manual_seed(1)
    save_file(typed(), OUT / "types.safetensors", metadata={"format": "pt"})
    shards = {"model-00001-of-00002.safetensors": {"b": ramp(2, 2), "a": ramp(3)},
              "model-00002-of-00002.safetensors": {"c": ramp(4, dtype=torch.float16)}}
    (OUT / "sharded").mkdir()
    for name, tensors in shards.items():
        save_file(tensors, OUT / "sharded" / name)
    index = {"metadata": {"total_size": 36, "x": [1, {"weight_map": 1}]},
             "weight_map": {tensor: name for name, tensors in shards.items() for tensor in tensors}}
    (OUT / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    for protocol in (2, 3, 4, 5):
        torch.save(checkpoint(), OUT / f"protocol{protocol}.pt", pickle_protocol=protocol)
    linear = torch.nn.Linear(3, 2)
    linear.load_state_dict({"weight": ramp(2, 3), "bias": ramp(2)})
    torch.save(linear.state_dict(), OUT / "bare.pt")
    torch.save({"state_dict": linear.state_dict(), "epoch": 3}, OUT / "nested.pt")
    torch.save(linear, OUT / "module.pt")  # the whole module: refused
    torch.save(linear.state_dict(), OUT / "legacy.pt", _use_new_zipfile_serialization=False)

    shutil.copy(OUT / "types.safetensors", CORPUS / "safetensors" / "types")
    shutil.copy(OUT / "sharded" / "model.safetensors.index.json", CORPUS / "safetensors" / "index")
    shutil.copy(OUT / "bare.pt", CORPUS / "torch_file" / "bare")
    for protocol in (2, 5):
        with zipfile.ZipFile(OUT / f"protocol{protocol}.pt") as archive:
            (CORPUS / "torch_file" / f"pickle{protocol}").write_bytes(archive.read(f"protocol{protocol}/data.pkl"))


main()
