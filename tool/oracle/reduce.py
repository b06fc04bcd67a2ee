# SPDX-License-Identifier: Apache-2.0
# Golden pairs of reductions and normalisations.
import numpy as np
import scipy.special as special
import torch
import torch.nn.functional as F

from .case import Family, distinct, floats, ints, random_of

REDUCE = {
    "reduce_sum": np.sum,
    "reduce_mean": np.mean,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_l1_norm": lambda x, **k: np.sum(np.abs(x), **k),
    "reduce_l2_norm": lambda x, **k: np.sqrt(np.sum(x * x, **k)),
    "reduce_sum_square": lambda x, **k: np.sum(x * x, **k),
    "reduce_log_sum": lambda x, **k: np.log(np.sum(x, **k)),
    "reduce_log_sum_exp": lambda x, **k: special.logsumexp(x, **k),
}
AXES = [{}, {"keep_dims": True}, {"axes": [1]}, {"axes": [-1], "keep_dims": True}, {"axes": [0, -1]}]


def torch_of(*arrays):
    return [None if array is None else torch.tensor(array) for array in arrays]


def reductions():
    out = Family("reduce")
    for op, function in REDUCE.items():
        random = random_of(op)
        for attrs in AXES:
            x = floats(random, 2, 3, 2, low=0.25 if op == "reduce_log_sum" else -2, high=2, step=1 / 8)
            axes = tuple(attrs["axes"]) if "axes" in attrs else None
            out.add(op, {"x": x}, function(x, axis=axes, keepdims=attrs.get("keep_dims", False)), **attrs)
    for op in (
        "reduce_sum",
        "reduce_max",
        "reduce_min",
        "reduce_prod",
        "reduce_l1_norm",
        "reduce_sum_square",
    ):
        x = ints(random_of(op + " int32"), 2, 3)
        out.add(op, {"x": x}, REDUCE[op](x, axis=1), axes=[1])
    for op, function in (("reduce_argmax", np.argmax), ("reduce_argmin", np.argmin)):
        random = random_of(op)
        for attrs in ({}, {"axis": 0}, {"axis": 1, "keep_dims": True}, {"axis": -2}):
            x = distinct(random, 2, 3, 4)
            result = function(x, axis=attrs.get("axis", -1), keepdims=attrs.get("keep_dims", False))
            out.add(op, {"x": x}, result.astype(np.int32), **attrs)
        x = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 0.0, 2.0, 0.0]])  # the first of several
        out.add(op, {"x": x}, function(x, axis=1).astype(np.int32), axis=1)
        out.add(op, {"x": x}, function(x, axis=0).astype(np.uint16), axis=0, output_dtype="uint16")
    return out


def optional(random, channels, which):
    return {name: floats(random, channels, low=0.25, high=2) for name in which}


def batch_norm(out):
    random = random_of("batch_norm")
    for shape, which, attrs in [
        ((2, 3, 4), ["gamma", "beta"], {}),
        ((1, 2, 2, 3), [], {}),
        ((2, 2, 1, 2, 2), ["gamma", "beta"], {"epsilon": 0.125}),
        ((1, 2, 3), ["gamma"], {}),
        ((1, 2, 3), ["beta"], {}),
    ]:
        channels = shape[1]
        x, mean = floats(random, *shape), floats(random, channels)
        variance, extra = floats(random, channels, low=0.25, high=3), optional(random, channels, which)
        result = F.batch_norm(
            *torch_of(x, mean, variance, extra.get("gamma"), extra.get("beta")),
            eps=attrs.get("epsilon", 1e-5)
        ).numpy()
        out.add("batch_norm", {"x": x, "mean": mean, "variance": variance} | extra, result, **attrs)


def instance_norm(out):
    random = random_of("instance_norm")
    for shape, which, attrs in [
        ((2, 2, 5), ["gamma", "beta"], {}),
        ((1, 3, 2, 3), [], {}),
        ((2, 2, 2, 2), ["gamma", "beta"], {"epsilon": 0.25}),
    ]:
        x, extra = floats(random, *shape), optional(random, shape[1], which)
        result = F.instance_norm(
            *torch_of(x, None, None, extra.get("gamma"), extra.get("beta")), eps=attrs.get("epsilon", 1e-5)
        ).numpy()
        out.add("instance_norm", {"x": x} | extra, result, **attrs)


def layer_norm(out):
    random = random_of("layer_norm")
    for shape, which, attrs in [
        ((2, 5), ["gamma", "beta"], {"axes": [-1]}),
        ((2, 2, 3), [], {"axes": [1, 2]}),
        ((2, 2, 3), ["gamma", "beta"], {"axes": [-2, -1], "epsilon": 0.125}),
        ((2, 3), [], {}),
        ((3, 4), ["gamma"], {"axes": [1]}),
        ((3, 4), ["beta"], {"axes": [1]}),
    ]:
        x = floats(random, *shape)
        inner = [shape[axis] for axis in attrs.get("axes", range(len(shape)))]
        extra = {name: floats(random, *inner, low=0.25, high=2) for name in which}
        weight, bias = torch_of(extra.get("gamma"), extra.get("beta"))
        result = F.layer_norm(torch.tensor(x), inner, weight, bias, attrs.get("epsilon", 1e-5)).numpy()
        out.add("layer_norm", {"x": x} | extra, result, **attrs)
    x, gamma, beta = floats(random, 2, 3, 2), floats(random, 3, low=0.25, high=2), floats(random, 3)
    centred = x - x.mean(1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    result = scaled * gamma[:, None] + beta[:, None]
    out.add("layer_norm", {"x": x, "gamma": gamma, "beta": beta}, result, axes=[1])


def other_norms(out):
    random = random_of("l2_norm")
    for shape, attrs in [((2, 2, 3), {}), ((2, 2, 1, 3), {}), ((1, 2, 2, 2), {"epsilon": 0.5})]:
        x = floats(random, *shape)
        total = (x * x).sum((-3, -2, -1), keepdims=True)
        out.add("l2_norm", {"x": x}, x / np.sqrt(total + attrs.get("epsilon", 1e-6)), **attrs)
    random = random_of("local_response_norm")
    for shape, attrs in [
        ((1, 5, 3), {"size": 3}),
        ((2, 4, 2, 2), {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 2.0}),
        ((1, 6, 2), {"size": 5, "alpha": 0.25}),
    ]:
        x = floats(random, *shape)
        options = {
            "alpha": attrs.get("alpha", 1e-4),
            "beta": attrs.get("beta", 0.75),
            "k": attrs.get("k", 1.0),
        }
        out.add(
            "local_response_norm",
            {"x": x},
            F.local_response_norm(torch.tensor(x), attrs["size"], **options).numpy(),
            **attrs
        )


def families():
    norms = Family("norm")
    for part in (batch_norm, instance_norm, layer_norm, other_norms):
        part(norms)
    return [reductions(), norms]
