# SPDX-License-Identifier: Apache-2.0
# Golden pairs of quantisation and of compressed constants.
import numpy as np

from .case import Family, Typed, floats, random_of


def along(vector, axis, rank):
    return (
        vector
        if np.ndim(vector) == 0
        else np.reshape(vector, [-1 if i == axis % rank else 1 for i in range(rank)])
    )


def quantize(out):
    random = random_of("quantize")
    for dtype, scale, zero, axis in [
        ("int8", 0.25, None, None),
        ("uint8", 0.125, 100, None),
        ("int8", [0.25, 0.5], [3, -7], 0),
        ("uint8", [0.5, 0.0625, 0.25], [8, 0, 50], -1),
        ("int8", [0.5, 0.25, 1.0], None, 1),
    ]:
        x = floats(random, 2, 3, low=-20, high=20, step=1 / 8)
        given = {"input": x, "zero_point": zero, "scale": np.array(scale)}
        if zero is None:
            del given["zero_point"]
        else:
            given["zero_point"] = np.array(zero, dtype)
        s, z = along(np.array(scale), axis or 0, 2), along(np.array(zero or 0, np.float64), axis or 0, 2)
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        result = np.clip(np.rint(x / s) + z, low, high).astype(dtype)
        attrs = {} if axis is None else {"axis": axis}
        out.add("quantize", given, result, output_dtype=dtype, **attrs)
        given = {"input": result} | {name: value for name, value in given.items() if name != "input"}
        out.add("dequantize", given, s * (result.astype(np.float64) - z), **attrs)


def affine(out):
    random = random_of("constexpr_affine_dequantize")
    for dtype, zero, axis in [
        ("uint8", np.uint8(7), 0),
        ("int8", np.array([-3, 5, 0], np.int8), 1),
        ("uint8", np.array([10, 200], np.uint8), 0),
        ("int8", np.array([1.5, -2.25, 0.5]), -1),
    ]:
        data = random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (2, 3), endpoint=True).astype(dtype)
        scale = floats(random, *np.shape(zero), low=0.125, high=1)
        z, s = along(zero, axis, 2), along(scale, axis, 2)
        out.add(
            "constexpr_affine_dequantize",
            {"quantized_data": data, "zero_point": zero, "scale": scale},
            s * (data.astype(np.float64) - np.asarray(z, np.float64)),
            axis=axis,
        )


def spread(blocks, shape):
    """One value per block to one per element."""
    for axis, size in enumerate(shape):
        blocks = np.repeat(blocks, size // blocks.shape[axis], axis)
    return blocks


LIMITS = {"int4": (-8, 7), "uint4": (0, 15), "int8": (-128, 127), "uint8": (0, 255)}
BLOCKS = [
    ("int4", (4, 6), (4, 2), False),
    ("uint4", (2, 8), (2, 2), True),
    ("int8", (3, 4), (3, 1), True),
    ("uint8", (4, 4), (2, 2), True),
    ("int4", (2, 3, 2), (1, 3, 1), False),
]


def blockwise(out):
    random = random_of("blockwise")
    for dtype, shape, groups, shifted in BLOCKS:
        low, high = LIMITS[dtype]
        data = random.integers(low, high, shape, endpoint=True)
        scale = floats(random, *groups, low=0.125, high=1)
        offset = random.integers(low, high, groups, endpoint=True)
        extra = {"offset": Typed(dtype, offset)} if shifted else {}
        result = spread(scale, shape) * (data - (spread(offset, shape) if shifted else 0.0))
        out.add(
            "constexpr_blockwise_shift_scale", {"data": Typed(dtype, data), "scale": scale} | extra, result
        )
        mask = random.integers(0, 2, shape)
        mask.ravel()[0] = 1
        given = {
            "data_mask": Typed("uint1", mask),
            "nonzero_data": Typed(dtype, data[mask == 1]),
            "scale": scale,
        }
        out.add(
            "constexpr_sparse_blockwise_shift_scale", given | extra, (Typed("uint1", mask), result[mask == 1])
        )


def look_up(indices, lut):
    """indices [*D], lut [*G, entries, vector] -> [*D, vector]"""
    at = [np.arange(size) // (size // groups) for size, groups in zip(indices.shape, lut.shape)]
    return lut[(*np.ix_(*at), indices)] if indices.ndim else lut[indices]


def place_vector(values, axis):
    """[*D, vector] -> the vector laid out along `axis`"""
    moved = np.moveaxis(values, -1, axis + 1)
    shape = list(values.shape[:-1])
    shape[axis] *= values.shape[-1]
    return moved.reshape(shape)


TABLES = [
    ("uint1", (2, 4), (1, 1), 1, None),
    ("uint2", (4, 3), (2, 1), 1, None),
    ("uint4", (2, 6), (1, 3), 1, None),
    ("uint2", (2, 4), (1, 2), 2, 0),
    ("uint3", (3, 2), (1, 1), 2, 1),
    ("uint6", (4, 4), (1, 1), 1, None),
    ("uint8", (2, 3), (1, 1), 1, None),
]


def tables(out):
    random = random_of("lut")
    for dtype, shape, groups, vector, axis in TABLES:
        bits = int(dtype[4:])
        if bits > 6:
            continue  # a table of 256 entries says nothing new
        indices = random.integers(0, 2**bits, shape)
        lut = floats(random, *groups, 2**bits, vector)
        attrs = {} if axis is None else {"vector_axis": axis}
        values = look_up(indices, lut)
        dense = values[..., 0] if vector == 1 else place_vector(values, axis)
        out.add("constexpr_lut_to_dense", {"indices": Typed(dtype, indices), "lut": lut}, dense, **attrs)
        mask = random.integers(0, 2, shape)
        mask.ravel()[0] = 1
        wide = mask if vector == 1 else place_vector(np.repeat(mask[..., None], vector, -1), axis)
        given = {
            "indices_mask": Typed("uint1", mask),
            "indices_nonzero_data": Typed(dtype, indices[mask == 1]),
            "lut": lut,
        }
        out.add("constexpr_lut_to_sparse", given, (Typed("uint1", wide), dense[wide == 1]), **attrs)


def sparse(out):
    random = random_of("sparse")
    for shape in [(2, 5), (9,), (2, 2, 3)]:
        mask, values = random.integers(0, 2, shape), floats(random, *shape)
        given = {"nonzero_data": values[mask == 1], "mask": Typed("uint1", mask)}
        out.add("constexpr_sparse_to_dense", given, np.where(mask == 1, values, 0))
    for shape in [(3,), (2, 2), (1, 4)]:
        values = floats(random, *shape)
        out.add("constexpr_cast", {"source_val": Typed("fp16", values)}, values, output_dtype="fp32")


def families():
    out = Family("quant")
    for part in (quantize, affine, blockwise, tables, sparse):
        part(out)
    return [out]
