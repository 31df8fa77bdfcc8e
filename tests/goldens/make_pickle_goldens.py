#!/usr/bin/env python3
"""Makes the checkpoints of tests/torch_objects_test.cpp and tests/torch_legacy_test.cpp, which know their contents.

    python3 tests/goldens/make_pickle_goldens.py      # PyTorch (>= 2.1) and NumPy, after make_checkpoint_goldens.py; writes
                                                      # into checkpoints/ and ../fuzz_corpus/{torch_file,torch_legacy}/

Element i of a tensor, in row-major order, is (i - 3) / 4.
"""
import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import re
import shutil
import sys
import types
import uuid
import zipfile

import numpy
import torch

from checkpoint_values import ramp

HERE = pathlib.Path(__file__).resolve().parent
OUT, CORPUS = HERE / "checkpoints", HERE.parent / "fuzz_corpus"


@dataclasses.dataclass
class GPTConfig:
    n_layer: int = 2
    n_head: int = 4
    bias: bool = False


class Slots:
    __slots__ = ("n_head", "n_layer")

    def __init__(self):
        self.n_head, self.n_layer = 5, 6


class SlotsAndDict(Slots):
    def __init__(self):
        super().__init__()
        self.n_embd = 7


class AttrDict(dict):
    __getattr__ = dict.__getitem__


class Names(list):
    pass


class Color(enum.Enum):
    RED = 1


class Flags(enum.Flag):
    A = 1
    B = 2


class WithNew:
    """NEWOBJ_EX: a class whose __new__ takes named arguments."""

    def __new__(cls, *, size):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"size": 3}


class Custom:
    """Its own function makes it, and gives it a state, elements and items."""

    def __reduce__(self):
        return make_custom, (1, "x"), {"n_head": 8}, iter([1, 2]), iter([("key", 9)])

    def append(self, value):
        pass

    def __setitem__(self, key, value):
        pass


def make_custom(*_):
    return Custom()


def model():
    """A module whose class has no source, which torch.save would write with its path."""
    sys.modules["net"] = types.ModuleType("net")
    exec("import torch\nclass Model(torch.nn.Module): pass", vars(sys.modules["net"]))
    made = sys.modules["net"].Model()
    made.weight = torch.nn.Parameter(ramp(2, 3))
    return made


class MyTensor(torch.Tensor):
    pass


def objects():
    """One of each kind that people save beside the weights."""
    loop = types.SimpleNamespace(name="loop")
    loop.itself = loop
    counts = collections.defaultdict(list)
    counts["a"].append(1)
    return {
        "dataclass": GPTConfig(), "slots": Slots(), "slots_and_dict": SlotsAndDict(), "attr_dict": AttrDict(n_head=3),
        "names": Names(["a"]), "new_ex": WithNew(size=3), "custom": Custom(), "class": GPTConfig, "function": make_custom,
        "namespace": argparse.Namespace(n_head=2), "simple": types.SimpleNamespace(n_head=1), "loop": loop,
        "enum": Color.RED, "flags": Flags.A | Flags.B, "partial": functools.partial(make_custom, 1),
        "method": collections.OrderedDict.fromkeys, "nested": {"list": [GPTConfig(n_head=6), (Color.RED,)]},
        "float64": numpy.float64(1.5), "int64": numpy.int64(3), "array": numpy.arange(3.0), "strings": numpy.array(["a"]),
        "object_array": numpy.array([{1: 2}], dtype=object), "numpy_dtype": numpy.dtype("float32"),
        "rng": numpy.random.get_state(), "generator": numpy.random.default_rng(1),
        "path": pathlib.PurePosixPath("a/b"), "date": datetime.date(2024, 1, 2), "now": datetime.datetime(2024, 1, 2, 3),
        "zone": datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), "delta": datetime.timedelta(1),
        "device": torch.device("cpu"), "dtype": torch.bfloat16, "layout": torch.strided, "torch_size": torch.Size([2]),
        "default_dict": counts, "counter": collections.Counter("aab"), "deque": collections.deque([1, 2], maxlen=3),
        "ordered": collections.OrderedDict(a=1), "chain": collections.ChainMap({"a": 1}), "set": {1}, "frozen": frozenset([1]),
        "complex": 1 + 2j, "range": range(3), "slice": slice(1, 2), "bytearray": bytearray(b"ab"), "bytes": b"\xff",
        "decimal": decimal.Decimal("1.5"), "fraction": fractions.Fraction(1, 3), "uuid": uuid.UUID(int=1),
        "pattern": re.compile("a+"), "error": ValueError("x"), "ellipsis": ..., "type": int,
    }


