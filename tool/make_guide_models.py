#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Makes examples/guide/model.*: the digits network as a package, a compiled folder, an older NeuralNetwork and
# plain tensors, and a tiny made-up language model as GGUF. Run make_digits.py first. Needs coremltools==9.0,
# gguf, safetensors.
import shutil
import struct
from pathlib import Path

import coremltools as ct
import gguf
import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from safetensors.numpy import save_file

import compiled_model

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PACKAGE = EXAMPLES / "digits" / "digits.mlpackage"
OUT = EXAMPLES / "guide"
NAMES = [
    "conv1.weight",
    "conv1.bias",
    "conv2.weight",
    "conv2.bias",
    "conv3.weight",
    "conv3.bias",
    "head.weight",
    "head.bias",
]


def package_spec():
    model = PACKAGE / "Data" / "com.apple.CoreML" / "model.mlmodel"
    return ct.proto.Model_pb2.Model.FromString(model.read_bytes())


def stored(value, blob):
    """A fp16 constant of the program: in the file of weights, or beside the operation if it is short."""
    shape = [int(d.constant.size) for d in value.type.tensorType.dimensions]
    if value.HasField("blobFileValue"):
        size, start = struct.unpack_from("<QQ", blob, value.blobFileValue.offset + 8)
        data = blob[start : start + size]
    else:
        data = value.immediateValue.tensor.bytes.values
    return np.frombuffer(data, np.float16).reshape(shape)


def network_weights(spec):
    """Name -> fp16 array, in the order of the program: each convolution, then the linear layer."""
    blob = (PACKAGE / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").read_bytes()
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    constants = {op.outputs[0].name: op.attributes["val"] for op in operations if op.type == "const"}
    found = []
    for op in operations:
        if op.type in ("conv", "linear"):
            found += [stored(constants[op.inputs[key].arguments[0].name], blob) for key in ("weight", "bias")]
    return dict(zip(NAMES, found, strict=True))


def add_convolution(builder, weights, name, source):
    weight = weights[f"{name}.weight"].astype(np.float32)
    builder.add_convolution(
        name=name,
        kernel_channels=weight.shape[1],
        output_channels=weight.shape[0],
        height=3,
        width=3,
        stride_height=1,
        stride_width=1,
        border_mode="same",
        groups=1,
        W=weight.transpose(2, 3, 1, 0),
        b=weights[f"{name}.bias"].astype(np.float32),
        has_bias=True,
        input_name=source,
        output_name=name,
    )
    builder.add_activation(f"{name}_relu", "RELU", name, f"{name}_relu")
    return f"{name}_relu"


def add_pool(builder, name, source):
    builder.add_pooling(
        name=name,
        height=2,
        width=2,
        stride_height=2,
        stride_width=2,
        layer_type="MAX",
        padding_type="VALID",
        input_name=source,
        output_name=name,
    )
    return name


def write_neural_network(weights, metadata):
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(1, 8, 8))],
        [("classLabel_probs", datatypes.Dictionary(datatypes.String()))],
        mode="classifier",
    )
    at = add_convolution(builder, weights, "conv1", "image")
    at = add_pool(builder, "pool1", add_convolution(builder, weights, "conv2", at))
    at = add_pool(builder, "pool2", add_convolution(builder, weights, "conv3", at))
    builder.add_flatten(name="flat", mode=0, input_name=at, output_name="flat")
    head = weights["head.weight"].astype(np.float32)
    builder.add_inner_product(
        name="head",
        W=head,
        b=weights["head.bias"].astype(np.float32),
        input_channels=head.shape[1],
        output_channels=head.shape[0],
        has_bias=True,
        input_name="flat",
        output_name="head",
    )
    builder.add_softmax(name="softmax", input_name="head", output_name="classLabel_probs")
    builder.set_class_labels(
        [str(digit) for digit in range(10)],
        predicted_feature_name="classLabel",
        prediction_blob="classLabel_probs",
    )
    builder.set_pre_processing_parameters(image_input_names=["image"], gray_bias=0.0, image_scale=1 / 255)
    builder.spec.description.metadata.CopyFrom(metadata)
    (OUT / "model.mlmodel").write_bytes(builder.spec.SerializeToString(deterministic=True))


def describe_llama(writer, vocabulary, width, inner):
    writer.add_name("Tiny")
    writer.add_description("A made-up one-layer network with random weights, for trying tools")
    writer.add_license("Apache-2.0")
    writer.add_author("The TensorLogic authors")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_block_count(1)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(width // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)


def add_tokens(writer):
    special = ["<unk>", "<s>", "</s>"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", "▁a", "e", "t", "th"]
    kind = gguf.TokenType
    kinds = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL] + [kind.BYTE] * 256
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(rank) for rank in range(len(tokens) - 259)])
    writer.add_token_types(kinds + [kind.NORMAL] * (len(tokens) - 259))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(tokens)


def write_gguf():
    random = np.random.default_rng(0)
    width, inner = 64, 128
    writer = gguf.GGUFWriter(OUT / "model.gguf", "llama")
    vocabulary = add_tokens(writer)
    describe_llama(writer, vocabulary, width, inner)
    shapes = {
        "token_embd": (vocabulary, width),
        "output": (vocabulary, width),
        "blk.0.attn_q": (width, width),
        "blk.0.attn_k": (width // 2, width),
        "blk.0.attn_v": (width // 2, width),
        "blk.0.attn_output": (width, width),
        "blk.0.ffn_gate": (inner, width),
        "blk.0.ffn_up": (inner, width),
        "blk.0.ffn_down": (width, inner),
    }
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    for name, shape in shapes.items():
        weight = (random.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)
        packed = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q4_0)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    spec = package_spec()
    weights = network_weights(spec)
    OUT.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(OUT / "model.mlpackage", ignore_errors=True)
    shutil.copytree(PACKAGE, OUT / "model.mlpackage")
    compiled_model.write(PACKAGE, OUT / "model.mlmodelc")
    write_neural_network(weights, spec.description.metadata)
    write_gguf()
    save_file(weights, OUT / "model.safetensors", metadata={"format": "pt"})
    (OUT / "model.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
