# SPDX-License-Identifier: Apache-2.0
# Golden pairs of convolutions and pools. Paddings that PyTorch cannot say are written out by hand around it.
import numpy as np
import torch
import torch.nn.functional as F

from .case import Family, floats, random_of

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def each(attrs, name, rank, default):
    return list(attrs.get(name, [default] * rank))


def paddings(attrs, sizes, kernel, strides, dilations):
    """(before, after) per dimension, by the rules of pad_type."""
    kind = attrs.get("pad_type", "valid")
    if kind == "custom":
        flat = attrs["pad"]
        return [(flat[2 * i], flat[2 * i + 1]) for i in range(len(sizes))]
    pairs = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations):
        total = (
            0
            if kind == "valid"
            else max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
        )
        small, large = total // 2, total - total // 2
        pairs.append((large, small) if kind == "same_lower" else (small, large))
    return pairs


def padded(x, pairs, value=0.0):
    return F.pad(torch.tensor(x), [amount for pair in reversed(pairs) for amount in pair], value=value)


def conv_result(x, weight, bias, attrs):
    rank = x.ndim - 2
    strides, dilations = each(attrs, "strides", rank, 1), each(attrs, "dilations", rank, 1)
    pairs = paddings(attrs, x.shape[2:], weight.shape[2:], strides, dilations)
    return CONV[rank](
        padded(x, pairs),
        torch.tensor(weight),
        None if bias is None else torch.tensor(bias),
        stride=strides,
        dilation=dilations,
        groups=attrs.get("groups", 1),
    ).numpy()


CONV_CASES = [  # x, weight, bias?, attributes
    ((1, 2, 6), (3, 2, 3), True, {}),
    ((2, 2, 5), (2, 2, 2), False, {"strides": [2], "pad_type": "custom", "pad": [1, 0]}),
    ((1, 2, 7), (4, 1, 3), True, {"dilations": [2], "groups": 2, "pad_type": "same"}),
    ((1, 2, 4, 5), (2, 2, 3, 3), True, {}),
    ((1, 2, 4, 4), (2, 2, 1, 1), False, {}),
    ((1, 2, 5, 4), (2, 2, 3, 3), True, {"pad_type": "custom", "pad": [1, 1, 1, 1]}),
    ((1, 1, 5, 5), (2, 1, 3, 2), False, {"pad_type": "custom", "pad": [0, 1, 2, 0], "strides": [2, 1]}),
    ((1, 2, 5, 6), (2, 2, 3, 3), False, {"pad_type": "same", "strides": [2, 2]}),
    ((1, 2, 4, 4), (2, 2, 2, 2), True, {"pad_type": "same"}),
    ((1, 1, 5, 4), (1, 1, 4, 2), False, {"pad_type": "same", "strides": [3, 1]}),
    ((1, 2, 4, 4), (2, 2, 2, 2), True, {"pad_type": "same_lower"}),
    ((1, 1, 5, 6), (2, 1, 3, 4), False, {"pad_type": "same_lower", "strides": [2, 2]}),
    ((1, 2, 3, 5), (1, 2, 3, 2), False, {"pad_type": "same_lower", "strides": [1, 2]}),
    ((1, 4, 4, 4), (4, 1, 3, 3), True, {"groups": 4, "pad_type": "same"}),
    ((1, 4, 3, 3), (6, 2, 2, 2), False, {"groups": 2}),
    ((1, 3, 4, 3), (6, 1, 2, 2), True, {"groups": 3, "strides": [2, 1]}),
    ((1, 1, 6, 7), (2, 1, 3, 3), False, {"dilations": [2, 2]}),
    (
        (1, 2, 6, 6),
        (1, 2, 3, 2),
        True,
        {"dilations": [1, 3], "strides": [2, 1], "pad_type": "custom", "pad": [1, 1, 0, 2]},
    ),
    ((2, 1, 6, 5), (1, 1, 2, 3), False, {"dilations": [3, 2], "pad_type": "same"}),
    ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), True, {}),
    ((1, 1, 3, 4, 3), (2, 1, 3, 2, 3), False, {"pad_type": "same", "strides": [1, 2, 1]}),
    (
        (1, 2, 3, 3, 4),
        (2, 1, 2, 2, 2),
        False,
        {"groups": 2, "pad_type": "custom", "pad": [1, 0, 0, 1, 0, 0], "dilations": [1, 1, 2]},
    ),
]


