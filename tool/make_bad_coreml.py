#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the malformed Core ML models of test/format/bad and the seeds of the Core ML fuzz targets.

Every case is a small sound model with one thing wrong, and beside it stands the message that tl must give.
Run it from the root of the project, without arguments; the result is committed."""

import json
import pathlib
import shutil
import struct

# ---- protobuf


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def num(field, n):
    return varint(field << 3) + varint(n)


def sub(field, *content):
    body = b"".join(c.encode() if isinstance(c, str) else c for c in content)
    return varint(field << 3 | 2) + varint(len(body)) + body


def entry(field, key, value):
    return sub(field, sub(1, key), sub(2, value))


# ---- MIL

DTYPES = {"bool": 1, "string": 2, "fp16": 10, "fp32": 11, "int32": 23, "uint8": 31}


def tensor_type(dtype, shape, rank=None):
    dims = b"".join(sub(3, sub(2) if d is None else sub(1, num(1, d))) for d in shape)
    return sub(1, num(1, DTYPES.get(dtype, dtype)), num(2, len(shape) if rank is None else rank), dims)


def named(name, dtype, shape):
    return sub(1, name) + sub(2, tensor_type(dtype, shape))


def tensor(dtype, shape, values):
    if dtype == "fp32":
        data = sub(1, sub(1, struct.pack(f"<{len(values)}f", *values)))
    elif dtype == "string":
        data = sub(4, *[sub(1, v) for v in values])
    else:
        data = sub(2, sub(1, b"".join(varint(v) for v in values)))
    return sub(2, tensor_type(dtype, shape)) + sub(3, sub(1, data))


def blob(dtype, shape, offset=64, file="@model_path/weights/weight.bin"):
    return sub(2, tensor_type(dtype, shape)) + sub(5, sub(1, file), num(2, offset))


def op(kind, inputs, outputs, attributes=None, blocks=()):
    args = b"".join(
        entry(2, k, sub(1, sub(1, v)) if isinstance(v, str) else sub(1, sub(2, v))) for k, v in inputs.items()
    )
    named_outputs = b"".join(sub(3, named(*o)) for o in outputs)
    attrs = b"".join(entry(5, k, v) for k, v in (attributes or {}).items())
    return sub(1, kind) + args + named_outputs + b"".join(sub(4, b) for b in blocks) + attrs


def const(name, dtype, shape, values=None, value=None):
    return op("const", {}, [(name, dtype, shape)], {"val": value or tensor(dtype, shape, values)})


def block(ops, outputs):
    return b"".join(sub(2, o) for o in outputs) + b"".join(sub(3, o) for o in ops)


X, Y = ("x", "fp32", [1, 4]), ("y", "fp32", [1, 4])
RELU = op("relu", {"x": "x"}, [Y])


def program(ops=(RELU,), outputs=("y",), inputs=(X,), opset="CoreML6", key=None, body=None):
    f = b"".join(sub(1, named(*i)) for i in inputs) + sub(2, opset)
    return num(1, 1) + entry(2, "main", f + entry(3, key or opset, body or block(ops, outputs)))


# ---- models


def array(shape, dtype=65568, more=b""):
    return sub(5, sub(1, b"".join(varint(d) for d in shape)), num(2, dtype), more)


def feature(name, kind=None):
    return sub(1, name) + sub(3, kind or array([1, 4]))


def description(inputs=("x",), outputs=("y",), more=b""):
    def all_of(field, features):
        return b"".join(sub(field, feature(f) if isinstance(f, str) else f) for f in features)

    return all_of(1, inputs) + all_of(10, outputs) + more


def model(content=None, kind=502, version=7, about=None):
    if content is None:
        content = program()
    return num(1, version) + sub(2, description() if about is None else about) + sub(kind, content)


def weights(dtype=2, size=16, offset=128, sentinel=0xDEADBEEF, version=2, data=b"\0" * 16):
    header = struct.pack("<II", 1, version) + bytes(56)
    return header + struct.pack("<IIQQ", sentinel, dtype, size, offset) + bytes(40) + data


def with_weights(value=None, **_):
    ops = [const("w", "fp32", [4], value=value or blob("fp32", [4])), op("add", {"x": "x", "y": "w"}, [Y])]
    return model(program(ops))


ROOT, WEIGHTS = "F0000000-0000-4000-8000-000000000001", "F0000000-0000-4000-8000-000000000002"


def item(path, **more):
    return {"path": path, "name": path.split("/")[-1], "author": "com.apple.CoreML", "description": ""} | more


def manifest(**more):
    items = {ROOT: item("com.apple.CoreML/model.mlmodel"), WEIGHTS: item("com.apple.CoreML/weights")}
    return {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": ROOT} | more


def package(content=None, weight=None, about=None):
    out = {"Manifest.json": json.dumps(manifest() if about is None else about).encode()}
    if content is not False:
        out["Data/com.apple.CoreML/model.mlmodel"] = model() if content is None else content
    if weight is not None:
        out["Data/com.apple.CoreML/weights/weight.bin"] = weight
    return out


def nested_conds(depth):
    body = block([RELU], ["y"])
    for _ in range(depth):
        body = block([op("cond", {"pred": "p"}, [Y], blocks=[body])], ["y"])
    return program(inputs=(X, ("p", "bool", [])), body=body)


def packages():
    yield "no_manifest", {"Data/com.apple.CoreML/model.mlmodel": model()}, "is a folder, but not a model"
    yield "manifest_not_json", {"Manifest.json": b"{"}, "Manifest.json: is not a JSON object"
    yield "manifest_version", package(about=manifest(fileFormatVersion="2.0.0")), "has format version 2.0.0"
    yield "manifest_no_items", package(
        about=manifest(itemInfoEntries=[])
    ), "Manifest.json: has no 'itemInfoEntries'"
    yield "manifest_no_root", package(
        about=manifest(rootModelIdentifier="0")
    ), "the root model 0 is not among its items"
    bad = {ROOT: {"path": "a", "name": "a", "description": ""}}
    yield "manifest_no_author", package(about=manifest(itemInfoEntries=bad)), f"item {ROOT}: has no 'author'"
    up = {ROOT: item("../../model.mlmodel")}
    yield "manifest_path_up", package(about=manifest(itemInfoEntries=up)), "is not a path inside the package"
    two = {"a": item("a/a.mlmodel"), "b": item("b/b.mlmodel")}
    several = {k: v for k, v in manifest(itemInfoEntries=two).items() if k != "rootModelIdentifier"}
    yield "manifest_two_models", package(about=several), "has no rootModelIdentifier and several models"
    yield "model_missing", package(
        False
    ), "the model Data/com.apple.CoreML/model.mlmodel that Manifest.json names is missing"
    yield "weights_missing", package(with_weights()), "const 'w': "
    yield "weights_short", package(
        with_weights(), weights(data=bytes(8))
    ), "ends at 144, after the file's end at 136"
    yield "weights_far", package(with_weights(), weights(offset=2**64 - 64)), "after the file's end at 144"
    yield "weights_overlap", package(with_weights(), weights(offset=96)), "overlaps its own description: it begins at 96"
    yield "weights_over_header", package(with_weights(), weights(offset=8)), "overlaps its own description"
    yield "weights_between", package(with_weights(blob("fp32", [4], offset=72)), weights()), "there is no blob at offset 72"
    yield "weights_header", package(with_weights(), b"\1\0"), "ends early"
    yield "weights_no_blob", package(with_weights(), weights(sentinel=1)), "there is no blob at offset 64"
    yield "weights_other_type", package(with_weights(), weights(dtype=1)), "holds fp16, the program says fp32"
    yield "weights_unknown_type", package(with_weights(), weights(dtype=99)), "holds an unknown type (99)"
    yield "weights_too_few", package(with_weights(), weights(size=12)), "has 12 bytes, fp32[4] needs 16"
    yield "weights_version", package(with_weights(), weights(version=7)), "is blob storage of version 7"
    away = blob("fp32", [4], file="@model_path/../weight.bin")
    yield "weights_path_up", package(with_weights(away), weights()), "is not a path inside the model"
    root = blob("fp32", [4], file="/etc/passwd")
    yield "weights_path_root", package(with_weights(root), weights()), "is not a path inside the model"
    yield "weights_offset", package(with_weights(blob("fp32", [4], offset=2**63)), weights()), "ends early"
    huge = blob("fp32", [2**40, 2**40])
    yield "weights_huge", package(with_weights(huge), weights()), "const 'w': "
    yield "not_a_model", package(b"nonsense"), "is damaged"


def models():
    def of(*ops, **more):
        return model(program(ops, **more))

    yield "empty", b"", "is empty"
    yield "text", b"model\n", "is not a model that tl knows"
    yield "cut", model()[:-20], "is damaged: a protobuf message ends early"
    yield "cut_description", model()[:12], "is damaged: a protobuf message ends early"
    yield "version_11", model(version=11), "has specification version 11"
    yield "version_0", model(version=0), "has no specification version"
    yield "no_type", num(1, 7) + sub(2, description()), "holds no model, only a description"
    yield "unknown_type", model(kind=999), "has a type of model that is not known (999)"
    yield "feature_no_name", model(about=description([feature("")])), "has no name"
    yield "feature_twice", model(about=description(["x", "x"])), "the feature 'x' is described twice"
    yield "feature_negative", model(
        about=description([feature("x", array([-4]))])
    ), "a length of -4 is not possible"
    yield "feature_type", model(
        about=description([feature("x", array([4], 7))])
    ), "arrays of element type 0x7 are not known"
    ranges = sub(31, sub(1, num(1, 5), num(2, 3)))
    yield "range_empty", model(
        about=description([feature("x", array([4], more=ranges))])
    ), "the range 5 to 3 is empty"
    ranges = sub(31, sub(1, num(1, 1), num(2, 3)), sub(1, num(1, 1), num(2, 3)))
    yield "range_count", model(
        about=description([feature("x", array([4], more=ranges))])
    ), "2 ranges are given for 1 dimensions"
    shapes = sub(21, sub(1, sub(1, varint(4), varint(4))))
    yield "shape_rank", model(
        about=description([feature("x", array([4], more=shapes))])
    ), "the shape [4, 4] is listed for one of rank 1"
    color = sub(4, num(1, 8), num(2, 8), num(3, 11))
    yield "image_color", model(
        about=description([feature("x", color)])
    ), "11 is not the number of a color space"
    yield "no_function", model(num(1, 1)), "the program has no function"
    yield "other_block", model(
        num(1, 1)
        + entry(2, "main", sub(2, "CoreML6") + entry(3, "a", block([], [])) + entry(3, "b", block([], [])))
    ), "has no block for its opset 'CoreML6'"
    yield "input_not_described", model(
        program(inputs=(X, ("z", "fp32", [1])))
    ), "an input 'z' that is not described"
    yield "input_not_taken", model(about=description(["x", "z"])), "the input 'z' is described"
    yield "output_not_given", model(about=description(outputs=["y", "z"])), "the output 'z' is described"
    yield "input_twice", model(program(inputs=(X, X))), "'x' is defined twice"
    yield "not_defined", of(
        op("relu", {"x": "q"}, [Y])
    ), "relu 'y': input 'x': 'q' is not defined before it is used"
    yield "itself", of(op("relu", {"x": "y"}, [Y])), "'y' is not defined before it is used"
    yield "defined_twice", of(RELU, RELU), "relu 'y': 'y' is defined twice"
    yield "output_not_defined", of(RELU, outputs=["y", "z"]), "outputs: 'z' is not defined"
    yield "declared_type", of(
        op("relu", {"x": "x"}, [("y", "fp16", [1, 4])])
    ), "output 'y' is declared fp16[1, 4], but is fp32[1, 4]"
    yield "declared_rank", of(
        op("relu", {"x": "x"}, [("y", "fp32", [4])])
    ), "output 'y' is declared fp32[4], but is fp32[1, 4]"
    yield "declared_length", of(
        op("relu", {"x": "x"}, [("y", "fp32", [1, 5])])
    ), "output 'y' is declared fp32[1, 5], but is fp32[1, 4]"
    yield "two_outputs", of(
        op("relu", {"x": "x"}, [Y, ("z", "fp32", [1, 4])])
    ), "gives 1 outputs, 2 are declared"
    yield "no_input", of(op("relu", {}, [Y])), "relu 'y': input 'x' is missing"
    add = op("add", {"x": "x", "y": tensor("fp32", [3], [1, 2, 3])}, [Y])
    yield "shapes", of(add), "add 'y': "
    clip = [
        const("a", "fp32", [2], [0, 1]),
        const("b", "fp32", [], [1]),
        op("clip", {"x": "x", "alpha": "a", "beta": "b"}, [Y]),
    ]
    yield "attribute_list", of(*clip), "clip 'y': attribute 'alpha' is one value, 2 are given"
    clip[0] = const("a", "string", [], ["low"])
    yield "attribute_string", of(*clip), "attribute 'alpha' is a number, a string[] is given"
    yield "const_count", of(const("a", "fp32", [3], [1, 2]), RELU), "fp32[3] needs 12 bytes, 8 are given"
    yield "const_integers", of(
        const("a", "int32", [3], [1, 2]), RELU
    ), "int32[3] needs 3 elements, 2 are given"
    yield "const_huge", of(const("a", "int32", [2**20, 2**20], [1]), RELU), "elements, 1 are given"
    yield "const_no_value", of(
        op("const", {}, [("a", "fp32", [])]), RELU
    ), "const 'a': has no attribute 'val'"
    yield "const_declared", of(
        op("const", {}, [("a", "fp32", [2])], {"val": tensor("int32", [2], [1, 2])}), RELU
    ), "is declared fp32[2], but its value is int32[2]"
    yield "const_blob", with_weights(), "const 'w': "
    yield "type_number", of(
        op("relu", {"x": "x"}, [("y", 99, [1, 4])])
    ), "99 is not the number of an element type"
    rank = (
        sub(1, "relu")
        + entry(2, "x", sub(1, sub(1, "x")))
        + sub(3, sub(1, "y"), sub(2, tensor_type("fp32", [1, 4], rank=3)))
    )
    yield "type_rank", of(rank), "a type of rank 3 has 2 dimensions"
    yield "type_length", of(op("relu", {"x": "x"}, [("y", "fp32", [2**60])])), "is too long"
    yield "blocks_deep", model(nested_conds(70)), "blocks are nested deeper than 64"
    value = tensor("int32", [], [1])
    for _ in range(70):
        value = sub(2, b"") + sub(3, sub(3, sub(1, value)))
    yield "values_deep", of(const("a", "int32", [], value=value), RELU), "values are nested deeper than 64"
    pipe = model(b"", kind=500)
    for _ in range(10):
        pipe = model(sub(1, pipe), kind=202)
    yield "pipelines_deep", pipe, "pipelines are nested deeper than 8"
    net = b""
    for _ in range(70):
        net = sub(1, sub(615, sub(4, net)))
    yield "networks_deep", model(net, kind=500), "networks are nested deeper than 64"


def others():
    yield "onnx.bin", num(1, 8) + sub(2, "pytorch") + sub(7, sub(2, "graph")), "is an ONNX model"
    yield "pickle.pt", b"\x80\x02}q\x00.", "is a Python pickle"
    yield "tflite.bin", b"\x1c\0\0\0TFL3" + bytes(16), "is a TFLite model"
    yield "keras.h5", b"\x89HDF\r\n\x1a\n" + bytes(16), "is an HDF5 file"
    yield "lfs.mlmodel", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"
    zipped = b"PK\3\4" + bytes(26) + b"model.mlpackage/Manifest.json"
    yield "package.zip", zipped, "is a zip of a model, unzip it first: unzip "
    yield "archive.pt", b"PK\3\4" + bytes(26) + b"archive/data.pkl", "is a PyTorch file"
    yield "array.npy", b"\x93NUMPY\1\0", "is an array (.npy), not a model"
    yield "folder", {"notes.txt": b"nothing\n"}, "is a folder, but not a model"
    yield "outer", {"inner.mlmodel": model()}, "is a folder, not a model: did you mean "
    yield "saved_model", {"saved_model.pb": b"\x08\1"}, "is a TensorFlow SavedModel"
    yield "new.aimodel", {"Manifest.json": b"{}"}, "is an .aimodel"


# ---- compiled models

BLOB = 'tensor<fp32, [4]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))'


def mil(
    body='            tensor<fp32, [1, 4]> y = relu(x = x)[name = string("y")];',
    version="1.3",
    head="func main<ios16>(tensor<fp32, [1, 4]> x)",
    tail="        } -> (y);\n}\n",
):
    info = '[buildInfo = dict<string, string>({{"coremlc-version", "0.0.0"}})]'
    return f"program({version})\n{info}\n{{\n    {head} {{\n{body}\n{tail}".encode()


def data(payload=None, kind=502, target=b"generic"):
    about = description()
    payload = (
        struct.pack("<Q", len(about)) + about + struct.pack("<QQ", 502, 0) if payload is None else payload
    )
    block_b = struct.pack("<I", 7) + bytes(28)
    return struct.pack("<I", kind) + bytes(24) + struct.pack("<Q", len(target)) + target + block_b + payload


def compiled(source=None, about=None, **more):
    out = {"coremldata.bin": data() if about is None else about}
    if source is not False:
        out["model.mil"] = mil() if source is None else source
    return out | {k.replace("__", "/").replace("_dot_", "."): v for k, v in more.items()}


def bundles():
    def of(body, **more):
        return compiled(mil(body, **more))

    def one(statement):
        return of("            " + statement + "\n            tensor<fp32, [1, 4]> y = relu(x = x);")

    yield "empty_program", compiled(
        b""
    ), "model.mil: line 1: expected 'program' instead of the end of the file"
    yield "version", of("", version="2.0"), "program(2.0) is not known"
    yield "no_semicolon", of(
        "            tensor<fp32, [1, 4]> y = relu(x = x)"
    ), "line 6: expected ';' instead of '}'"
    yield "cut", compiled(mil()[:180]), "instead of the end of the file"
    yield "string_open", one('string s = const()[val = string("a)];'), "line 5: expected a string that ends"
    yield "after_end", compiled(mil() + b"x"), "expected the end of the file instead of 'x'"
    yield "element_type", one(
        "tensor<fp17, [2]> a = relu(x = x);"
    ), "line 5: expected an element type instead of 'fp17'"
    yield "length", one("tensor<fp32, [-2]> a = relu(x = x);"), "line 5: -2 is not a length"
    yield "number", one(
        "fp32 a = const()[val = fp32(0x1.8q+1)];"
    ), "line 5: expected a number instead of '0x1.8q'"
    yield "number_count", one(
        "tensor<int32, [3]> a = const()[val = tensor<int32, [3]>([1, 2])];"
    ), "int32[3] needs 3 elements, 2 are given"
    yield "string_for_number", one(
        'int32 a = const()[val = int32("1")];'
    ), "line 5: expected a value instead of '1'"
    deep = "[" * 70 + "1" + "]" * 70
    yield "deep_literal", one(
        f"tensor<int32, [1]> a = const()[val = tensor<int32, [1]>({deep})];"
    ), "nested deeper than 64"
    types = "state<" * 70 + "fp16" + ">" * 70
    yield "deep_type", one(f"{types} a = relu(x = x);"), "nested deeper than 64"
    blocks = "fp32 a = cond(pred = x) { " * 70 + "} -> ();" * 70
    yield "deep_blocks", one(blocks), "blocks are nested deeper than 64"
    yield "opset_open", compiled(mil(head="func main<ios16(tensor<fp32, [1, 4]> x)")), "line 4: expected '>'"
    yield "not_defined", of(
        "            tensor<fp32, [1, 4]> y = relu(x = q);"
    ), "'q' is not defined before it is used"
    yield "no_weights", one(f"tensor<fp32, [4]> w = const()[val = {BLOB}];"), "const 'w': "
    yield "weights_cut", compiled(
        mil(f"tensor<fp32, [4]> w = const()[val = {BLOB}];\ntensor<fp32, [1, 4]> y = add(x = x, y = w);"),
        weights__weight_dot_bin=weights()[:100],
    ), "ends at 144, after the file's end at 100"
    yield "blob_words", one(
        'tensor<fp32, [4]> w = const()[val = tensor<fp32, [4]>(BLOBFILE(file = string("a")))];'
    ), "expected a path or an offset"
    yield "data_no_target", compiled(
        about=bytes(80)
    ), "coremldata.bin: is not the description of a compiled model"
    yield "data_cut", compiled(about=data()[:-40]), "coremldata.bin: ends early"
    yield "data_damaged", compiled(
        about=data(struct.pack("<Q", 4) + b"\x0a\x7f\0\0")
    ), "coremldata.bin: is damaged"
    yield "data_short", compiled(about=b"\xf6\1"), "coremldata.bin: ends early"
    yield "data_spec_damaged", compiled(False, data(b"\x08\x07\x12\x7f", 300, b"spec")), "is damaged"
    yield "metadata", compiled(metadata_dot_json=b"[{"), "metadata.json: is not JSON"
    yield "espresso", compiled(
        False, data(kind=500), model_dot_espresso_dot_net=b"pb"
    ), "model.espresso.net: is not JSON"
    yield from espresso_bundles()
    names = struct.pack("<Q", 2**60)
    yield "names", compiled(
        False, data(kind=202), modelNames__coremldata_dot_bin=names
    ), "more than it has room for"
    part = compiled(about=bytes(80))
    nested = {f"model0/{k}": v for k, v in part.items()}
    yield "part", {
        "coremldata.bin": data(kind=202)
    } | nested, "part 'model0': coremldata.bin: is not the description"


def espresso(layer, blobs=(), table=None, kind=500, tail=b""):
    """A folder with a net of one layer; blobs is {number: floats}."""
    blobs = dict(blobs)
    packed = [(k, struct.pack(f"<{len(v)}f", *v)) for k, v in blobs.items()]
    head = struct.pack("<Q", len(packed)) + b"".join(struct.pack("<QQ", k, len(v)) for k, v in packed)
    about = description(["x"], ["y"])
    payload = struct.pack("<Q", len(about)) + about + tail
    net = {"storage": "model.espresso.weights", "layers": [{"bottom": "x", "top": "y", "name": "a"} | layer]}
    return compiled(
        False,
        data(payload, kind),
        model_dot_espresso_dot_net=json.dumps(net).encode(),
        model_dot_espresso_dot_shape=json.dumps({"layer_shapes": {"x": {"k": 4}, "y": {"k": 4}}}).encode(),
        model_dot_espresso_dot_weights=head + b"".join(v for _, v in packed) if table is None else table,
    )


def espresso_bundles():
    dense = {"type": "inner_product", "nB": 4, "nC": 4, "blob_weights": 1}
    missing = "layer 'a': 'blob_weights' is blob 1, which is not among the weights"
    yield "espresso_missing_blob", espresso(dense), "model.espresso.net: " + missing
    yield "espresso_short_blob", espresso(dense, {1: [0.0] * 15}), "has 60 bytes, 64 are needed"
    yield "espresso_no_blob", espresso({"type": "inner_product", "nB": 4, "nC": 4}), "layer 'a': has no 'blob_weights'"
    yield "espresso_length", espresso(dense | {"nC": 0}), "'nC' is 0; it must be at least 1"
    yield "espresso_huge", espresso(dense | {"nC": 1e30}), "not a whole number that is possible"
    yield "espresso_word", espresso(dense | {"nB": "4"}), "'nB' is not a number"
    groups = {"type": "convolution", "C": 4, "K": 4, "n_groups": 3, "Nx": 1, "Ny": 1, "blob_weights": 1}
    yield "espresso_groups", espresso(groups, {1: [0.0] * 16}), "3 groups of 4 inputs and 4 outputs"
    table = struct.pack("<QQQ", 1, 1, 2**62)
    yield "espresso_table", espresso(dense, table=table), "model.espresso.weights: ends early"
    count = struct.pack("<Q", 2**61)
    yield "espresso_count", espresso(dense, table=count), "more than it has room for"
    yield "espresso_no_top", espresso({"type": "softmax", "top": ""}), "gives nothing: it has no 'top'"
    yield "espresso_two", espresso(dense | {"bottom": "x,x"}, {1: [0.0] * 16}), "takes 1 values, 2 are given"
    relu = {"type": "activation", "mode": 0}
    yield "espresso_input", espresso(relu | {"bottom": "z"}), "layer 'a' (activation): there is no 'z' before it"
    labels = struct.pack("<QQQ", 403, 100, 2**60)
    yield "espresso_labels", espresso(relu, kind=403, tail=labels), "lists 1152921504606846976 classes"


# ---- programs that can be shown and not run


def programs():
    def of(*ops, **more):
        return model(program(ops, **more))

    axes = const("axes", "int32", [1], [7])
    keep = const("keep", "bool", [], [0])
    total = op("reduce_sum", {"x": "x", "axes": "axes", "keep_dims": "keep"}, [("y", "fp32", [1])])
    shape = const("shape", "int32", [2], [(1 << 31) - 1, (1 << 31) - 1])
    shaped = op("reshape", {"x": "x", "shape": "shape"}, [("y", "fp32", [None, None])])
    yield "unknown", of(op("relu7", {"x": "x"}, [Y])), "unknown.mlmodel: relu7 'y': there is no operation of this name"
    yield "no_input", of(op("relu", {}, [Y])), "relu 'y': input 'x' is missing"
    yield "other_input", of(op("relu", {"x": "x", "zebra": "x"}, [Y])), "relu 'y': it has no input 'zebra'"
    yield "axis", of(axes, keep, total), "reduce_sum 'y': axis 7 is outside rank 2"
    yield "shape", of(shape, shaped), "reshape 'y': shape [2147483647, 2147483647] is too large"
    yield "type", of(op("relu", {"x": "x"}, [("y", "int32", [1, 4])])), "output 'y' is declared int32[1, 4], but is"
    yield "two_types", of(
        const("w", "int32", [4], [1, 2, 3, 4]), op("add", {"x": "x", "y": "w"}, [Y])
    ), "add 'y': "


# ---- writing


def write(path, content):
    if isinstance(content, dict):
        for name, data_of in content.items():
            write(path / name, data_of)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_cases(folder, cases, suffix="", fresh=True):
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    for name, content, message in cases:
        write(folder / (name + suffix), content)
        (folder / f"{name}{suffix}.expect").write_text(message + "\n")


def write_seeds(folder, seeds, fresh=False):
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    for name, content in seeds.items():
        write(folder / name, content)


def main():
    bad, corpus = pathlib.Path("test/format/bad"), pathlib.Path("test/fuzz/corpus")
    write_cases(bad / "mlpackage", packages(), ".mlpackage")
    write_cases(bad / "mlmodel", models(), ".mlmodel")
    write_cases(bad / "mlmodelc", bundles(), ".mlmodelc")
    write_cases(bad / "other", others(), fresh=False)  # the readers of weights have cases there too
    write_cases(bad / "program", programs(), ".mlmodel")
    clip = [
        const("a", "fp32", [], [0]),
        const("b", "fp32", [], [1]),
        op("clip", {"x": "x", "alpha": "a", "beta": "b"}, [Y]),
    ]
    write_seeds(
        corpus / "coreml_model",
        {
            "relu": model(),
            "clip": model(program(clip)),
            "blob": with_weights(),
            "cond": model(nested_conds(2)),
            "network": model(sub(1, sub(1, "a"), sub(130, sub(10))), kind=500),
            "pipeline": model(sub(1, model(b"", kind=900)) + sub(2, "a"), kind=202),
        },
    )
    from make_bad_classic import write_all  # which uses the words above

    write_all(bad, corpus)
    body = (
        f'tensor<fp32, [4]> w = const()[name = string("w"), val = {BLOB}];\n'
        "tensor<fp32, [1, 4]> y = add(x = x, y = w);"
    )
    tuples = (
        "tensor<int32, [2, 2]> c = const()[val = tensor<int32, [2, 2]>([[1, 2], [3, 4]])];\n"
        'list<string, 2> l = f(a = list<string, 2>(("a", "b\\"")), t = tuple<int32, bool>((1, true)));'
    )
    loop = (
        "fp32 a, fp32 b = while_loop(loop_vars = (x, y)) (fp32 i, fp32 j) { } -> (i), "
        '(fp32 i, fp32 j) { } -> (i, j)[name = string("n")];'
    )
    write_seeds(
        corpus / "mil_text",
        {"relu": mil(), "add": mil(body), "tuples": mil(tuples), "loop": mil(loop, version="1.0")},
    )
    write_seeds(corpus / "coremldata", {"generic": data(), "spec": data(model(b"", kind=900), 900, b"spec")})
    relu = {"name": "a", "type": "activation", "mode": 0, "bottom": "x", "top": "h"}
    dense = {"name": "b", "type": "inner_product", "nB": 4, "nC": 4, "blob_weights": 1, "has_relu": 1}
    net = json.dumps({"layers": [relu, dense | {"bottom": "h", "top": "y"}]}).encode()
    blobs = struct.pack("<QQQ", 1, 1, 64) + bytes(64)
    write_seeds(corpus / "espresso", {"dense": struct.pack("<H", len(net)) + net + blobs})
    write_seeds(
        corpus / "blob",
        {"fp32": b"\0\4" + weights(), "u4": b"\x0a\4" + weights(dtype=11, size=2, data=b"\x21\x43")},
    )


if __name__ == "__main__":
    main()
