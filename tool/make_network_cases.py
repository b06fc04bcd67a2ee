#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/format/network/cases.json: small neural networks of the newer layers and what NumPy gives for them.

A case is {"name", "model" (base64), "inputs": {name: [shape, data]}, "outputs": {name: [shape, data]}}.
Run it from the root of the project, without arguments; it needs NumPy, and the same run gives the same bytes."""

import base64
import json
import math
import pathlib

import numpy as np
from make_bad_coreml import array, description, feature, model, num, sub
from make_bad_networks import ints, layer, real, reals

OUT = pathlib.Path("test/format/network/cases.json")
rng = np.random.default_rng(5)
cases = []


def draw(*shape, low=-2.0, high=2.0):
    return np.round(rng.uniform(low, high, shape), 3).astype(np.float32)


def whole(*values):
    return np.array(values, np.float32)


def listed(a):
    a = np.asarray(a, np.float64)
    return [list(a.shape), [0 if x == 0 else float(f"{x:.7g}") for x in a.ravel()]]


def case(name, layers, inputs, outputs, more=num(5, 1)):
    about = description([feature(n, array(a.shape)) for n, a in inputs.items()], list(outputs))
    content = model(b"".join(layers) + more, 500, 5, about)
    cases.append(
        {
            "name": name,
            "model": base64.b64encode(content).decode(),
            "inputs": {n: listed(a) for n, a in inputs.items()},
            "outputs": {n: listed(a) for n, a in outputs.items()},
        }
    )


def one(name, kind, params, inputs, *outputs):
    """A network of one layer; its inputs are x0, x1 …, its outputs y0, y1 …"""
    ins = {f"x{i}": np.asarray(a, np.float32) for i, a in enumerate(inputs)}
    outs = {f"y{i}": a for i, a in enumerate(outputs)}
    case(name, [layer(kind, params, list(ins), list(outs))], ins, outs)


# ---- element by element


def unary():
    rows = {665: np.ceil, 670: np.floor, 680: np.sign, 685: np.round, 700: np.exp2, 710: np.sin, 715: np.cos,
            720: np.tan, 740: np.arctan, 750: np.sinh, 755: np.cosh, 760: np.tanh, 770: np.arcsinh,
            790: np.vectorize(math.erf)}  # fmt: skip
    x = draw(2, 5)
    x[0, :4] = [0.5, 1.5, -2.5, 0]
    for kind, f in rows.items():
        one(f"unary_{kind}", kind, b"", [x], f(x.astype(np.float64)))
    inside, above = draw(2, 3, low=-0.9, high=0.9), draw(2, 3, low=1.1, high=4)
    for kind, f in {730: np.arcsin, 735: np.arccos, 780: np.arctanh}.items():
        one(f"unary_{kind}", kind, b"", [inside], f(inside.astype(np.float64)))
    one("unary_775", 775, b"", [above], np.arccosh(above.astype(np.float64)))
    one("clip", 660, real(1, -0.5) + real(2, 1.25), [x], np.clip(x, -0.5, 1.25))


def binary():
    a, b = draw(2, 1, 3), draw(4, 1, low=0.5, high=3)
    rows = {865: np.mod, 870: np.minimum, 875: np.maximum, 880: np.add, 890: np.divide, 895: np.floor_divide,
            900: np.multiply, 905: np.subtract}  # fmt: skip
    for kind, f in rows.items():
        one(f"binary_{kind}", kind, b"", [a, b], f(a.astype(np.float64), b.astype(np.float64)))
    one("power", 885, b"", [np.abs(a), b], np.abs(a) ** b)
    p, q = whole(1, 2, 3, 0), whole(1, 3, 2, 0)[:, None]
    tests = {815: (np.equal, 1), 820: (np.not_equal, 1), 825: (np.less, 2), 827: (np.less_equal, 2),
             830: (np.greater, 2), 832: (np.greater_equal, 2)}  # fmt: skip
    for kind, (f, alpha) in tests.items():
        one(f"test_{kind}", kind, b"", [p, q], f(p, q))
        one(f"test_{kind}_alpha", kind, real(alpha, 2), [p], f(p, 2))
    u, v = whole(0, 0, 1, -2), whole(0, 3, 0, 1)
    for kind, f in {840: np.logical_or, 845: np.logical_xor, 855: np.logical_and}.items():
        one(f"logic_{kind}", kind, b"", [u, v], f(u, v))
    one("logic_not", 850, b"", [u], u == 0)
    one("where", 1330, b"", [u, whole(1)[:, None], v], np.where(u, whole(1)[:, None], v))


# ---- shapes


def shapes():
    x = draw(2, 3, 4)
    one("transpose", 985, ints(1, [2, 0, 1]), [x], x.transpose(2, 0, 1))
    s = draw(1, 3, 1)
    one("squeeze", 1120, ints(1, [0]), [s], s[0])
    one("squeeze_all", 1120, num(2, 1), [s], s.reshape(3))
    one("squeeze_to_one", 1120, num(2, 1), [s[:, :1]], s[:, :1].reshape(1))
    one("expand_dims", 1125, ints(1, [0, -1]), [x], x[None, ..., None])
    for axis in (0, 1, 2, 3, -1):
        at = axis if axis >= 0 else 3 + axis
        one(f"flatten_{axis}", 1130, num(1, axis), [x], x.reshape(math.prod(x.shape[:at]), -1))
    one("reshape", 1140, ints(1, [4, -1]), [x], x.reshape(4, 6))
    one("reshape_keep", 1140, ints(1, [0, -1]), [x], x.reshape(2, 12))
    one("reshape_rank", 1150, ints(1, [6, -1, 0]), [x], x.reshape(6, 1, 4))
    one("reshape_dynamic", 1145, b"", [x, whole(3, -1)], x.reshape(3, 8))
    one("reshape_like", 1135, b"", [x, draw(4, 6)], x.reshape(4, 6))
    row = draw(3, 1)
    one("broadcast_static", 1105, ints(1, [2, 3, 4]), [row], np.broadcast_to(row, (2, 3, 4)))
    one("broadcast_dynamic", 1110, b"", [row, whole(2, 3, 4)], np.broadcast_to(row, (2, 3, 4)))
    one("broadcast_like", 1100, b"", [row, x], np.broadcast_to(row, (2, 3, 4)))
    one("shape", 1065, b"", [x], whole(2, 3, 4))
    one("concat", 980, num(1, -2), [x, draw(2, 1, 4) * 0], np.concatenate([x, np.zeros((2, 1, 4))], 1))
    woven = np.stack([x, x + 1], 2).reshape(2, 6, 4)
    one("interleave", 980, num(1, 1) + num(2, 1), [x, x + 1], woven)
    one("stack", 925, num(1, -1), [x, x + 1], np.stack([x, x + 1], -1))
    one("split", 975, num(1, 1) + num(2, 3), [x], *np.split(x, 3, 1))
    wide = draw(2, 7)
    one("split_uneven", 975, num(1, -1) + num(2, 3), [wide], *np.array_split(wide, 3, -1))
    one("split_sizes", 975, num(1, 1) + num(2, 2) + ints(3, [2, 5]), [wide], wide[:, :2], wide[:, 2:])
    one("tile", 920, ints(1, [2, 1, 3]), [x], np.tile(x, (2, 1, 3)))
    one("tile_last", 920, ints(1, [2]), [x], np.tile(x, 2))
    one("tile_dynamic", 920, b"", [x, whole(1, 2)], np.tile(x, (1, 2)))
    one("tile_more", 920, ints(1, [2, 3]), [row[:, 0]], np.tile(row[:, 0], (2, 3)))
    one("reverse", 960, ints(1, [1, 0, 1]), [x], x[::-1, :, ::-1])
    r = draw(3, 2, 4)
    turned = r.copy()
    for b, n in enumerate([2, 0, 4]):
        turned[b, :, :n] = r[b, :, :n][:, ::-1]
    one("reverse_sequence", 965, num(2, 2), [r, whole(2, 0, 4)], turned)
    windows = np.stack([wide[:, i : i + 3] for i in (0, 2, 4)], 1)
    one("windows", 1005, num(1, 1) + num(2, 3) + num(3, 2), [wide], windows)


def slices():
    x = draw(4, 5, 6)

    def static(begin, end, strides, begins=(0, 0, 0), ends=(0, 0, 0), squeezes=(0, 0, 0)):
        return b"".join(ints(f, v) for f, v in enumerate((begin, begins, end, ends, strides, squeezes), 1))

    def dynamic(end, strides, begins=(0, 0, 0), ends=(0, 0, 0), squeezes=(0, 0, 0)):
        return ints(2, begins) + ints(3, end) + ints(4, ends) + ints(5, strides) + ints(6, squeezes)

    one("slice", 995, static([1, -4, 0], [3, -1, 5], [1, 2, 3]), [x], x[1:3, -4:-1:2, 0:5:3])
    one("slice_back", 995, static([3, 0, 4], [0, 0, -6], [-1, -2, -1], [0, 1, 0], [0, 1, 0]), [x], x[3:0:-1, ::-2, 4:-6:-1])
    one("slice_squeeze", 995, static([1, -1, 2], [2, 0, 3], [1, 1, 1], squeezes=[1, 1, 0]), [x], x[1, -1, 2:3])
    one("slice_number", 995, static([1, 2, 3], [2, 3, 4], [1, 1, 1], squeezes=[1, 1, 1]), [x], x[1, 2, 3].reshape(1))
    one("slice_begin", 1000, dynamic([4, 5, 6], [1, 1, 1]), [x, whole(1, 2, -2)], x[1:, 2:, -2:])
    one("slice_both", 1000, dynamic([], [1, 2, 1, 1, 1], squeezes=[0, 0, 1, 0, 0]),
        [x, whole(0, 1, -1), whole(2, 5, 0)], x[0:2, 1:5:2, -1])  # fmt: skip
    steps = layer(1070, ints(1, [3]) + sub(2, reals(1, [1, -2, 1])), [], ["s"])
    masks = {"b": whole(0, 1, 0), "e": whole(1, 1, 0)}
    given = {"x": x, "p": whole(1, 3, 2), "q": whole(2, 1, 5)} | masks
    case("slice_masks", [steps, layer(1000, b"", ["x", "p", "q", "s", "b", "e"])], given, {"y": x[1:, ::-2, 2:5]})
    masks |= {"s": whole(1, -2, 2)}
    given |= {"s": masks["s"], "p": whole(1, 3, -4), "q": whole(2, 1, 99)}
    case("slice_all_inputs", [layer(1000, b"", ["x", "p", "q", "s", "b", "e"])], given | masks, {"y": x[1:, ::-2, -4:99:2]})
    back = {"x": x, "p": whole(-1, -9, 4), "q": whole(-9, -1, 1), "s": whole(-1, 1, -2)}
    case("slice_strides", [layer(1000, b"", ["x", "p", "q", "s"])], back, {"y": x[-1:-9:-1, -9:-1, 4:1:-2]})
    one("slice_size", 1470, num(2, 2) + num(3, -1), [x, whole(3)], x[:, :, 3:5])
    m = draw(2, 3)
    one("pad", 1155, real(1, 9) + ints(2, [1, 0, 2, 1]), [m], np.pad(m, ((1, 0), (2, 1)), constant_values=9))
    one("pad_to_size", 1155, ints(2, [4, 0, 0, 2]) + num(3, 1), [m], np.pad(m, ((2, 0), (0, 0))))
    one("pad_dynamic", 1155, b"", [m, whole(0, 1, 1, 0)], np.pad(m, ((0, 1), (1, 0))))


def making():
    x = draw(2, 3)
    one("fill_like", 1080, real(1, 1.5), [x], np.full((2, 3), 1.5))
    one("fill_dynamic", 1090, real(1, -1), [whole(3, 1)], np.full((3, 1), -1))
    given, total = {"x": x}, {"y": x + 2}
    case("fill_static", [layer(1085, real(1, 2) + ints(2, [2, 1]), [], ["c"]), layer(880, b"", ["x", "c"])], given, total)
    data = [1, 2, 3, 4, 5, 6]
    values = layer(1070, ints(1, [2, 3]) + sub(2, reals(1, data)), [], ["c"])
    case("constant", [values, layer(880, b"", ["x", "c"])], given, {"y": x + whole(*data).reshape(2, 3)})
    row = layer(635, real(1, 3.5) + real(2, 1) + real(3, 1), [], ["c"])
    case("range", [row, layer(880, b"", ["x", "c"])], given, {"y": x + whole(1, 2, 3)})
    one("range_end", 640, real(2, 1) + real(3, 2), [whole(6)], whole(1, 3, 5))
    one("range_all", 640, b"", [whole(-1), whole(5), whole(-2)], whole(5, 3, 1))


# ---- indices


def scattered(data, place, updates, f):
    out = data.astype(np.float64)
    for i in np.ndindex(updates.shape):
        out[place(i)] = f(out[place(i)], updates[i])
    return out


MODES = [lambda a, b: b, lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, max, min]


def indices():
    x = draw(4, 3, 2)
    i = whole(3, 0, -1)
    one("gather", 930, num(1, 0), [x, i], x[[3, 0, -1]])
    one("gather_matrix", 930, num(1, -2), [x, whole(2, 0, 1, 1).reshape(2, 2)], x[:, [[2, 0], [1, 1]]])
    nd = whole(3, 0, 0, 2).reshape(2, 2)
    one("gather_nd", 940, b"", [x, nd], x[[3, 0], [0, 2]])
    along = whole(0, 2, 1, 1).reshape(2, 2)
    m, u = draw(2, 3), draw(2, 2, low=0.5, high=2)
    one("gather_along", 952, num(1, -1), [m, along], np.take_along_axis(m, along.astype(int), -1))
    columns = along.astype(int)
    for mode, f in enumerate(MODES):
        params = num(1, 1) + num(2, mode)
        one(f"scatter_{mode}", 935, params, [m, whole(2, 0), u], scattered(m, lambda i: (i[0], [2, 0][i[1]]), u, f))
        place = lambda i: (i[0], columns[i])  # noqa: E731
        one(f"scatter_along_{mode}", 954, params, [m, along, u], scattered(m, place, u, f))
        rows = whole(1, 2, 0, 0).reshape(2, 2)
        one(f"scatter_nd_{mode}", 945, num(1, mode), [m, rows, u[0]], scattered(m, lambda i: [(1, 2), (0, 0)][i[0]], u[0], f))
    k = draw(3, 5)
    order = np.argsort(k, 1, "stable")
    down = order[:, ::-1]
    sort = lambda o: np.take_along_axis(k, o, 1)  # noqa: E731
    one("top_k", 1015, num(1, -1) + num(2, 2), [k], sort(down[:, :2]), down[:, :2])
    one("bottom_k", 1015, num(1, 1) + num(2, 3) + num(3, 1), [k], sort(order[:, :3]), order[:, :3])
    one("top_k_dynamic", 1015, num(1, 1), [k, whole(4)], sort(down[:, :4]), down[:, :4])
    one("sort", 1461, num(1, 1), [k], order)
    one("sort_down", 1461, num(1, 1) + num(2, 1), [k], down)
    one("arg_max", 1025, num(1, 0), [k], k.argmax(0)[None])
    one("arg_min", 1020, num(1, -1) + num(2, 1), [k], k.argmin(1))
    one("arg_max_vector", 1025, num(2, 1), [k[0]], k[0].argmax().reshape(1))
    hot = np.eye(4)[[3, 0]]
    one("one_hot", 1450, num(1, 4) + num(2, -1) + real(3, 1), [whole(3, 0)], hot)
    one("one_hot_first", 1450, num(2, 0) + real(3, 5) + real(4, 2), [whole(3, 0), whole(4)], (hot * 3 + 2).T)
    one("cum_sum", 1455, num(1, 1), [k], k.cumsum(1))
    one("cum_sum_before", 1455, num(1, -1) + num(2, 1), [k], k.cumsum(1) - k)
    one("cum_sum_back", 1455, num(1, 0) + num(3, 1), [k], k[::-1].cumsum(0)[::-1])


def masks():
    x = draw(2, 4, 5, low=0.5, high=2)
    gap = np.arange(5)[None, :] - np.arange(4)[:, None]
    for lower, upper in ((1, 0), (-1, 2), (2, -3)):
        keep = ((lower < 0) | (-gap <= lower)) & ((upper < 0) | (gap <= upper))
        one(f"band_{lower}_{upper}", 1315, num(1, lower) + num(2, upper), [x], x * keep)
    for k in (-2, -1, 0, 1, 6):
        one(f"lower_{k}", 1320, num(1, k), [x], np.tril(x, k))
        one(f"upper_{k}", 1325, num(1, k), [x], np.triu(x, k))
    sparse = whole(0, 2, 0, -1, 0, 3).reshape(2, 3)
    one("non_zero", 1313, b"", [sparse], np.argwhere(sparse))


def reductions():
    x = draw(2, 3, 4, low=0.5, high=2)
    wide = x.astype(np.float64)
    rows = {
        1250: lambda a, **k: np.abs(a).sum(**k), 1255: lambda a, **k: np.sqrt((a * a).sum(**k)), 1260: np.max,
        1265: np.min, 1270: np.sum, 1275: np.prod, 1280: np.mean, 1285: lambda a, **k: np.log(a.sum(**k)),
        1290: lambda a, **k: (a * a).sum(**k), 1295: lambda a, **k: np.log(np.exp(a).sum(**k)),
    }  # fmt: skip
    for kind, f in rows.items():
        one(f"reduce_{kind}", kind, ints(1, [0, -1]), [x], f(wide, axis=(0, -1)))
        one(f"reduce_{kind}_keep", kind, ints(1, [1]) + num(2, 1), [x], f(wide, axis=1, keepdims=True))
        one(f"reduce_{kind}_all", kind, num(3, 1), [x], f(wide, axis=None).reshape(1))


# ---- boxes


def boxes():
    b = np.array([[[1, 1, 2, 2], [1.1, 1, 2, 2], [5, 5, 2, 2], [1, 1.2, 2, 2]]], np.float32)
    s = np.array([[[0.9, 0.1], [0.2, 0.8], [0.3, 0.05], [0.1, 0.7]]], np.float32)
    params = real(1, 0.5) + real(2, 0.2) + num(3, 5)

    def outputs(kept):
        boxes, scores, where = np.zeros((1, 5, 4)), np.zeros((1, 5, 2)), np.full((1, 5), -1.0)
        for k, i in enumerate(kept):
            boxes[0, k], scores[0, k], where[0, k] = b[0, i], s[0, i], i
        return boxes, scores, where, whole(len(kept))

    one("boxes", 1400, params, [b, s], *outputs([0, 2]))
    for n in (3, 4, 5):
        limits = [whole(0.5), whole(0.2), whole(5)][: n - 2]
        one(f"boxes_{n}_inputs", 1400, b"" if n == 5 else params, [b, s, *limits], *outputs([0, 2]))
    one("boxes_per_class", 1400, params + num(4, 1), [b, s], *outputs([0, 1, 2]))


# ---- recurrent layers


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "sigmoid": (sub(40), sigmoid),
    "tanh": (sub(30), np.tanh),
    "relu": (sub(10), lambda x: np.maximum(x, 0)),
    "hard": (sub(41, real(1, 0.2), real(2, 0.5)), lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "scaled": (sub(31, real(1, 1.7159), real(2, 2 / 3)), lambda x: 1.7159 * np.tanh(x * 2 / 3)),
    "linear": (sub(5, real(1, 0.5), real(2, 0.1)), lambda x: 0.5 * x + 0.1),
}


def weights(field, a):
    return sub(field, reals(1, a.ravel().tolist()))


def draw_lstm(inputs, units):
    w, r = draw(4, units, inputs, low=-1, high=1), draw(4, units, units, low=-1, high=1)
    b, p = draw(4, units), draw(3, units)
    message = b"".join(weights(1 + k, w[k]) + weights(20 + k, r[k]) + weights(40 + k, b[k]) for k in range(4))
    return (w, r, b, p), message + b"".join(weights(60 + k, p[k]) for k in range(3))


def lstm(x, h, c, parameters, acts, bias=True, forget=False, peephole=False, coupled=False, clip=50.0):
    """Gates in the order of the file: i, f, z, o."""
    w, r, b, p = (a.astype(np.float64) for a in parameters)
    f, g, last = (ACTIVATIONS[a][1] for a in acts)
    out = []
    for row in x.astype(np.float64):
        bound = lambda a: np.clip(a, -50, 50)  # noqa: E731
        pre = [row @ w[k].T + h @ r[k].T + b[k] * bias for k in range(4)]
        if forget:
            pre[1] = pre[1] + 1
        if peephole:
            pre[0], pre[1] = pre[0] + p[0] * c, pre[1] + p[1] * c
        i = f(bound(pre[0]))
        c = np.clip((1 - i if coupled else f(bound(pre[1]))) * c + i * g(bound(pre[2])), -clip, clip)
        h = f(bound(pre[3] + p[2] * c * peephole)) * last(c)
        out.append(h)
    return np.array(out), h, c


def five(a):
    return a[..., None, None]


def uni_lstms():
    seq, batch, inputs, units = 4, 2, 3, 5
    for name, acts, o in (
        ("plain", ("sigmoid", "tanh", "tanh"), {}),
        ("reverse", ("sigmoid", "tanh", "tanh"), {"reverse": 1}),
        ("last", ("sigmoid", "tanh", "tanh"), {"sequence": 0}),
        ("peephole", ("sigmoid", "tanh", "relu"), {"peephole": 1, "forget": 1}),
        ("forget_only", ("hard", "tanh", "tanh"), {"bias": 0, "forget": 1}),
        ("coupled", ("sigmoid", "tanh", "tanh"), {"coupled": 1, "peephole": 1}),
        ("coupled_hard", ("hard", "relu", "tanh"), {"coupled": 1, "clip": 0.5}),
        ("scaled", ("sigmoid", "scaled", "tanh"), {"peephole": 1}),
        ("linear", ("linear", "tanh", "scaled"), {"reverse": 1, "forget": 1, "clip": 1}),
        ("coupled_linear", ("linear", "relu", "linear"), {"coupled": 1, "sequence": 0}),
    ):
        x, h, c = draw(seq, batch, inputs), draw(batch, units), draw(batch, units)
        parameters, message = draw_lstm(inputs, units)
        flags = {"sequence": 10, "bias": 20, "forget": 30, "peephole": 40, "coupled": 50}
        set_ = {"sequence": 1, "bias": 1} | o
        options = b"".join(num(field, 1) for key, field in flags.items() if set_.get(key))
        if "clip" in o:
            options += real(60, o["clip"])
        params = num(1, inputs) + num(2, units) + b"".join(sub(10, ACTIVATIONS[a][0]) for a in acts)
        params += sub(15, options) + sub(20, message) + num(100, o.get("reverse", 0))
        known = {k: bool(set_.get(k)) for k in ("bias", "forget", "peephole", "coupled")}
        turned = x[::-1] if o.get("reverse") else x
        y, h1, c1 = lstm(turned, h, c, parameters, acts, clip=o.get("clip", 50.0), **known)
        y = y if set_["sequence"] else y[-1:]
        one(f"lstm_{name}", 420, params, [five(x), five(h[None]), five(c[None])], five(y), five(h1[None]), five(c1[None]))


def bi_lstms():
    seq, batch, inputs, units = 3, 2, 4, 3
    for name, ahead, back, sequence in (
        ("both", ("sigmoid", "tanh", "tanh"), ("sigmoid", "tanh", "tanh"), 1),
        ("both_last", ("sigmoid", "tanh", "tanh"), ("sigmoid", "tanh", "tanh"), 0),
        ("both_differ", ("sigmoid", "tanh", "relu"), ("hard", "scaled", "tanh"), 1),
    ):
        x = draw(seq, batch, inputs)
        states = [draw(batch, units) for _ in range(4)]
        (p0, m0), (p1, m1) = draw_lstm(inputs, units), draw_lstm(inputs, units)
        params = num(1, inputs) + num(2, units)
        params += b"".join(sub(10, ACTIVATIONS[a][0]) for a in ahead) + b"".join(sub(11, ACTIVATIONS[a][0]) for a in back)
        params += sub(15, num(10, sequence) + num(20, 1)) + sub(20, m0) + sub(20, m1)
        y0, h0, c0 = lstm(x, *states[:2], p0, ahead)
        y1, h1, c1 = lstm(x[::-1], *states[2:], p1, back)
        y = np.concatenate([y0, y1[::-1]], -1) if sequence else np.concatenate([h0, h1], -1)[None]
        ends = [five(a[None]) for a in (h0, c0, h1, c1)]
        one(f"lstm_{name}", 430, params, [five(x)] + [five(s[None]) for s in states], five(y), *ends)


def other_cells():
    seq, batch, inputs, units = 4, 2, 3, 4
    for name, acts, reverse, sequence in (
        ("plain", ("sigmoid", "tanh"), 0, 1),
        ("reverse", ("hard", "relu"), 1, 0),
        ("scaled", ("sigmoid", "scaled"), 1, 1),
    ):
        x, h = draw(seq, batch, inputs), draw(batch, units)
        w, r, b = draw(3, units, inputs), draw(3, units, units, low=-1, high=1), draw(3, units)
        params = num(1, inputs) + num(2, units) + b"".join(sub(10, ACTIVATIONS[a][0]) for a in acts)
        params += num(15, sequence) + num(20, 1) + num(100, reverse)
        params += b"".join(weights(30 + k, w[k]) + weights(50 + k, r[k]) + weights(70 + k, b[k]) for k in range(3))
        f, g = (ACTIVATIONS[a][1] for a in acts)
        out, s = [], h.astype(np.float64)
        for row in x[::-1] if reverse else x:
            z, reset = (f(row @ w[k].T + s @ r[k].T + b[k]) for k in (0, 1))
            s = (1 - z) * g(row @ w[2].T + (reset * s) @ r[2].T + b[2]) + z * s
            out.append(s)
        y = np.array(out if sequence else out[-1:])
        one(f"gru_{name}", 410, params, [five(x), five(h[None])], five(y), five(s[None]))
    for name, act, reverse in (("tanh", "tanh", 0), ("reverse", "relu", 1), ("linear", "linear", 1)):
        x, h = draw(seq, batch, inputs), draw(batch, units)
        w, r, b = draw(units, inputs), draw(units, units, low=-0.5, high=0.5), draw(units)
        params = num(1, inputs) + num(2, units) + sub(10, ACTIVATIONS[act][0]) + num(15, 1) + num(20, 1)
        params += weights(30, w) + weights(31, r) + weights(32, b) + num(100, reverse)
        out, s = [], h.astype(np.float64)
        for row in x[::-1] if reverse else x:
            s = ACTIVATIONS[act][1](row @ w.T + s @ r.T + b)
            out.append(s)
        one(f"rnn_{name}", 400, params, [five(x), five(h[None])], five(np.array(out)), five(s[None]))
    x = draw(1, 3, 1, 1)
    w, r = draw(2, 3), draw(2, 2)
    params = num(1, 3) + num(2, 2) + sub(10, sub(30)) + weights(30, w) + weights(31, r)
    older = layer(400, params, ["x"], ["y", "z"])
    y = np.tanh(w @ x[0, :, 0, 0])
    case("rnn_older", [older], {"x": x[0]}, {"y": y.reshape(2, 1, 1), "z": y.reshape(2, 1, 1)}, b"")


# ---- control flow


def copied(source, to):
    return layer(600, b"", [source], [to])


def scaled(source, to, factor, plus=0.0):
    return layer(130, sub(5, real(1, factor), real(2, plus)), [source], [to])


def compared(kind, source, to, alpha):
    return layer(kind, real(1 if kind < 825 else 2, alpha), [source], [to])


def branch(condition, yes, no=None):
    params = sub(1, b"".join(yes)) + (b"" if no is None else sub(2, b"".join(no)))
    return layer(605, params, [condition], [])


def loop(body, most=0, variable="", condition=(), inputs=()):
    params = num(1, most) + (sub(2, variable) if variable else b"") + sub(3, b"".join(condition))
    return layer(615, params + sub(4, b"".join(body)), list(inputs), [])


BREAK, CONTINUE = layer(620, b"", [], []), layer(625, b"", [], [])


def branches():
    x = whole(1, 2, 3)
    for c in (1, 0, -0.5):
        on = whole(c)
        both = branch("c", [scaled("x", "t", 2), copied("t", "y")], [scaled("x", "u", -1), copied("u", "y")])
        case(f"branch_{c}", [both], {"x": x, "c": on}, {"y": x * 2 if c else -x})
        only = [copied("x", "y"), branch("c", [scaled("x", "t", 2), copied("t", "y")])]
        case(f"branch_only_{c}", only, {"x": x, "c": on}, {"y": x * 2 if c else x})
        longer = [copied("x", "y"), branch("c", [layer(980, b"", ["x", "x"], ["t"]), copied("t", "y")])]
        case(f"branch_shape_{c}", [*longer], {"x": x, "c": on}, {"y": np.tile(x, 2) if c else x})
    inner = branch("d", [scaled("x", "y", 3)], [scaled("x", "y", 5)])
    for c, d in ((1, 1), (1, 0), (0, 1)):
        case(f"branch_nested_{c}{d}", [branch("c", [inner], [copied("x", "y")])],
             {"x": x, "c": whole(c), "d": whole(d)}, {"y": x * (1 if not c else 3 if d else 5)})  # fmt: skip


def loops():
    x = whole(1, 2, 3)
    twice = [scaled("y", "t", 2), copied("t", "y")]
    case("loop_count", [copied("x", "y"), loop(twice, 3)], {"x": x}, {"y": x * 8})
    for n in (0, 1, 4):
        case(f"loop_input_{n}", [copied("x", "y"), loop(twice, inputs=["n"])], {"x": x, "n": whole(n)}, {"y": x * 2**n})
    start = [copied("x", "y"), copied("n", "i")]
    more = [compared(825, "i", "go", 5)]
    step = [scaled("i", "j", 1, 1), copied("j", "i"), *twice]
    for n in (2, 7):
        case(f"loop_while_{n}", [*start, loop(step, variable="go", condition=more)],
             {"x": x, "n": whole(n)}, {"y": x * 2 ** max(5 - n, 0), "i": whole(max(n, 5))})  # fmt: skip
    case("loop_joint", [*start, loop(step, 2, "go", more)], {"x": x, "n": whole(1)}, {"y": x * 4})
    grow = [layer(980, b"", ["y", "x"], ["t"]), copied("t", "y")]
    case("loop_grows", [copied("x", "y"), loop(grow, 2)], {"x": x}, {"y": np.tile(x, 3)})
    stop = [compared(830, "i", "c", 3), branch("c", [BREAK])]
    case("loop_break", [*start, loop([*step, *stop], 10)], {"x": x, "n": whole(0)}, {"y": x * 16, "i": whole(4)})
    early = [scaled("i", "j", 1, 1), copied("j", "i"), *stop, *twice]
    case("loop_break_early", [*start, loop(early, 10)], {"x": x, "n": whole(0)}, {"y": x * 8, "i": whole(4)})
    case("loop_break_only", [*start, loop(early)], {"x": x, "n": whole(1)}, {"y": x * 4, "i": whole(4)})
    case("loop_break_while", [*start, loop(early, 0, "go", [compared(825, "i", "go", 3)])],
         {"x": x, "n": whole(0)}, {"y": x * 8, "i": whole(3)})  # fmt: skip
    skip = [scaled("i", "j", 1, 1), copied("j", "i"), compared(815, "i", "c", 2), branch("c", [CONTINUE]), *twice]
    case("loop_continue", [*start, loop(skip, 4)], {"x": x, "n": whole(0)}, {"y": x * 8, "i": whole(4)})
    case("loop_continue_while", [*start, loop(skip, 0, "go", more)], {"x": x, "n": whole(0)}, {"y": x * 16})
    deep = [branch("c", [branch("d", [BREAK], [CONTINUE])]), *twice]
    tests = [compared(830, "i", "c", 2), compared(830, "i", "d", 4)]
    case("loop_both", [*start, loop([*step[:2], *tests, *deep], 9)], {"x": x, "n": whole(0)}, {"y": x * 4, "i": whole(5)})
    reset = [scaled("n", "k", 0), loop([scaled("k", "l", 1, 1), copied("l", "k"), *twice], 2)]
    case("loop_nested", [*start, loop([*step[:2], *reset], 3)], {"x": x, "n": whole(0)}, {"y": x * 64, "k": whole(2)})
    inner_stop = [loop([*twice, BREAK, *twice], 5), *step[:2]]
    case("loop_nested_break", [*start, loop(inner_stop, 3)], {"x": x, "n": whole(0)}, {"y": x * 8, "i": whole(3)})
    case("loop_new_name", [*start, loop([*step, scaled("i", "z", 10)], 2)], {"x": x, "n": whole(0)}, {"z": whole(20)})
    shared = [scaled("i", "s", 100), compared(825, "i", "go", 3)]
    case("loop_condition_gives", [*start, loop([*step[:2], copied("s", "last")], 0, "go", shared)],
         {"x": x, "n": whole(0)}, {"last": whole(200), "s": whole(300)})  # fmt: skip


def main():
    for family in (unary, binary, shapes, slices, making, indices, masks, reductions, boxes, uni_lstms, bi_lstms,
                   other_cells, branches, loops):  # fmt: skip
        family()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(c, separators=(",", ":"), allow_nan=False) for c in cases]
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
