#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the malformed GGUF and SafeTensors files of test/format/bad, and the seeds of their fuzz targets.

Every case is a small sound file with one thing wrong, and beside it stands the message that tl must give.
Run it from the root of the project, without arguments; the result is committed."""
import io
import json
import pathlib
import shutil
import struct
import zipfile

bad = pathlib.Path("test/format/bad")

# ---- GGUF


def words(s):
    return struct.pack("<Q", len(s)) + s.encode()


def u32(n):
    return struct.pack("<I", n)


def u64(n):
    return struct.pack("<Q", n)


def pair(key, kind, value):
    return words(key) + u32(kind) + value


def array(kind, *items, count=None):
    return u32(kind) + u64(len(items) if count is None else count) + b"".join(items)


def record(name, dims, kind=0, offset=0, rank=None):
    shape = u32(len(dims) if rank is None else rank) + b"".join(u64(d) for d in dims)
    return words(name) + shape + u32(kind) + u64(offset)


ARCHITECTURE = pair("general.architecture", 8, words("test"))


def gguf(pairs=(ARCHITECTURE,), records=(), data=b"", magic=b"GGUF", version=3, tensors=None, count=None):
    head = magic + u32(version) + u64(len(records) if tensors is None else tensors)
    head += u64(len(pairs) if count is None else count) + b"".join(pairs) + b"".join(records)
    return head + bytes(-len(head) % 32) + data if records else head


def alignment(value, kind=4):
    return gguf([pair("general.alignment", kind, value)], [record("w", [4])], bytes(16))


def nested(depth):
    """Arrays within arrays, each of one item."""
    return pair("a", 9, array(9, count=1) * (depth - 1) + array(0, b"\1"))


def gguf_cases():
    whole = gguf([ARCHITECTURE], [record("w", [2, 2])], bytes(16))
    sound = record("w", [4])
    yield "magic_only", whole[:4], "ends early, at byte 4"
    yield "cut_header", whole[:17], "ends early, at byte 17"
    yield "cut_key", whole[:30], "ends early"
    yield "cut_value", whole[:60], "ends early"
    yield "cut_record", whole[:80], "ends early"
    yield "cut_data", whole[:-1], "tensor 'w': ends early"
    yield "version_1", gguf(version=1), "is of GGUF version 1"
    yield "version_4", gguf(version=4), "says GGUF version 4"
    yield "version_0", gguf(version=0), "says GGUF version 0"
    yield "copied_as_text", whole.replace(b"\3", b"\r\n", 1), "copied as text"
    yield "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "is a big-endian GGUF file"
    yield "many_tensors", gguf(tensors=1 << 60), "ends early: 1152921504606846976 tensors do not fit"
    yield "many_pairs", gguf(count=1 << 60), "ends early: 1152921504606846976 key-values do not fit"
    yield "one_pair_less", gguf(count=2), "key-value 1: ends early"
    yield "key_length", gguf([u64(1 << 63) + b"key"]), "key-value 0: ends early"
    yield "text_length", gguf([pair("k", 8, u64(1 << 40) + b"text")]), "'k': ends early"
    yield "value_type", gguf([pair("k", 13, u64(0))]), "'k': has metadata of type 13"
    yield "array_type", gguf([pair("k", 9, array(99, u64(0)))]), "'k': has an array of type 99"
    yield "array_length", gguf([pair("k", 9, array(4, count=1 << 62))]), "'k': ends early: an array of"
    yield ("array_of_empty", gguf([pair("k", 9, array(9, count=1 << 40) + bytes(64))]),
           "'k': ends early: an array of")
    yield "arrays_deep", gguf([nested(9)]), "'a': has arrays nested too deep"
    yield "arrays_very_deep", gguf([nested(2000)]), "'a': has arrays nested too deep"
    yield "key_twice", gguf([ARCHITECTURE, ARCHITECTURE]), "'general.architecture': stands there twice"
    yield "key_long", gguf([pair("k" * 65536, 0, b"\0")]), "has a key of more than 65535 bytes"
    yield "alignment_zero", alignment(u32(0)), "'general.alignment' is 0"
    yield "alignment_odd", alignment(u32(24)), "'general.alignment' is 24, not a power of two"
    yield "alignment_huge", alignment(u32(1 << 31)), "'general.alignment' is 2147483648"
    yield "alignment_text", alignment(words("32"), 8), "'general.alignment' must be a whole number"
    yield ("alignment_negative", alignment(struct.pack("<i", -32), 5),
           "'general.alignment' must be a whole number")
    yield ("file_type_list", gguf([pair("general.file_type", 9, array(0))]),
           "'general.file_type' must be a whole number")
    yield ("tensor_twice", gguf(records=[sound, record("w", [4], offset=32)], data=bytes(64)),
           "'w': stands there twice")
    yield "rank_huge", gguf(records=[record("w", [4], rank=1 << 31)]), "'w': has 2147483648 dimensions"
    yield "rank_9", gguf(records=[record("w", [1] * 9)], data=bytes(4)), "'w': has 9 dimensions"
    yield ("dimension_huge", gguf(records=[record("w", [1 << 63])]),
           "'w': has a dimension of 9223372036854775808")
    yield "volume_huge", gguf(records=[record("w", [1 << 40] * 4)]), "is too large"
    yield "bytes_huge", gguf(records=[record("w", [1 << 47])], data=bytes(16)), "tensor 'w': ends early"
    yield "type_unknown", gguf(records=[record("w", [4], kind=1000)]), "'w': is of type 1000"
    yield "type_withdrawn", gguf(records=[record("w", [32], kind=4)]), "'w': is of type 4"
    yield ("part_of_a_block", gguf(records=[record("w", [31], kind=2)], data=bytes(32)),
           "Q4_0 comes in blocks of 32")
    yield ("number_of_blocks", gguf(records=[record("w", [], kind=2)], data=bytes(32)),
           "Q4_0 comes in blocks of 32")
    yield ("offset_odd", gguf(records=[record("w", [4], offset=4)], data=bytes(32)),
           "its offset 4 is not a multiple of 32")
    yield ("offset_outside", gguf(records=[record("w", [4], offset=1 << 63)], data=bytes(16)),
           "tensor 'w': ends early")
    yield ("offset_wraps", gguf(records=[record("w", [4], offset=(1 << 64) - 32)], data=bytes(64)),
           "tensor 'w': ends early")
    yield ("overlap", gguf(records=[record("a", [16]), record("b", [4], offset=32)], data=bytes(64)),
           "tensors 'a' and 'b' overlap")
    yield "no_data", gguf(records=[sound])[:-8], "tensor 'w': ends early"


# ---- SafeTensors


def tensors(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return u64(len(raw) if length is None else length) + raw + data


def entry(begin, end, dtype="F32", shape=None):
    shape = [(end - begin) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def raw_entry(shape="[1]", offsets="[0,4]", dtype='"F32"'):
    return tensors(f'{{"w":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'.encode(), bytes(4))


def safetensors_cases():
    whole = tensors({"w": entry(0, 8)}, bytes(8))
    yield "cut_header", whole[:30], "ends early: its header of"
    yield "cut_data", whole[:-1], "tensor 'w': its bytes 0 to 8 are outside the data of 7 bytes"
    yield ("length_long", tensors({"w": entry(0, 8)}, bytes(8), 1 << 20),
           "ends early: its header of 1048576 bytes")
    yield "length_huge", tensors({}, b"", 200_000_000), "more than the allowed 100000000"
    yield "length_short", tensors({"w": entry(0, 8)}, bytes(8), 20), "its header is not valid JSON"
    yield "not_json", tensors(b"{w: 1}"), "its header is not valid JSON, at byte 2"
    yield "two_values", tensors(b"{}{}"), "its header is not valid JSON, at byte 3"
    yield "not_utf8", tensors(b'{"\xff":1}'), "its header is not valid JSON"
    yield "nul_padding", tensors(b"{}\0\0"), "its header is not valid JSON"
    yield "deep_lists", tensors(b'{"w":' + b"[" * 100_000), "its header is nested too deep"
    yield "deep_objects", tensors(b'{"w":' * 1_000), "its header is nested too deep"
    yield "record_list", tensors({"w": [1]}), "tensor 'w': its record is not an object"
    yield ("no_dtype", tensors({"w": {"shape": [], "data_offsets": [0, 4]}}, bytes(4)),
           "tensor 'w': has no 'dtype'")
    yield ("no_shape", tensors({"w": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)),
           "tensor 'w': has no 'shape'")
    yield ("no_offsets", tensors({"w": {"dtype": "F32", "shape": [1]}}, bytes(4)),
           "tensor 'w': has no 'data_offsets'")
    yield "dtype_number", raw_entry(dtype="32"), "its dtype is not text"
    yield "dtype_unknown", raw_entry(dtype='"F33"'), "is of type 'F33', which SafeTensors does not have"
    yield "shape_text", raw_entry(shape='"1"'), "its shape is not a list"
    yield "rank_huge", raw_entry(shape=str([1] * 33)), "its shape is not a list of at most 32"
    yield "dimension_negative", raw_entry(shape="[-1]"), "a dimension is not a whole number"
    yield "dimension_fraction", raw_entry(shape="[1.0]"), "a dimension is not a whole number"
    yield "dimension_huge", raw_entry(shape="[9223372036854775808]"), "has a dimension of 9223372036854775808"
    yield ("dimension_beyond", raw_entry(shape="[99999999999999999999999]"),
           "a dimension is not a whole number")
    yield "volume_huge", raw_entry(shape="[140737488355328,140737488355328]"), "is too large"
    yield "volume_wraps", raw_entry(shape="[4294967296,4294967296,4]"), "is too large"
    yield "shape_mismatch", raw_entry(shape="[2]"), "its shape [2] of F32 needs 8 bytes, its offsets give 4"
    yield "shape_half_byte", raw_entry(shape="[7]", dtype='"F4"'), "of F4 needs 4 bytes, its offsets give 4"
    yield "offsets_three", raw_entry(offsets="[0,4,8]"), "its data_offsets are not two numbers"
    yield "offsets_reversed", raw_entry(offsets="[4,0]"), "its bytes 4 to 0 are outside"
    yield "offsets_outside", raw_entry(offsets="[4,8]"), "its bytes 4 to 8 are outside the data of 4 bytes"
    yield ("offsets_huge", raw_entry(offsets="[18446744073709551612,18446744073709551615]"),
           "are outside the data")
    yield ("overlap", tensors({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
           "tensor 'b': overlaps the one before it")
    yield ("hole", tensors({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)),
           "tensor 'b': leaves a hole after the one before")
    yield "hole_at_start", tensors({"a": entry(4, 8)}, bytes(8)), "tensor 'a': leaves a hole"
    yield "trailing", tensors({"a": entry(0, 4)}, bytes(12)), "has 8 bytes after its last tensor"
    first, second = json.dumps(entry(0, 4)), json.dumps(entry(4, 8))
    yield ("name_twice", tensors(f'{{"w":{first},"w":{second}}}'.encode(), bytes(8)),
           "its header names 'w' twice")
    field_twice = b'{"w":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}'
    yield ("field_twice", tensors(field_twice, bytes(4)),
           "its header names 'dtype' twice")
    yield "metadata_list", tensors({"__metadata__": ["a"]}), "'__metadata__' is not an object"
    yield "metadata_number", tensors({"__metadata__": {"n": 1}}), "'__metadata__': 'n' is not text"


def index_cases():
    def index(weight_map):
        return json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
    yield "names_no_file", index({"w": "absent.safetensors"}), "absent.safetensors"
    yield "names_a_folder_up", index({"v": "../safetensors"}), "'v' is in no file beside the index"
    yield "names_a_path", index({"w": "/etc/hostname"}), "'w' is in no file beside the index"
    yield "names_the_parent", index({"w": ".."}), "'w' is in no file beside the index"
    yield "names_a_zero", index({"w": "a\0b"}), "'w' is in no file beside the index"
    yield "names_a_number", index({"w": 1}), "'w' is in no file beside the index"
    yield "names_itself", index({"w": "names_itself.json"}), "its header is"
    yield "map_list", index(["w"]), "'weight_map' is not an object"
    yield "cut", index({"w": "a.safetensors"})[:-4], "the index is not valid JSON"
    yield "twice", b'{"weight_map":{"w":"a","w":"b"}}', "the index names 'w' twice"
    yield "deep", b'{"weight_map":' + b"[" * 100_000, "the index is nested too deep"


def other_cases():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr(zipfile.ZipInfo("x.npy"), b"\x93NUMPY\1\0")
    yield "arrays.npz", archive.getvalue(), "is an .npz of arrays, not a model: give it with --inputs"
    yield "empty.gguf", b"", "is empty"
    yield "empty.safetensors", b"", "is empty"
    yield "text.gguf", b"a line of text\n", "is not a model that tl knows"
    yield "wrong_magic.gguf", gguf(magic=b"GGML"), "is not a model that tl knows"
    yield "brackets.safetensors", tensors(b"[" * 1000), "is not a model that tl knows"
    yield "settings.json", b'{"layers": 2}', "is not a model that tl knows"
    yield "page.safetensors", b"<!DOCTYPE html><html></html>", "is not a model that tl knows"


def write(folder, suffix, cases):
    for name, content, message in cases:
        file = folder / (name + suffix)
        file.write_bytes(content)
        file.with_name(file.name + ".expect").write_text(message + "\n")


def seeds():
    folder = pathlib.Path("test/fuzz/corpus")
    for name in ("gguf", "safetensors"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    kinds = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 12: (256, 144), 14: (256, 210), 20: (32, 18)}
    for kind, (elements, size) in kinds.items():
        content = gguf([ARCHITECTURE], [record("w", [elements, 1], kind)], bytes(size))
        (folder / "gguf" / f"type_{kind}").write_bytes(content)
    (folder / "gguf" / "meta").write_bytes(gguf([nested(3), pair("l", 9, array(8, words("a"), words("b"))),
                                                 pair("general.alignment", 4, u32(8))]))
    two = {"__metadata__": {"a": "b"}, "a": entry(0, 4), "b": entry(4, 5, "BOOL", [1])}
    for name, content in {"one": tensors({"w": entry(0, 8)}, bytes(8)), "none": tensors({}),
                          "two": tensors(two, bytes(5)),
                          "half": tensors({"w": entry(0, 2, "BF16", [])}, bytes(2))}.items():
        (folder / "safetensors" / name).write_bytes(content)


def main():
    for name in ("gguf", "safetensors", "safetensors_index"):
        shutil.rmtree(bad / name, ignore_errors=True)
        (bad / name).mkdir(parents=True)
    write(bad / "gguf", ".gguf", gguf_cases())
    write(bad / "safetensors", ".safetensors", safetensors_cases())
    write(bad / "safetensors_index", ".json", index_cases())
    write(bad / "other", "", other_cases())
    seeds()


main()
