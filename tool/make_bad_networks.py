#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the malformed neural networks of test/format/bad/network and their seeds for the fuzz target coreml_model.

As tool/make_bad_coreml.py, whose words it uses: a small sound network with one thing wrong, and the message beside it.
Run it from the root of the project, without arguments; the result is committed."""

import pathlib
import struct

from make_bad_coreml import array, description, feature, model, num, sub, varint, write, write_cases


def real(field, x):
    return varint(field << 3 | 5) + struct.pack("<f", x)


def reals(field, values):
    return sub(field, struct.pack(f"<{len(values)}f", *values))


def ints(field, values):
    return sub(field, b"".join(varint(n) for n in values))


def layer(kind, params=b"", inputs=("x",), outputs=("y",), name="l"):
    names = b"".join(sub(2, i) for i in inputs) + b"".join(sub(3, o) for o in outputs)
    return sub(1, sub(1, name), names, sub(kind, params))


def network(*layers, shape=(2, 4, 4), more=b"", kind=500, about=b"", exact=False, outputs=("y",), x=None):
    inputs = [x or feature("x", array(shape))]
    mapping = num(5, 1) if exact else b""
    return model(b"".join(layers) + mapping + more, kind, 4, description(inputs, outputs, about))


def convolution(weights=None, outputs=2, inputs=2, kernel=(1, 1), more=b""):
    weights = reals(1, [1] * 4) if weights is None else weights
    return num(1, outputs) + num(2, inputs) + ints(20, kernel) + sub(90, weights) + more


def quantised(bits, data, how):
    return sub(30, data) + sub(40, num(1, bits), how)


def linear(scale, bias=()):
    return sub(101, reals(1, scale), reals(2, bias))


RELU = layer(130, sub(10))


def weights():
    def conv(*args, **more):
        return network(layer(100, convolution(*args, **more)))

    yield "weights_missing", conv(b""), "layer 'l' (convolution): weights are missing"
    yield "weights_few", conv(reals(1, [1] * 3)), "there are 3 weights, the shape [2, 2, 1, 1] needs 4"
    yield "weights_many", conv(reals(1, [1] * 5)), "there are 5 weights, the shape [2, 2, 1, 1] needs 4"
    yield "weights_huge", conv(outputs=2**40, inputs=2**40), "layer 'l' (convolution): "
    yield "weights_bits", conv(quantised(40, b"\0" * 4, linear([1]))), "quantised to 40 bits"
    yield "weights_codes", conv(quantised(4, b"\0" * 5, linear([1]))), "there are 10 weights"
    yield "weights_no_scale", conv(quantised(8, b"\0" * 4, linear([]))), "quantised weights have no scale"
    yield "weights_scales", conv(
        quantised(8, b"\0" * 4, linear([1, 1, 1]))
    ), "3 scales or biases are given for 2 channels"
    yield "weights_table", conv(
        quantised(2, b"\0", sub(102, reals(1, [1])))
    ), "a table has 1 entries for codes of 2 bits"
    yield "weights_how", conv(quantised(8, b"\0" * 4, b"")), "neither scales nor a table"
    yield "bias_few", conv(more=num(70, 1) + sub(91, reals(1, [1]))), "there are 1 weights, the shape [2] needs 2"
    yield "kernel_rank", conv(kernel=[1]), "field 20 has 1 lengths, 2 are needed"
    yield "kernel_large", conv(reals(1, [1] * 100), 2, 2, (5, 5)), "does not fit an input of 4"
    yield "channels", network(layer(100, convolution()), shape=(3, 4, 4)), "takes 2 channels"
    yield "groups", conv(reals(1, [1] * 2), 2, 1, more=num(10, 3)), "layer 'l' (convolution): "
    yield "channels_negative", conv(outputs=-2), "must be positive"
    product = num(1, 30) + num(2, 1) + sub(20, reals(1, [1] * 30))
    yield "product_length", network(layer(140, product)), "takes 30 numbers of each example, it gets [2, 4, 4]"
    norm = num(1, 3) + b"".join(sub(f, reals(1, [1] * 3)) for f in (15, 16, 17, 18))
    yield "norm_channels", network(layer(160, norm)), "layer 'l' (batchnorm): "


def graphs():
    yield "no_layer", network(), "output 'y': there is no 'y' before it"
    yield "layer_empty", network(sub(1, sub(1, "l"))), "the layer says nothing of what it does"
    yield "input_unknown", network(layer(130, sub(10), ["q"])), "layer 'l' (activation): there is no 'q' before it"
    yield "input_itself", network(layer(130, sub(10), ["y"])), "there is no 'y' before it"
    yield "input_count", network(layer(130, sub(10), ["x", "x"])), "takes 1 input, 2 are given"
    yield "input_none", network(layer(230, b"", [])), "layer 'l' (add): takes 1 to 1000 inputs, 0 are given"
    yield "output_count", network(layer(130, sub(10), outputs=["y", "z"])), "names 2 outputs, it has 1"
    yield "output_unknown", network(RELU, outputs=["y", "z"]), "output 'z': there is no 'z' before it"
    yield "activation", network(layer(130)), "there is no activation number 0"
    cut = layer(130, sub(10))[:-2]
    yield "damaged", network(cut + b"\x0a\x7f"), "is damaged"
    concat = layer(150, num(1, 4) + num(2, 3) + sub(20, reals(1, [0] * 12)), outputs=["t"])
    yield "concat", network(concat, layer(320, b"", ["x", "t"])), "layer "
    yield "shapes", network(layer(210, ints(1, [2, 2]), outputs=["t"]), layer(230, b"", ["x", "t"])), "(add): "
    yield "split", network(layer(330, num(1, 3), outputs=["y", "z", "w"])), "layer 'l' (split): "
    yield "split_count", network(layer(330, num(1, 3))), "the number of parts is not the number of outputs"
    yield "reshape", network(layer(300, ints(1, [5, 5, 5]))), "takes 125 numbers of each example, it gets [2, 4, 4]"
    yield "reshape_rank", network(layer(300, ints(1, [32]))), "must have 3 or 4 lengths"
    yield "reshape_zero", network(layer(300, ints(1, [0, 1, 1]))), "must be positive"
    yield "permute", network(layer(310, ints(1, [0, 1, 1, 3]))), "are not a permutation"
    yield "permute_few", network(layer(310, ints(1, [0, 1]))), "must have 4 axes"
    yield "slice_axis", network(layer(350, num(2, 1) + num(4, 7))), "along channels, height or width"
    yield "crop", network(layer(190, sub(1, sub(10, num(1, 9)), sub(10)))), "layer 'l' (crop): "
    yield "border", network(layer(200, sub(10, sub(10, num(1, 9))))), "is not given for height and width"
    yield "padding", network(layer(200, sub(10, sub(10, num(1, -9)), sub(10)))), "layer 'l' (padding): "
    yield "pooling", network(layer(120, ints(10, [9, 9]) + ints(20, [1, 1]))), "does not fit an input of 4"
    yield "pooling_type", network(layer(120, num(1, 5) + ints(10, [2, 2]))), "there is no such type of pooling"
    yield "stride", network(layer(120, ints(10, [2, 2]) + ints(20, [0, 1]))), "layer 'l' (pooling): max_pool: strides is 0"
    yield "factor", network(layer(210, reals(7, [-1, 1]))), "a scaling factor cannot be"
    yield "reduce", network(layer(280, num(1, 40))), "there is no such reduction"
    yield "reduce_axis", network(layer(280, num(3, 9))), "there is no reduction axis number 9"
    yield "constant", network(layer(290, ints(1, [2**30, 2**30, 1]), [])), "layer 'l' (loadConstant): "
    yield "softmax_axis", network(layer(950, num(1, 7)), exact=True), "layer 'l' (softmaxND): "
    yield "input_rank", network(RELU, shape=[1] * 6), "of more than 5 dimensions"
    yield "input_kind", network(RELU, x=feature("x", sub(3))), "a neural network takes arrays and images"
    image = feature("x", sub(4, num(1, 2), num(2, 2), num(3, 20)))
    mean = sub(2, sub(11, reals(1, [0] * 5)))
    yield "mean_image", network(RELU, more=mean, x=image), "preprocessing: a mean image of 5 numbers for [3, 2, 2]"
    labels = sub(100, sub(1, "a"), sub(1, "b"))
    about = sub(11, "c") + sub(12, "p")
    classes = [feature("c", sub(3)), feature("p", sub(6, sub(2)))]
    yield "labels", network(
        RELU, more=labels, kind=403, about=about, outputs=classes
    ), "the labels of the classifier: classify: has 2 classes for 32 probabilities"
    yield "no_labels", network(RELU, kind=403, about=about, outputs=classes), "has 0 classes for 32 probabilities"
    yield "probabilities", network(
        RELU, more=labels + sub(200, "q"), kind=403, about=about, outputs=classes
    ), "there is no 'q' before it"


def newer():
    def one(kind, params=b"", inputs=("x",), outputs=("y",), shape=(2, 4, 4)):
        return network(layer(kind, params, inputs, outputs), shape=shape, exact=True, outputs=outputs or ("y",))

    yield "transpose", one(985, ints(1, [0, 2])), "layer 'l' (transpose): "
    yield "squeeze_axis", one(1120, ints(1, [5])), "layer 'l' (squeeze): "
    yield "squeeze_nothing", one(1120), "layer 'l' (squeeze): has no axes"
    yield "expand_dims", one(1125, ints(1, [0, 0])), "named twice"
    yield "reshape_static", one(1140, ints(1, [5, 5])), "layer 'l' (reshapeStatic): "
    yield "reshape_two", one(1140, ints(1, [-1, -1])), "more than one -1"
    yield "reshape_huge", one(1140, ints(1, [2**40, 2**40])), "layer 'l' (reshapeStatic): "
    yield "reshape_preserving", one(1150, ints(1, [-1])), "is not of the rank of [2, 4, 4]"
    yield "broadcast", one(1105, ints(1, [2, 3, 4])), "layer 'l' (broadcastToStatic): "
    yield "concat_axis", one(980, num(1, 9), ["x", "x"]), "layer 'l' (concatND): "
    yield "split_outputs", one(975, num(2, 3), outputs=["y", "z"]), "splits into 3 parts, but has 2 outputs"
    yield "split_sizes", one(975, num(2, 2) + ints(3, [1, 4]), outputs=["y", "z"]), "layer 'l' (splitND): "
    yield "tile", one(920, ints(1, [2, -1, 2])), "layer 'l' (tile): "
    yield "reverse", one(960, ints(1, [1])), "says of 1 dimensions whether to reverse them"
    yield "windows", one(1005, num(1, 1) + num(2, 9) + num(3, 1)), "layer 'l' (slidingWindows): "
    yield "slice_stride", one(995, ints(1, [0] * 3) + ints(3, [1] * 3) + ints(5, [0] * 3)), "(sliceStatic): "
    yield "pad_amounts", one(1155, ints(2, [1, 1])), "has 2 amounts of padding; a blob of rank 3 needs 6"
    yield "fill", one(1085, ints(1, [2, -2]) + ints(2, [2, -2]), []), "has a negative dimension"
    yield "fill_huge", one(1085, ints(2, [2**40, 2**40]), []), "layer 'l' (fillStatic): "
    yield "constant_short", one(1070, ints(1, [2, 2]) + sub(2, reals(1, [1])), []), "there are 1 weights"
    yield "range", one(635, real(1, 5) + real(3, 0), []), "layer 'l' (rangeStatic): "
    yield "scatter_mode", one(954, num(2, 7), ["x", "x", "x"]), "has mode 7, which is not one of 0 to 6"
    yield "gather_inputs", one(930), "layer 'l' (gather): takes 2 inputs, 1 are given"
    yield "top_k", one(1015, num(2, 9), outputs=["y", "z"]), "layer 'l' (topK): "
    yield "top_none", one(1015, outputs=["y", "z"]), "asks for 0 elements"
    yield "reduce_axes", one(1270, ints(1, [3])), "layer 'l' (reduceSum): "
    yield "triangle", one(1320, num(1, -1), shape=[4]), "takes matrices, not a vector"
    yield "boxes", one(1400, num(3, 5), ["x", "x"], ["y", "z", "v", "w"], (2, 4, 3)), "layer 'l' (NonMaximumSuppression): "


def recurrent():
    sizes, gates = num(1, 3) + num(2, 2), sub(10, sub(40)) + sub(10, sub(30)) * 2
    w, r = reals(1, [0] * 6), reals(1, [0] * 4)
    all_of = b"".join(sub(1 + k, w) + sub(20 + k, r) for k in range(4))

    def lstm(params, **more):
        return network(layer(420, params), shape=(3,), **more)

    yield "lstm_sizes", lstm(num(1, 3) + gates), "takes vectors of 3 and gives ones of 0"
    yield "lstm_huge", lstm(num(1, 2**40) + num(2, 2**40) + gates), "layer 'l' (uniDirectionalLSTM): takes vectors"
    yield "lstm_activations", lstm(sizes + sub(10, sub(40)) + sub(20, all_of)), "has 1 activations, it needs 3"
    yield "lstm_no_weights", lstm(sizes + gates), "weights are missing"
    few = sub(1, r) + all_of[len(sub(1, w)) :]
    yield "lstm_weights", lstm(sizes + gates + sub(20, few)), "there are 4 weights, the shape [2, 3] needs 6"
    yield "lstm_width", lstm(num(1, 4) + num(2, 2) + gates + sub(20, all_of)), "there are 6 weights"
    yield "lstm_bias", lstm(sizes + gates + sub(15, num(20, 1)) + sub(20, all_of)), "weights are missing"
    yield "lstm_rank", lstm(sizes + gates + sub(20, all_of), exact=True), "takes [Seq, Batch, C, 1, 1], not [3]"
    both = sizes + gates + sub(20, all_of)
    yield "lstm_one_way", network(layer(430, both), shape=(3,)), "has the weights of 1 directions, it needs 2"


def control():
    def of(*layers, **more):
        return network(*layers, exact=True, **more)

    def loop(body, params=num(1, 3), inputs=()):
        return layer(615, params + sub(4, body), inputs, [])

    copy = layer(600)
    yield "loop_endless", of(copy, loop(copy, b"")), "has no condition and no number of rounds"
    yield "loop_negative", of(copy, loop(copy, num(1, -1))), "has -1 as its number of rounds"
    yield "loop_condition", of(copy, loop(copy, sub(2, "c"))), "layer 'l' (loop): there is no 'c' before it"
    yield "loop_body", of(copy, loop(layer(130, sub(10), ["q"]))), "layer 'l' (loop): layer 'l' (activation): there is no 'q'"
    yield "break_outside", of(copy, layer(620, b"", [], [])), "layer 'l' (loopBreak): is not in a loop"
    jump = layer(605, sub(1, layer(625, b"", [], [])), ["c"], [])
    mean = layer(1280, num(3, 1), outputs=["c"])
    yield "continue_outside", of(copy, mean, jump), "(loopContinue): is not in a loop"
    yield "branch_inputs", of(layer(605, sub(1, copy), [], [])), "layer 'l' (branch): takes 1 input, 0 are given"
    yield "branch_condition", of(copy, layer(605, sub(1, copy), ["x"], [])), "layer 'l' (branch): "
    nested = copy
    for _ in range(80):
        nested = loop(nested)
    yield "loop_deep", of(copy, nested), "networks are nested deeper than 64"


def seeds():
    conv = layer(100, convolution(more=num(70, 1) + sub(91, reals(1, [1, 2]))), outputs=["a"])
    pool = layer(120, ints(10, [2, 2]) + ints(20, [2, 2]) + sub(32, ints(10, [0, 0])), ["a"], ["b"])
    dense = num(1, 8) + num(2, 2) + sub(20, quantised(4, b"\x12" * 8, linear([1, 2], [0, 1])))
    yield "network_image", network(conv, pool, layer(140, dense, ["b"]))
    moves = layer(310, ints(1, [1, 0, 2, 3]), outputs=["a"]) + layer(340, num(1, 2), ["a"], ["b"])
    yield "network_sequence", network(moves, layer(320, num(100, 1), ["b", "b"]))
    exact = layer(1350, ints(1, [4]) + real(2, 1e-5), outputs=["a"]) + layer(950, num(1, -1), ["a"])
    yield "network_exact", network(exact, exact=True)
    inner = sub(1, layer(600, b"", ["x"], ["y"])[2:])
    loop = layer(600, b"", ["x"], ["y"]) + layer(615, num(1, 2) + sub(4, inner), [], [])
    yield "network_loop", network(loop, exact=True)
    branch = layer(280, b"", outputs=["c"]) + layer(605, sub(1, layer(600)) + sub(2, layer(130, sub(10))), ["c"], [])
    yield "network_branch", network(layer(600), branch, exact=True)


def main():
    write_cases(pathlib.Path("test/format/bad/network"), [*weights(), *graphs(), *newer(), *recurrent(), *control()], ".mlmodel")
    for name, content in seeds():
        write(pathlib.Path("test/fuzz/corpus/coreml_model") / name, content)


if __name__ == "__main__":
    main()
