# SPDX-License-Identifier: Apache-2.0
# Golden pairs of the elementwise operations, activations, comparisons, casts and select.
import numpy as np
import scipy.special as special
import torch
import torch.nn.functional as F

from .case import Family, Typed, floats, ints, random_of

RANGE = {
    "acos": (-0.875, 0.875),
    "asin": (-0.875, 0.875),
    "atanh": (-0.875, 0.875),
    "tan": (-1.25, 1.25),
    "sqrt": (0, 9),
    "exp": (-4, 4),
    "exp2": (-4, 4),
}
UNARY = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": special.erf,
    "exp": np.exp,
    "exp2": np.exp2,
    "floor": np.floor,
    "round": np.rint,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
}
ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
DIVISION = {"real_div": np.divide, "floor_div": np.floor_divide, "mod": np.mod}
COMPARISON = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}
LOGIC = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}
SHAPES = [((2, 3, 2), (2, 3, 2)), ((3, 1, 4), (2, 1)), ((), (5,))]


def by_torch(function, x, *others, **kwargs):
    others = [torch.tensor(other) for other in others]
    return function(torch.tensor(np.asarray(x)), *others, **kwargs).numpy()


def unary(out):
    for op, function in UNARY.items():
        random = random_of(op)
        low, high = RANGE.get(op, (-3, 3))
        for shape in [(2, 3), (5,), (1, 2, 1, 2)]:
            x = floats(random, *shape, low=low, high=high)
            if op == "round":
                x = floats(random, *shape, low=-4, high=4, step=0.25)  # ties among them
            out.add(op, {"x": x}, function(x))
    for op in ("abs", "sign", "square"):
        x = ints(random_of(op + " int32"), 2, 5)
        out.add(op, {"x": x}, UNARY[op](x))
    for shape in [(4,), (2, 3), ()]:
        x = random_of("logical_not").integers(0, 2, shape).astype(bool)
        out.add("logical_not", {"x": x}, np.logical_not(x))


def with_epsilon(out):
    formulas = {
        "inverse": (lambda x, e: 1 / (x + e), 1e-4),
        "rsqrt": (lambda x, e: 1 / np.sqrt(x + e), 1e-12),
        "log": (lambda x, e: np.log(x + e), 1e-45),
    }
    for op, (formula, default) in formulas.items():
        random = random_of(op)
        for attrs in ({}, {"epsilon": 0.5}, {"epsilon": 0.001953125}):
            x = floats(random, 2, 4, low=0.125, high=5)
            out.add(op, {"x": x}, formula(x, attrs.get("epsilon", default)), **attrs)
    x = -floats(random_of("inverse negative"), 5, low=0.125, high=5)
    out.add("inverse", {"x": x}, 1 / (x + 1e-4))


def bounded(out):
    random = random_of("clip")
    for alpha, beta in [(-1.0, 1.0), (0.0, 6.0), (-2.5, -0.5)]:
        x = floats(random, 2, 4)
        out.add("clip", {"x": x}, np.clip(x, alpha, beta), alpha=alpha, beta=beta)
        out.add("threshold", {"x": x}, np.maximum(x, alpha), alpha=alpha)
    x = ints(random, 6)
    out.add("threshold", {"x": x}, np.maximum(x, 2), alpha=2)


def pair(random, shapes, step=1 / 8, low=-3.0, high=3.0):
    return [floats(random, *shape, low=low, high=high, step=step) for shape in shapes]


def binary(out):
    for op, function in ARITHMETIC.items():
        random = random_of(op)
        for shapes in SHAPES:
            x, y = pair(random, shapes)
            out.add(op, {"x": x, "y": y}, function(x, y))
        x, y = ints(random, 2, 3), ints(random, 3)
        out.add(op, {"x": x, "y": y}, function(x, y))
    for op, function in DIVISION.items():
        random = random_of(op)
        for shapes in SHAPES:
            x, y = pair(random, shapes, step=0.25)
            y = np.where(y == 0, 0.75, y)
            out.add(op, {"x": x, "y": y}, function(x, y))
        x, y = ints(random, 2, 4, low=-9, high=9), ints(random, 4, low=1, high=4) * np.array(
            [1, -1, 1, -1], np.int32
        )
        exact = np.trunc(x / y).astype(np.int32) if op == "real_div" else function(x, y)
        out.add(op, {"x": x, "y": y}, exact)
    random = random_of("pow")
    for shapes in SHAPES:
        x, y = pair(random, [shapes[0]], low=0.25, high=3)[0], pair(random, [shapes[1]])[0]
        out.add("pow", {"x": x, "y": y}, np.power(x, y))
    x, y = floats(random, 6), np.array([2.0, 3.0, -1.0, 0.0, 1.0, 4.0])
    x[x == 0] = 1.5
    out.add("pow", {"x": x, "y": y}, np.power(x, y))
    x, y = ints(random, 2, 3, low=-3, high=3), np.array([0, 2, 3], np.int32)
    out.add("pow", {"x": x, "y": y}, np.power(x, y))


