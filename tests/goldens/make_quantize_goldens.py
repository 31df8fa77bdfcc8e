#!/usr/bin/env python3
"""Makes quantize.bin, the golden file of tests/quantize_test.cpp, from the two public implementations of the formats.

    pip install gguf llama-cpp-python numpy
    python3 tests/goldens/make_quantize_goldens.py        # writes quantize.bin beside itself

Pseudo-random input is made anew by the test (`words`, `gauss`), so that the file holds little beyond results:
    per format that unpacks     u32 type, u32 bytes, BLOCKS random blocks, what gguf's NumPy code makes of them (float32),
                                u64 hash of what it makes of MANY random blocks; NaNs are all 0x7FC00000
    u32 0xFFFFFFFF
    per block-of-32 format      u32 type, u64 hash of the bytes that ggml makes of gauss, of gauss^3
    u32 0xFFFFFFFF
    per K format that packs     u32 type, 2 x f64: ggml's squared error on gauss, on gauss^3
    u32 0xFFFFFFFF
"""
import ctypes
import pathlib
import struct

import gguf
import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as Type

BLOCKS, MANY, VALUES = 2, 4096, 1 << 16
UNPACKED = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K]
END = struct.pack("<I", 0xFFFFFFFF)


def mix(z):
    """SplitMix64's finalizer."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def words(seed, count):
    i = np.arange(1, count + 1, dtype=np.uint64)
    return mix(i * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed << 32))


def random_bytes(seed, count):
    return words(seed, (count + 7) // 8).view(np.uint8)[:count]


def gauss(seed, count):
    """Sums of 12 uniform 16-bit numbers, shifted and scaled to variance 1; exact in float32."""
    sums = words(seed, count * 3).view(np.uint16).reshape(count, 12).astype(np.int64).sum(axis=1)
    return ((2 * sums - 12 * 65535) / 131072).astype(np.float32)


def hash_of(data):
    """Of 32-bit words or bytes, in order."""
    data = data.astype(np.uint64)
    return int(mix(data + np.arange(data.size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).sum(dtype=np.uint64))


def unpacked(kind, data):
    """As 32-bit words."""
    values = gguf.quants.dequantize(data.reshape(-1, gguf.GGML_QUANT_SIZES[kind][1]), kind).ravel()
    return np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))


ggml = ctypes.CDLL(str(pathlib.Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))


def run(name, source, out):
    count = max(source.size if source.dtype == np.float32 else 0, out.size if out.dtype == np.float32 else 0)
    getattr(ggml, name)(source.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(count))
    return out


def ggml_packed(kind, values):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return run(f"quantize_row_{kind.name.replace('Q', 'q')}_ref", values, np.empty(values.size // block * size, np.uint8))


def ggml_error(kind, values):
    back = run(f"dequantize_row_{kind.name.replace('Q', 'q')}", ggml_packed(kind, values), np.empty_like(values))
    return float(((back.astype(np.float64) - values) ** 2).sum())


def main():
    np.seterr(all="ignore")
    out = b""
    for kind in UNPACKED:
        size = gguf.GGML_QUANT_SIZES[kind][1]
        few = random_bytes(1, BLOCKS * size).reshape(BLOCKS, size).copy()
        for place in (0, 2, size - 4, size - 2):  # wherever the scales are: ordinary ones, which random bits seldom are
            few[:, place:place + 2] = (0x34 + place % 7, 0x2C)
        few = few.ravel()
        many = random_bytes(100 + kind, MANY * size)
        out += struct.pack("<II", kind, few.size) + few.tobytes() + unpacked(kind, few).tobytes()
        out += struct.pack("<Q", hash_of(unpacked(kind, many)))
    plain, heavy = gauss(7, VALUES), gauss(8, VALUES)
    heavy = heavy * heavy * heavy
    out += END
    for kind in UNPACKED[:5]:
        out += struct.pack("<IQQ", kind, hash_of(ggml_packed(kind, plain)), hash_of(ggml_packed(kind, heavy)))
    out += END
    for kind in [Type.Q4_K, Type.Q5_K, Type.Q6_K]:
        out += struct.pack("<Idd", kind, ggml_error(kind, plain), ggml_error(kind, heavy))
    (pathlib.Path(__file__).parent / "quantize.bin").write_bytes(out + END)


main()
