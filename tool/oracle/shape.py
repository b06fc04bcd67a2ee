# SPDX-License-Identifier: Apache-2.0
# Golden pairs of operations that move elements: shapes, slices, joins, paddings, blocks.
import numpy as np
import torch
import torch.nn.functional as F

from .case import Family, floats, index, ints, random_of


def reshapes(out):
    random = random_of("reshape")
    for shape, given, result in [
        ((2, 6), (3, 4), (3, 4)),
        ((2, 3, 4), (2, -1), (2, 12)),
        ((2, 3, 4), (0, -1, 2), (2, 6, 2)),
        ((2, 3, 4), (-1, 0), (6, 4)),
        ((4,), (2, 1, 2), (2, 1, 2)),
    ]:
        x = floats(random, *shape)
        out.add("reshape", {"x": x, "shape": index(*given)}, x.reshape(result))
    x = ints(random, 2, 3)
    out.add("reshape", {"x": x, "shape": index(6)}, x.reshape(6))
    for shape, axes in [((2, 3), [0]), ((2, 3), [1, -1]), ((4,), [0, 2])]:
        x = floats(random, *shape)
        out.add("expand_dims", {"x": x}, np.expand_dims(x, tuple(axes)), axes=axes)
    for shape, attrs in [((1, 3, 1), {}), ((1, 3, 1), {"axes": [0]}), ((2, 1, 3), {"axes": [-2]})]:
        x = floats(random, *shape)
        out.add("squeeze", {"x": x}, np.squeeze(x, tuple(attrs["axes"]) if attrs else None), **attrs)
    for shape, attrs, result in [
        ((2, 3, 2), {}, (2, 6)),
        ((2, 3, 2), {"axis": 2}, (6, 2)),
        ((2, 3), {"axis": 0}, (1, 6)),
        ((2, 3, 2), {"axis": -1}, (6, 2)),
    ]:
        x = floats(random, *shape)
        out.add("flatten2d", {"x": x}, x.reshape(result), **attrs)
    for shape in [(2, 3), (1, 4, 2), (5,)]:
        x = floats(random, *shape)
        out.add("shape", {"x": x}, index(*shape))
        out.add("identity", {"x": x}, x)
    for shape, perm in [((2, 3), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((1, 2, 3, 2), [0, -1, 1, 2])]:
        x = floats(random, *shape)
        out.add("transpose", {"x": x}, np.transpose(x, perm), perm=perm)
    for shape, attrs in [((2, 3), {}), ((2, 3, 2), {"axes": [1]}), ((2, 3), {"axes": [0, -1]})]:
        x = floats(random, *shape)
        out.add("reverse", {"x": x}, np.flip(x, tuple(attrs["axes"]) if attrs else None), **attrs)


def reshape_like(out):
    random = random_of("reshape_like")
    for shape, others, begins, ends, masks in [
        ((2, 6), [(3, 5), (9, 4)], [0, 1], [1, 2], [0, 0]),
        ((2, 3, 2), [(4, 3, 7)], [0], [2], [0]),
        ((12,), [(8, 2, 3), (2, 5)], [1, 0], [0, 1], [1, 0]),
    ]:
        x, refs = floats(random, *shape), [np.zeros(other) for other in others]
        wanted = [
            size
            for other, begin, end, mask in zip(others, begins, ends, masks)
            for size in other[begin : None if mask else end]
        ]
        given = {"x": x, "ref_tensors": refs}
        out.add("reshape_like", given, x.reshape(wanted), begins=begins, ends=ends, end_masks=masks)


def reverse_sequence(out):
    random = random_of("reverse_sequence")
    for shape, lengths, seq, batch in [
        ((3, 4), [2, 4, 0], 1, 0),
        ((4, 2, 2), [3, 1], 0, 1),
        ((2, 2, 3), [1, 3], 2, 0),
    ]:
        x = floats(random, *shape)
        result = np.moveaxis(x, [batch, seq], [0, 1]).copy()
        for b, length in enumerate(lengths):
            result[b, :length] = result[b, :length][::-1].copy()
        result = np.moveaxis(result, [0, 1], [batch, seq])
        out.add(
            "reverse_sequence", {"x": x, "lengths": index(*lengths)}, result, seq_axis=seq, batch_axis=batch
        )


SLICES = [  # begin, end, attributes, the same in Python
    ([1, 0, 1], [2, 3, 3], {}, np.s_[1:2, 0:3, 1:3]),
    ([0, -2, 0], [2, 3, -1], {}, np.s_[0:2, -2:3, 0:-1]),
    ([0, 0, 0], [2, 9, 4], {}, np.s_[0:2, 0:9, 0:4]),
    ([0, 0, 3], [2, 3, 0], {"stride": [1, 2, -1]}, np.s_[0:2, 0:3:2, 3:0:-1]),
    ([1, 2, 3], [0, 0, 1], {"stride": [-1, -1, -2], "end_mask": [1, 0, 0]}, np.s_[1::-1, 2:0:-1, 3:1:-2]),
    ([1, 1, 1], [2, 2, 3], {"begin_mask": [1, 0, 1]}, np.s_[:2, 1:2, :3]),
    ([0, 1, 1], [1, 1, 2], {"end_mask": [0, 1, 1]}, np.s_[0:1, 1:, 1:]),
    (
        [1, 1, 1],
        [1, 1, 1],
        {"begin_mask": [1, 1, 1], "end_mask": [1, 1, 1], "stride": [1, 1, -1]},
        np.s_[:, :, ::-1],
    ),
    ([0, 2, 1], [0, 0, 0], {"squeeze_mask": [0, 1, 0], "end_mask": [1, 0, 1]}, np.s_[0:, 2, 1:]),
    ([-1, 0, -2], [0, 3, 0], {"squeeze_mask": [1, 0, 1]}, np.s_[-1, 0:3, -2]),
    ([0, 0, 1], [1, 1, 2], {"squeeze_mask": [1, 1, 1]}, np.s_[0, 0, 1]),
]


def slices(out):
    random = random_of("slice")
    for begin, end, attrs, same in SLICES:
        x = floats(random, 2, 3, 4)
        given = {"begin": index(*begin), "end": index(*end)}
        out.add("slice_by_index", {"x": x} | given, np.asarray(x[same]), **attrs)
        result = x.copy()
        if np.asarray(x[same]).ndim:
            update = floats(random, *x[same].shape)
            result[same] = update
            out.add("slice_update", {"x": x, "update": update} | given, result, **attrs)
    for begin, size, same in [
        ([0, 1], [2, 2], np.s_[0:2, 1:3]),
        ([1, 0], [-1, 3], np.s_[1:, 0:3]),
        ([-2, -3], [1, 2], np.s_[1:2, 1:3]),
    ]:
        x = floats(random, 3, 4)
        out.add("slice_by_size", {"x": x, "begin": index(*begin), "size": index(*size)}, x[same])


def joins(out):
    random = random_of("concat")
    for shapes, axis in [([(2, 3), (2, 1)], 1), ([(1, 2), (3, 2), (2, 2)], 0), ([(2, 1, 2), (2, 2, 2)], -2)]:
        values = [floats(random, *shape) for shape in shapes]
        out.add("concat", {"values": values}, np.concatenate(values, axis), axis=axis)
    for shape, axis, count in [((2, 3), 1, 2), ((2, 2), 0, 3), ((1, 2, 2), -2, 2)]:
        values = [floats(random, *shape) for _ in range(count)]
        joined = np.stack(values, axis + 1 if axis >= 0 else axis)
        wanted = list(shape)
        wanted[axis] *= count
        out.add("concat", {"values": values}, joined.reshape(wanted), axis=axis, interleave=True)
    for shape, axis, count in [((3,), 0, 2), ((2, 3), 1, 3), ((2, 2), -1, 2)]:
        values = [floats(random, *shape) for _ in range(count)]
        out.add("stack", {"values": values}, np.stack(values, axis), axis=axis)
    for shape, attrs in [
        ((4, 3), {"num_splits": 2, "axis": 0}),
        ((2, 6), {"num_splits": 3, "axis": -1}),
        ((2, 5), {"split_sizes": [1, 3, 1], "axis": 1}),
        ((3, 2), {"split_sizes": [2, 1], "axis": -2}),
    ]:
        x = floats(random, *shape)
        cuts = np.cumsum(attrs["split_sizes"])[:-1] if "split_sizes" in attrs else attrs["num_splits"]
        out.add("split", {"x": x}, tuple(np.split(x, cuts, attrs["axis"])), **attrs)
    for shape, reps in [((2, 3), [2, 1]), ((2,), [3]), ((1, 2, 2), [2, 2, 1])]:
        x = floats(random, *shape)
        out.add("tile", {"x": x, "reps": index(*reps)}, np.tile(x, reps))


def pads(out):
    random = random_of("pad")
    theirs = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    for mode, name in theirs.items():
        for shape, amounts in [((2, 3), [0, 0, 1, 2]), ((1, 3, 4), [1, 0, 2, 1]), ((4,), [3, 2])]:
            x = floats(random, *shape)
            pairs = [(0, 0)] * (len(shape) - len(amounts) // 2) + list(zip(amounts[::2], amounts[1::2]))
            extra = {"constant_values": -1.5} if mode == "constant" and len(shape) > 1 else {}
            attrs = {"constant_val": -1.5} if extra else {}
            out.add(
                "pad", {"x": x, "pad": index(*amounts)}, np.pad(x, pairs, name, **extra), mode=mode, **attrs
            )
    x = floats(random, 2, 2)
    out.add("pad", {"x": x, "pad": index(1, 0, 0, 1)}, np.pad(x, [(1, 0), (0, 1)]))


def bands(out):
    random = random_of("band_part")
    for shape, lower, upper in [
        ((4, 4), 1, 0),
        ((3, 5), 0, 2),
        ((2, 3, 3), -1, 1),
        ((4, 3), 1, -1),
        ((3, 3), -1, -1),
    ]:
        x = floats(random, *shape)
        result = x if upper < 0 else np.tril(x, upper)
        result = result if lower < 0 else np.triu(result, -lower)
        out.add("band_part", {"x": x}, result, lower=lower, upper=upper)
    random = random_of("cumsum")
    for attrs in (
        {},
        {"axis": 1},
        {"axis": -1, "exclusive": True},
        {"axis": 0, "reverse": True},
        {"axis": 1, "exclusive": True, "reverse": True},
    ):
        x, axis = floats(random, 3, 4), attrs.get("axis", 0)
        line = np.flip(x, axis) if attrs.get("reverse") else x
        total = np.cumsum(line, axis) - (line if attrs.get("exclusive") else 0)
        out.add("cumsum", {"x": x}, np.flip(total, axis) if attrs.get("reverse") else total, **attrs)
    x = ints(random, 5)
    out.add("cumsum", {"x": x}, np.cumsum(x).astype(np.int32))


def fills(out):
    for shape, attrs in [((2, 3), {"value": 1.5}), ((4,), {"value": -2.25}), ((1, 2, 2), {"value": 0.5})]:
        out.add("fill", {"shape": index(*shape)}, np.full(shape, attrs["value"]), **attrs)
        x = floats(random_of("fill_like"), *shape)
        out.add("fill_like", {"ref_tensor": x}, np.full(shape, attrs["value"]), **attrs)
    for end, start, step in [(5.0, 0.0, 1.0), (2.0, -1.0, 0.75), (-2.0, 1.0, -0.5), (1.0, 1.0, 1.0)]:
        given = {"end": np.float64(end), "start": np.float64(start), "step": np.float64(step)}
        out.add("range_1d", given, np.arange(start, end, step))
    given = {"end": np.int32(9), "start": np.int32(-2), "step": np.int32(4)}
    out.add("range_1d", given, np.arange(-2, 9, 4, dtype=np.int32))


def blocks(out):
    random = random_of("blocks")
    for shape, size in [((1, 4, 2, 3), 2), ((2, 4, 1, 2), 2), ((1, 9, 2, 1), 3)]:
        n, c, h, w = shape
        x = floats(random, *shape)
        out.add(
            "pixel_shuffle", {"x": x}, F.pixel_shuffle(torch.tensor(x), size).numpy(), upscale_factor=size
        )
        split = x.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
        out.add(
            "depth_to_space", {"x": x}, split.reshape(n, c // size**2, h * size, w * size), block_size=size
        )
    for shape, size in [((1, 1, 4, 2), 2), ((2, 2, 2, 2), 2), ((1, 1, 3, 6), 3)]:
        n, c, h, w = shape
        x = floats(random, *shape)
        out.add(
            "pixel_unshuffle",
            {"x": x},
            F.pixel_unshuffle(torch.tensor(x), size).numpy(),
            downscale_factor=size,
        )
        split = x.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
        out.add(
            "space_to_depth", {"x": x}, split.reshape(n, c * size**2, h // size, w // size), block_size=size
        )
    for shape, block, amounts in [
        ((1, 2, 4, 4), [2, 2], [[0, 0], [0, 0]]),
        ((2, 1, 3, 4), [2, 2], [[1, 0], [0, 0]]),
        ((1, 1, 2, 4), [1, 3], [[0, 0], [1, 1]]),
    ]:
        x = floats(random, *shape)
        wide = np.pad(x, [(0, 0), (0, 0)] + [tuple(pair) for pair in amounts])
        n, c, h, w = wide.shape
        split = wide.reshape(n, c, h // block[0], block[0], w // block[1], block[1]).transpose(
            3, 5, 0, 1, 2, 4
        )
        batch = split.reshape(n * block[0] * block[1], c, h // block[0], w // block[1])
        out.add("space_to_batch", {"x": x}, batch, block_shape=block, paddings=amounts)
        out.add("batch_to_space", {"x": batch}, x, block_shape=block, crops=amounts)


def windows(out):
    random = random_of("sliding_windows")
    for shape, attrs in [
        ((5,), {"axis": 0, "size": 3}),
        ((2, 6), {"axis": 1, "size": 2, "stride": 2}),
        ((5, 2), {"axis": 0, "size": 3, "stride": 2}),
        ((2, 4, 2), {"axis": -2, "size": 2}),
    ]:
        x = floats(random, *shape)
        axis = attrs["axis"] % len(shape)
        view = np.lib.stride_tricks.sliding_window_view(x, attrs["size"], axis)
        view = np.moveaxis(view, -1, axis + 1)
        starts = range(0, view.shape[axis], attrs.get("stride", 1))
        out.add("sliding_windows", {"x": x}, np.take(view, starts, axis), **attrs)


def families():
    out = Family("shape")
    for part in (reshapes, reshape_like, reverse_sequence, slices, windows):
        part(out)
    rest = Family("tensor")
    for part in (joins, pads, bands, fills, blocks):
        part(rest)
    return [out, rest]