def comparison(out):
    for op, function in COMPARISON.items():
        random = random_of(op)
        for shapes in SHAPES:
            x, y = pair(random, shapes, step=1.0)  # coarse, so that many are equal
            out.add(op, {"x": x, "y": y}, function(x, y))
        x, y = ints(random, 2, 3, low=-1, high=1), ints(random, 2, 1, low=-1, high=1)
        out.add(op, {"x": x, "y": y}, function(x, y))
    for op, function in LOGIC.items():
        random = random_of(op)
        for one, two in SHAPES:
            x, y = random.integers(0, 2, one).astype(bool), random.integers(0, 2, two).astype(bool)
            out.add(op, {"x": x, "y": y}, function(x, y))


def activation(out):
    plain = {
        "relu": F.relu,
        "relu6": F.relu6,
        "sigmoid": torch.sigmoid,
        "silu": F.silu,
        "softsign": F.softsign,
        "softplus": lambda x: F.softplus(x, threshold=1000),
    }
    for op, function in plain.items():
        random = random_of(op)
        for shape in [(2, 3), (5,), (1, 2, 1, 2)]:
            x = floats(random, *shape, low=-8, high=8)
            out.add(op, {"x": x}, by_torch(function, x))
    gelu = {
        None: lambda x: x * special.ndtr(x),
        "EXACT": lambda x: x * special.ndtr(x),
        "TANH_APPROXIMATION": lambda x: by_torch(F.gelu, x, approximate="tanh"),
        "SIGMOID_APPROXIMATION": lambda x: x * special.expit(1.702 * x),
    }
    for mode, function in gelu.items():
        random = random_of(f"gelu {mode}")
        for shape in [(2, 4), (7,), (1, 3, 2)] if mode else [(4,)]:
            x = floats(random, *shape, low=-5, high=5)
            out.add("gelu", {"x": x}, function(x), **({"mode": mode} if mode else {}))
    for op, names, function, values in parametric():
        random = random_of(op)
        for value in values:
            x = floats(random, 2, 4)
            out.add(op, {"x": x}, function(x, *value), **dict(zip(names, value)))


def parametric():
    both = ["alpha", "beta"]
    return [
        ("elu", ["alpha"], lambda x, a: by_torch(F.elu, x, alpha=a), [(1.0,), (0.5,), (2.0,)]),
        (
            "leaky_relu",
            ["alpha"],
            lambda x, a: by_torch(F.leaky_relu, x, negative_slope=a),
            [(0.125,), (0.5,), (2.0,)],
        ),
        ("thresholded_relu", ["alpha"], lambda x, a: np.where(x >= a, x, 0), [(1.0,), (0.0,), (-1.0,)]),
        ("linear_activation", both, lambda x, a, b: a * x + b, [(2.0, 1.0), (-0.5, 0.25), (0.0, 3.0)]),
        (
            "clamped_relu",
            both,
            lambda x, a, b: np.where(x >= 0, np.minimum(b, x), np.minimum(b, a * x)),
            [(0.25, 2.0), (-2.0, 1.5), (1.0, 0.5)],
        ),
        ("scaled_tanh", both, lambda x, a, b: a * np.tanh(b * x), [(1.0, 1.0), (1.5, 0.5), (-2.0, 0.25)]),
        (
            "sigmoid_hard",
            both,
            lambda x, a, b: np.clip(a * x + b, 0, 1),
            [(0.25, 0.5), (0.5, 0.25), (1.0, 0.0)],
        ),
    ]


def per_channel(out):
    for shape in [(2, 3, 4), (1, 2, 2, 3), (2, 2, 1, 2, 2)]:
        random = random_of(f"prelu {shape}")
        x, alpha = floats(random, *shape), floats(random, shape[1], low=0, high=1)
        out.add("prelu", {"x": x, "alpha": alpha}, by_torch(F.prelu, x, alpha))
        a, b = floats(random, shape[1], low=0.25, high=2), floats(random, shape[1], low=0.25, high=2)
        along = [1, -1] + [1] * (len(shape) - 2)
        result = a.reshape(along) * np.logaddexp(0, b.reshape(along) * x)
        out.add("softplus_parametric", {"x": x, "alpha": a, "beta": b}, result)