def conv():
    out = Family("conv")
    random = random_of("conv")
    for x_shape, w_shape, biased, attrs in CONV_CASES:
        x, weight = floats(random, *x_shape, step=1 / 4), floats(random, *w_shape, low=-1, high=1, step=1 / 4)
        bias = floats(random, w_shape[0]) if biased else None
        result = conv_result(x, weight, bias, attrs)
        out.add("conv", {"x": x, "weight": weight} | ({"bias": bias} if biased else {}), result, **attrs)
    conv_transpose(out)
    return out


def transpose_result(x, weight, bias, attrs):
    """The full result, then what pad_type or output_shape keep of it."""
    rank = x.ndim - 2
    strides, dilations = each(attrs, "strides", rank, 1), each(attrs, "dilations", rank, 1)
    full = TRANSPOSE[rank](
        torch.tensor(x),
        torch.tensor(weight),
        None if bias is None else torch.tensor(bias),
        stride=strides,
        dilation=dilations,
        groups=attrs.get("groups", 1),
    ).numpy()
    kind = attrs.get("pad_type", "valid")
    for i in range(rank):
        length, axis = full.shape[2 + i], 2 + i
        if kind == "custom":
            before, keep = attrs["pad"][2 * i], length - attrs["pad"][2 * i] - attrs["pad"][2 * i + 1]
        elif kind == "same":
            keep = x.shape[axis] * strides[i]
            before = (length - keep) // 2
        else:
            before, keep = 0, length
        if "output_shape" in attrs:
            keep = attrs["output_shape"][axis]
            before = before if kind == "custom" else (length - keep) // 2
        assert before >= 0 and before + keep <= length
        full = np.take(full, range(before, before + keep), axis)
    return full


