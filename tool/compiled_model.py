# SPDX-License-Identifier: Apache-2.0
# Writes an ML Program package as a compiled folder (.mlmodelc): model.mil text, coremldata.bin, metadata.json
# and weights/weight.bin, laid out as Apple's compiler of the iOS 15-17 years does. For make_guide_models.py.
import json
import re
import shutil
import struct
from collections import Counter
from pathlib import Path

import coremltools as ct
import numpy as np

MIL = ct.proto.MIL_pb2
DTYPE = {
    MIL.BOOL: "bool",
    MIL.STRING: "string",
    MIL.FLOAT16: "fp16",
    MIL.FLOAT32: "fp32",
    MIL.FLOAT64: "fp64",
    MIL.INT8: "int8",
    MIL.INT16: "int16",
    MIL.INT32: "int32",
    MIL.INT64: "int64",
    MIL.UINT8: "uint8",
    MIL.UINT16: "uint16",
    MIL.UINT32: "uint32",
    MIL.UINT64: "uint64",
}
RAW = {MIL.FLOAT16: np.float16, MIL.INT8: np.int8, MIL.UINT8: np.uint8, MIL.UINT32: np.uint32}
OPSET = {"CoreML5": "ios15", "CoreML6": "ios16", "CoreML7": "ios17"}


def type_text(of):
    kind = of.WhichOneof("type")
    if kind == "tensorType":
        dims = ", ".join(
            str(d.constant.size) if d.HasField("constant") else "?" for d in of.tensorType.dimensions
        )
        return f"tensor<{DTYPE[of.tensorType.dataType]}, [{dims}]>"
    if kind == "dictionaryType":
        return f"dict<{type_text(of.dictionaryType.keyType)}, {type_text(of.dictionaryType.valueType)}>"
    if kind == "listType":
        return f"list<{type_text(of.listType.type)}, {of.listType.length.constant.size}>"
    raise ValueError(f"type {kind} is not written")


def scalar_text(value):
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(value)
    text = float(value).hex().replace("0x0.0p", "0x0p")  # Python pads the digits, C does not
    return re.sub(r"\.?0*p", "p", text) if "." in text else text


def nested(values, shape):
    if not shape:
        return values[0]
    step = len(values) // shape[0] if shape[0] else 0
    return (
        "[" + ", ".join(nested(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])) + "]"
    )


def tensor_text(value):
    of = value.type.tensorType
    tensor = value.immediateValue.tensor
    if tensor.WhichOneof("value") == "bytes":
        elements = np.frombuffer(tensor.bytes.values, RAW[of.dataType])
    else:
        elements = getattr(tensor, tensor.WhichOneof("value")).values
    return nested([scalar_text(e) for e in elements], [d.constant.size for d in of.dimensions])


def value_text(value):
    if value.HasField("blobFileValue"):
        path = value.blobFileValue.fileName
        inside = (
            f'BLOBFILE(path = tensor<string, []>("{path}"), '
            f"offset = tensor<uint64, []>({value.blobFileValue.offset}))"
        )
    elif value.immediateValue.WhichOneof("value") == "list":
        items = [tensor_text(item) for item in value.immediateValue.list.values]
        inside = "[" + ", ".join(items) + "]"
    else:
        inside = tensor_text(value)
    return f"{type_text(value.type)}({inside})"


def argument_text(argument):
    bound = [b.name if b.WhichOneof("binding") == "name" else value_text(b.value) for b in argument.arguments]
    return bound[0] if len(bound) == 1 else "(" + ", ".join(bound) + ")"


def operation_text(op):
    results = ", ".join(f"{type_text(out.type)} {out.name}" for out in op.outputs)
    arguments = ", ".join(f"{name} = {argument_text(op.inputs[name])}" for name in sorted(op.inputs))
    attributes = ", ".join(f"{name} = {value_text(op.attributes[name])}" for name in sorted(op.attributes))
    return f"            {results} = {op.type}({arguments})[{attributes}];\n"