def softmax(out):
    random = random_of("softmax")
    for shape, attrs in [
        ((2, 5), {}),
        ((2, 3, 4), {"axis": 1}),
        ((3, 4), {"axis": 0}),
        ((2, 2, 3), {"axis": -2}),
        ((6,), {"axis": 0}),
    ]:
        x = floats(random, *shape, low=-9, high=9)
        out.add("softmax", {"x": x}, special.softmax(x, attrs.get("axis", -1)), **attrs)
    x = np.array([[1000.0, 1001.0, 999.5], [-1000.0, -1002.0, -1000.5]])
    out.add("softmax", {"x": x}, special.softmax(x, -1), axis=-1)


def cast(out):
    x = np.array([-2.75, -1.0, -0.5, 0.0, 0.5, 1.5, 2.5, 100.25])
    for dtype, result in [
        ("int32", np.trunc(x).astype(np.int32)),
        ("bool", x != 0),
        ("fp32", x),
        ("fp16", Typed("fp16", x)),
        ("int8", np.trunc(x).astype(np.int8)),
        ("int16", np.trunc(x).astype(np.int16)),
    ]:
        out.add("cast", {"x": x}, result, dtype=dtype)
    positive = np.abs(x)
    for dtype in ("uint8", "uint16"):
        out.add("cast", {"x": positive}, np.trunc(positive).astype(dtype), dtype=dtype)
    whole = np.array([[0, 1, -7], [12, 0, 255]], np.int32)
    out.add("cast", {"x": whole}, whole.astype(np.float64), dtype="fp32")
    out.add("cast", {"x": whole}, whole != 0, dtype="bool")
    truth = np.array([True, False, True])
    out.add("cast", {"x": truth}, truth.astype(np.float64), dtype="fp32")
    out.add("cast", {"x": truth}, truth.astype(np.int32), dtype="int32")
    fine = np.array([1 / 3, 2049.0, 4097 / 8192 + 1])
    out.add("cast", {"x": fine}, Typed("fp16", fine.astype(np.float16).astype(np.float64)), dtype="fp16")


def select(out):
    random = random_of("select")
    for c, a, b in [((2, 3), (2, 3), (2, 3)), ((3,), (2, 3), (2, 1)), ((), (4,), (4,))]:
        cond, x, y = random.integers(0, 2, c).astype(bool), floats(random, *a), floats(random, *b)
        out.add("select", {"cond": cond, "a": x, "b": y}, np.where(cond, x, y))
    cond, x, y = np.array([True, False]), ints(random, 3, 2), ints(random, 1, 2)
    out.add("select", {"cond": cond, "a": x, "b": y}, np.where(cond, x, y))


def nonfinite():
    """Apart from the others, since JSON spells these values as strings."""
    out = Family("nonfinite")
    inf, nan = np.inf, np.nan
    x = np.array([nan, inf, -inf, 0.0, -1.0])
    with np.errstate(all="ignore"):
        out.add("sqrt", {"x": x}, np.sqrt(x))
        out.add("exp", {"x": x}, np.exp(x))
        out.add("tanh", {"x": x}, np.tanh(x))
        out.add("sigmoid", {"x": x}, special.expit(x))
        out.add("sign", {"x": x}, np.sign(x))
        y = np.array([nan, inf, inf, -0.0, 2.0])
        for op in ("equal", "not_equal", "less", "greater_equal"):
            out.add(op, {"x": x, "y": y}, COMPARISON[op](x, y))
        out.add("add", {"x": x, "y": y}, np.add(x, y))
        out.add("real_div", {"x": np.array([1.0, -1.0, 0.0]), "y": np.zeros(3)}, np.array([inf, -inf, nan]))
        scores = np.array([[-inf, 0.0, 1.0]])
        out.add("softmax", {"x": scores}, special.softmax(scores, -1), axis=-1)
        out.add("reduce_log_sum_exp", {"x": scores}, special.logsumexp(scores, -1), axes=[-1])
    return out


def families():
    out = Family("elementwise")
    for part in (unary, with_epsilon, bounded, binary, comparison, cast, select):
        part(out)
    acts = Family("activation")
    for part in (activation, per_channel, softmax):
        part(acts)
    return [out, acts, nonfinite()]