TRANSPOSE_CASES = [
    ((1, 2, 4), (2, 3, 3), True, {}),
    ((1, 2, 4), (2, 2, 3), False, {"strides": [2], "pad_type": "custom", "pad": [1, 0]}),
    ((2, 1, 3), (1, 2, 2), True, {"dilations": [2]}),
    ((1, 2, 3, 3), (2, 2, 2, 2), True, {"strides": [2, 2]}),
    ((1, 2, 3, 3), (2, 2, 3, 3), True, {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}),
    ((1, 1, 3, 4), (1, 2, 4, 3), False, {"strides": [2, 1], "pad_type": "custom", "pad": [1, 2, 0, 1]}),
    ((1, 2, 3, 4), (2, 1, 3, 3), False, {"strides": [2, 2], "pad_type": "same"}),
    ((1, 2, 3, 3), (2, 2, 4, 4), True, {"strides": [2, 2], "pad_type": "same"}),
    ((1, 1, 4, 3), (1, 2, 3, 3), False, {"pad_type": "same"}),
    ((1, 4, 3, 2), (4, 1, 2, 2), True, {"groups": 2}),
    ((1, 2, 3, 3), (2, 2, 3, 3), False, {"groups": 2, "strides": [2, 1]}),
    ((1, 2, 2, 3), (2, 1, 3, 2), False, {"groups": 2, "dilations": [1, 2]}),
    (
        (1, 2, 3, 3),
        (2, 2, 3, 3),
        True,
        {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "output_shape": [1, 2, 6, 6]},
    ),
    (
        (1, 1, 2, 3),
        (1, 1, 4, 4),
        False,
        {"strides": [3, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "output_shape": [1, 1, 6, 7]},
    ),
    ((1, 2, 2, 2, 2), (2, 1, 2, 2, 2), True, {"strides": [2, 1, 2]}),
    ((1, 1, 2, 2, 3), (1, 1, 3, 2, 3), False, {"pad_type": "custom", "pad": [1, 1, 0, 0, 1, 1]}),
]


def conv_transpose(out):
    random = random_of("conv_transpose")
    for x_shape, w_shape, biased, attrs in TRANSPOSE_CASES:
        x, weight = floats(random, *x_shape, step=1 / 4), floats(random, *w_shape, low=-1, high=1, step=1 / 4)
        bias = floats(random, w_shape[1] * attrs.get("groups", 1)) if biased else None
        result = transpose_result(x, weight, bias, attrs)
        out.add(
            "conv_transpose", {"x": x, "weight": weight} | ({"bias": bias} if biased else {}), result, **attrs
        )


def pool_result(op, x, attrs):
    rank, kernel = x.ndim - 2, attrs["kernel_sizes"]
    strides = each(attrs, "strides", rank, 1)
    pairs = paddings(attrs, x.shape[2:], kernel, strides, [1] * rank)
    ceil = attrs.get("ceil_mode", False)
    if ceil:  # PyTorch's own rule, for paddings that it can say
        assert all(before == after for before, after in pairs)
        options = {"stride": strides, "padding": [before for before, _ in pairs], "ceil_mode": True}
        if op == "max_pool":
            return MAX_POOL[rank](torch.tensor(x), kernel, **options).numpy()
        if op == "l2_pool":
            return torch.sqrt(
                AVG_POOL[2](torch.tensor(x) ** 2, kernel, divisor_override=1, **options)
            ).numpy()
        exclude = attrs.get("exclude_padding_from_average", False)
        return AVG_POOL[rank](torch.tensor(x), kernel, count_include_pad=not exclude, **options).numpy()
    if op == "max_pool":
        return MAX_POOL[rank](padded(x, pairs, -np.inf), kernel, strides).numpy()
    volume = int(np.prod(kernel))
    power = x**2 if op == "l2_pool" else x
    total = AVG_POOL[rank](padded(power, pairs), kernel, strides) * volume
    if op == "l2_pool":
        return torch.sqrt(total).numpy()
    inside = AVG_POOL[rank](padded(np.ones_like(x), pairs), kernel, strides) * volume
    return (total / inside if attrs.get("exclude_padding_from_average") else total / volume).numpy()


POOL_CASES = [
    ((1, 2, 7), {"kernel_sizes": [3], "strides": [2], "pad_type": "valid"}),
    ((1, 1, 6), {"kernel_sizes": [3], "pad_type": "custom", "pad": [1, 0]}),
    ((1, 2, 4, 5), {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid"}),
    ((1, 2, 4, 4), {"kernel_sizes": [3, 2], "pad_type": "valid"}),
    ((1, 1, 5, 4), {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}),
    ((1, 1, 4, 5), {"kernel_sizes": [3, 3], "strides": [2, 1], "pad_type": "custom", "pad": [0, 2, 1, 0]}),
    ((1, 1, 5, 6), {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "same"}),
    ((1, 2, 4, 3), {"kernel_sizes": [2, 2], "pad_type": "same"}),
    ((1, 1, 5, 5), {"kernel_sizes": [4, 2], "strides": [3, 1], "pad_type": "same"}),
    ((1, 2, 4, 3), {"kernel_sizes": [2, 2], "pad_type": "same_lower"}),
    ((1, 1, 5, 6), {"kernel_sizes": [3, 4], "strides": [2, 2], "pad_type": "same_lower"}),
    ((1, 1, 4, 4), {"kernel_sizes": [4, 2], "strides": [1, 2], "pad_type": "same_lower"}),
    ((1, 1, 5, 6), {"kernel_sizes": [2, 3], "strides": [2, 2], "pad_type": "valid", "ceil_mode": True}),
    (
        (1, 1, 6, 5),
        {
            "kernel_sizes": [3, 3],
            "strides": [2, 2],
            "pad_type": "custom",
            "pad": [1, 1, 1, 1],
            "ceil_mode": True,
        },
    ),
    (
        (1, 1, 5, 5),
        {
            "kernel_sizes": [2, 2],
            "strides": [3, 3],
            "pad_type": "custom",
            "pad": [1, 1, 0, 0],
            "ceil_mode": True,
        },
    ),
]
POOL_3D = [
    ((1, 1, 3, 4, 4), {"kernel_sizes": [2, 2, 2], "strides": [1, 2, 2], "pad_type": "valid"}),
    ((1, 1, 3, 3, 3), {"kernel_sizes": [2, 3, 2], "pad_type": "same"}),
]


def pool():
    out = Family("pool")
    for op in ("max_pool", "avg_pool", "l2_pool"):
        random = random_of(op)
        for shape, attrs in POOL_CASES[1::3] if op == "l2_pool" else POOL_CASES + POOL_3D:
            x = floats(random, *shape, step=1 / 4)
            out.add(op, {"x": x}, pool_result(op, x, attrs), **attrs)
            if op == "avg_pool" and attrs["pad_type"] != "valid":
                attrs = attrs | {"exclude_padding_from_average": True}
                out.add(op, {"x": x}, pool_result(op, x, attrs), **attrs)
    return out


def families():
    return [conv(), pool()]