def optimizer(parameter):
    made = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones_like(parameter)
    made.step()
    return made


def checkpoint():
    parameter = torch.nn.Parameter(ramp(4))
    made = optimizer(parameter)
    return {"model": {"weight": ramp(2, 3), "bias": ramp(2)}, "config": GPTConfig(), "objects": objects(),
            "optimizer": made.state_dict(), "optimizer_itself": made,
            "scheduler": torch.optim.lr_scheduler.StepLR(made, 10).state_dict(), "criterion": torch.nn.CrossEntropyLoss()}


def tensors():
    """Tensors in the forms that a class or function makes; those behind `strange` only with its help."""
    attributed = ramp(3)
    attributed.note = "x"
    parameter = torch.nn.Parameter(ramp(3))
    parameter.note = GPTConfig()
    strange = {
        "subclass": ramp(3).as_subclass(MyTensor),
        "parameter_of_subclass": torch.nn.Parameter(ramp(3).as_subclass(MyTensor)),
        "quantized": torch.quantize_per_tensor(ramp(3), 0.25, 0, torch.qint8),
        "sparse": ramp(2, 2).to_sparse(), "array": ramp(3).numpy(), "nested": GPTConfig(bias=ramp(3)),
        "meta": torch.empty(3, device="meta"),
    }
    return {"plain": ramp(3), "attributed": attributed, "parameter": parameter, "buffer": torch.nn.Buffer(ramp(3)),
            "complex": torch.ones(2, dtype=torch.complex64), "note": GPTConfig()} | strange


def legacy():
    base = ramp(4, 6)
    state = {name: ramp(2, 3, dtype=getattr(torch, name)) for name in ("float64", "float32", "float16", "bfloat16")}
    state |= {"int64": torch.ones(3, dtype=torch.int64), "bool": torch.ones(3, dtype=torch.bool), "scalar": torch.tensor(2.5),
              "complex": torch.ones(2, dtype=torch.complex64), "empty": torch.zeros(0, 4), "base": base, "shared": base,
              "transposed": base.t(), "slice": base[1:3, 2:5], "parameter": torch.nn.Parameter(ramp(5)), "version": 7}
    return {"model": state, "optimizer": optimizer(torch.nn.Parameter(ramp(4))).state_dict(), "config": GPTConfig(),
            "epoch": 3}


def main():
    torch.manual_seed(1)
    shutil.rmtree(CORPUS / "torch_legacy", ignore_errors=True)
    (CORPUS / "torch_legacy").mkdir()
    for protocol in (2, 3, 4, 5):
        torch.save(checkpoint(), OUT / f"objects{protocol}.pt", pickle_protocol=protocol)
    for protocol in (2, 4):
        torch.save(legacy(), OUT / f"legacy{protocol}.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    torch.save(tensors(), OUT / "tensors.pt")
    torch.save(model(), OUT / "legacy_module.pt", _use_new_zipfile_serialization=False)
    for protocol in (2, 5):
        with zipfile.ZipFile(OUT / f"objects{protocol}.pt") as archive:
            (CORPUS / "torch_file" / f"objects{protocol}").write_bytes(archive.read(f"objects{protocol}/data.pkl"))
    with zipfile.ZipFile(OUT / "tensors.pt") as archive:
        (CORPUS / "torch_file" / "tensors").write_bytes(archive.read("tensors/data.pkl"))
    for protocol in (2, 4):
        shutil.copy(OUT / f"legacy{protocol}.pt", CORPUS / "torch_legacy" / f"protocol{protocol}")
    shutil.copy(OUT / "legacy_module.pt", CORPUS / "torch_legacy" / "module")


main()