def program_text(program):
    function = program.functions["main"]
    block = function.block_specializations[function.opset]
    inputs = sorted(function.inputs, key=lambda given: given.name)
    inputs = ", ".join(f"{type_text(given.type)} {given.name}" for given in inputs)
    body = "".join(operation_text(op) for op in block.operations)
    return (
        "program(1.0)\n"
        "[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{\"coremlc-version\", \"0.0.0\"}})]\n{\n"
        f"    func main<{OPSET[function.opset]}>({inputs}) {{\n{body}"
        f"        }} -> ({', '.join(block.outputs)});\n}}"
    )


def text_field(text):
    return struct.pack("<Q", len(text)) + text.encode()


def description_file(spec):
    description = spec.description.SerializeToString(deterministic=True)
    return (
        struct.pack("<II20x", 502, spec.specificationVersion)
        + text_field("generic")
        + struct.pack("<I28x", spec.specificationVersion)
        + struct.pack("<Q", len(description))
        + description
        + struct.pack("<QQ", 502, 0)
    )


def analytics_file():
    pairs = [("containsCustomLayer", "0"), ("modelDimension", "0")]
    return (
        text_field("NeuralNetworkModelDetails")
        + struct.pack("<Q", len(pairs))
        + b"".join(text_field(name) + text_field(value) for name, value in pairs)
    )


def schema_entry(feature):
    entry = {"name": feature.name, "isOptional": "0", "shortDescription": feature.shortDescription}
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        width, height = feature.type.imageType.width, feature.type.imageType.height
        entry |= {
            "type": "Image",
            "width": str(width),
            "height": str(height),
            "colorspace": "Grayscale",
            "isColor": "0",
            "hasSizeFlexibility": "0",
            "formattedType": f"Image (Grayscale {width} × {height})",
        }
    elif kind == "stringType":
        entry |= {"type": "String", "formattedType": "String"}
    elif kind == "dictionaryType":
        entry |= {"type": "Dictionary", "keyType": "String", "formattedType": "Dictionary (String → Double)"}
    else:
        raise ValueError(f"feature type {kind} is not written")
    return entry


def metadata_text(spec, class_name):
    function = spec.mlProgram.functions["main"]
    era = OPSET[function.opset].capitalize()
    counts = Counter(op.type for op in function.block_specializations[function.opset].operations)
    counts.pop("const", None)
    notes = spec.description.metadata
    return (
        json.dumps(
            [
                {
                    "metadataOutputVersion": "3.0",
                    "generatedClassName": class_name,
                    "method": "predict",
                    "shortDescription": notes.shortDescription,
                    "author": notes.author,
                    "license": notes.license,
                    "version": notes.versionString,
                    "userDefinedMetadata": dict(sorted(notes.userDefined.items())),
                    "specificationVersion": spec.specificationVersion,
                    "isUpdatable": "0",
                    "modelType": {"name": "MLModelType_mlProgram"},
                    "modelParameters": [],
                    "computePrecision": "Mixed (Float16, Float32)",
                    "storagePrecision": "Float16",
                    "stateSchema": [],
                    "mlProgramOperationTypeHistogram": {
                        f"{era}.{name}": count for name, count in sorted(counts.items())
                    },
                    "inputSchema": [schema_entry(feature) for feature in spec.description.input],
                    "outputSchema": [schema_entry(feature) for feature in spec.description.output],
                }
            ],
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def write(package, folder):
    """Writes the ML Program at `package` as the compiled folder `folder`."""
    inside = Path(package) / "Data" / "com.apple.CoreML"
    spec = ct.proto.Model_pb2.Model.FromString((inside / "model.mlmodel").read_bytes())
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "weights").mkdir(parents=True)
    (folder / "analytics").mkdir()
    shutil.copyfile(inside / "weights" / "weight.bin", folder / "weights" / "weight.bin")
    (folder / "model.mil").write_text(program_text(spec.mlProgram), encoding="utf-8")
    (folder / "coremldata.bin").write_bytes(description_file(spec))
    (folder / "analytics" / "coremldata.bin").write_bytes(analytics_file())
    (folder / "metadata.json").write_text(metadata_text(spec, folder.stem), encoding="utf-8")
