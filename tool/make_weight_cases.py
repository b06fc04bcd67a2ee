#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the sound GGUF and SafeTensors files of test/format/good, with the values that others read there.

What it needs besides numpy: the packages `gguf` and `safetensors`, whose answers are the expectation.
Run it from the root of the project, without arguments; the result is committed."""
import pathlib
import struct

import gguf
import numpy
from safetensors.numpy import save_file

folder = pathlib.Path("test/format/good")
random = numpy.random.default_rng(7)

# Readable types of blocks, and where in a block its fp16 numbers are.
BLOCKS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "F16": [0], "BF16": [], "F32": []}
UNREADABLE = ["Q8_1", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
              "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0"]


def finite_halves(n):
    """Any fp16 number, subnormal ones too; not infinity and not NaN."""
    bits = random.integers(0, 0x7C00, n, dtype=numpy.uint16)
    bits |= random.integers(0, 2, n, dtype=numpy.uint16) << 15
    bits[0] = 0x0123
    return bits.astype("<u2").view(numpy.uint8).reshape(n, 2)


def finite_floats(kind, n):
    """Values of a plain type with all bits used, as bytes."""
    if kind == "F16":
        return finite_halves(n).reshape(-1)
    size = 2 if kind == "BF16" else 4
    x = random.integers(0, 256, (n, size), dtype=numpy.uint8)
    x[:, -1] &= 0xBF  # the exponent stays below that of infinity
    return x.reshape(-1)


def quants():
    """One tensor per readable type, and what the gguf package makes of each, one after the other in fp32."""
    writer, expected = gguf.GGUFWriter(folder / "quants.gguf", "test"), []
    for name, halves in BLOCKS.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        if elements == 1:
            raw = finite_floats(name, 3 * 37).reshape(3, -1)
        else:
            count = 12 if elements == 32 else 4
            blocks = random.integers(0, 256, (count, size), dtype=numpy.uint8)
            for at in halves:
                blocks[:, at:at + 2] = finite_halves(count)
            raw = blocks.reshape(2, -1)
        values = raw.view("<f2").astype("<f4") if name == "F16" else gguf.quants.dequantize(
            raw.view("<f4") if name == "F32" else raw, kind)
        expected.append(values.astype("<f4").tobytes())
        writer.add_tensor(name, raw, raw_shape=raw.shape, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (folder / "quants.f32").write_bytes(b"".join(expected))


# ---- GGUF by hand: what the package's writer does not write

def words(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def array(kind, *items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


METADATA = [
    ("general.architecture", 8, words("test")), ("general.name", 8, words("Every type")),
    ("general.file_type", 4, struct.pack("<I", 15)), ("general.alignment", 4, struct.pack("<I", 8)),
    ("u8", 0, b"\xff"), ("i8", 1, b"\x80"), ("u16", 2, b"\xff\xff"), ("i16", 3, b"\x00\x80"),
    ("u32", 4, b"\xff" * 4), ("i32", 5, b"\x00\x00\x00\x80"), ("f32", 6, struct.pack("<f", 0.5)),
    ("bool", 7, b"\x01"),
    ("string", 8, words("tëxt")), ("u64", 10, b"\xff" * 8), ("i64", 11, b"\x00" * 7 + b"\x80"),
    ("f64", 12, struct.pack("<d", 0.1)), ("list", 9, array(8, words("a"), words(""))), ("empty", 9, array(5)),
    ("nested", 9, array(9, array(0, b"\x01", b"\x02"), array(9, array(7, b"\x00")))),
]


def everything(version):
    """Every type of metadata; every plain type of tensor, with -2 to 1; every type that is only shown."""
    plain = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
    tensors = [(name, (2, 2), numpy.arange(-2, 2).astype(dtype).tobytes()) for name, dtype in plain.items()]
    tensors.append(("BF16", (4,), bytes.fromhex("00c080bf0000803f")))
    for name in UNREADABLE:
        elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
        tensors.append((name, (elements, 1), bytes(size)))
    tensors += [("I8", (), b"\x2a"), ("F32", (0, 3), b"")]
    records, data = b"", b""
    for i, (name, dims, content) in enumerate(tensors):
        data += bytes(-len(data) % 8)
        title = name if i < len(tensors) - 2 else ("one", "none")[i - len(tensors) + 2]
        records += words(title) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        records += struct.pack("<IQ", gguf.GGMLQuantizationType[name], len(data))
        data += content
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(METADATA))
    head += b"".join(words(k) + struct.pack("<I", kind) + value for k, kind, value in METADATA) + records
    (folder / f"everything_v{version}.gguf").write_bytes(head + bytes(-len(head) % 8) + data)


def main():
    folder.mkdir(parents=True, exist_ok=True)
    quants()
    for version in (2, 3):
        everything(version)
    names = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool"
    arrays = {}
    for name in names.split():
        arrays[name] = numpy.arange(-2 if name[0] in "fi" else 0, 4).reshape(2, -1).astype(name)
    arrays |= {"none": numpy.zeros((0, 3), "f4"), "one": numpy.array(42, "i4")}
    save_file(arrays, folder / "plain.safetensors", {"made_by": "the safetensors package"})


main()
