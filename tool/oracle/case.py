# SPDX-License-Identifier: Apache-2.0
# One golden case, and the inputs that all families draw from: short binary fractions, exact in every float
# type.
import math
import zlib
from dataclasses import dataclass

import numpy as np

NAME = {
    "float64": "fp32",
    "bool": "bool",
    "int32": "int32",
    "int64": "int32",
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
}


@dataclass
class Typed:
    """An array whose element type NumPy does not have, or is not the usual one: int4, uint1, fp16."""

    dtype: str
    data: np.ndarray


def random_of(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def floats(random, *shape, low=-3.0, high=3.0, step=1 / 8):
    return random.integers(round(low / step), round(high / step), shape, endpoint=True) * step


def distinct(random, *shape, step=0.25):
    """No two elements are equal, so that an order among them is not a matter of taste."""
    count = math.prod(shape)
    return ((random.permutation(count) - count // 2) * step).reshape(shape)


def ints(random, *shape, low=-5, high=5):
    return random.integers(low, high, shape, endpoint=True).astype(np.int32)


def index(*values):
    return np.array(values, np.int32)


def number(value):
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return int(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    short = float(f"{value:.7g}")
    return int(short) if short == int(short) and abs(short) < 1e6 else short


def tensor(value):
    dtype, data = (value.dtype, value.data) if isinstance(value, Typed) else (None, value)
    data = np.asarray(data)
    return {
        "dtype": dtype or NAME[data.dtype.name],
        "shape": list(data.shape),
        "data": [number(element) for element in data.ravel()],
    }


def plain(value):
    """An attribute: masks become lists of 0 and 1, nested index lists flat ones."""
    if isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [number(element) for element in np.asarray(value).ravel()]
    return number(value)


class Family:
    """The cases of one file, in the order they were made."""

    def __init__(self, name):
        self.name = name
        self.cases = []

    def add(self, op, inputs, outputs, **attrs):
        """Inputs: name -> array, or a list of arrays where MIL takes many. Outputs: an array or a tuple."""
        given = []
        for name, value in inputs.items():
            given += [{"name": name} | tensor(one) for one in (value if isinstance(value, list) else [value])]
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        self.cases.append(
            {
                "op": op,
                "attrs": {name: plain(value) for name, value in attrs.items()},
                "inputs": given,
                "outputs": [tensor(value) for value in outputs],
            }
        )
