# SPDX-License-Identifier: Apache-2.0
# Golden pairs of gathers and scatters, orders (argsort, topk), one_hot, non_zero and box suppression.
import numpy as np

from .case import Family, distinct, floats, index, ints, random_of

COMBINE = {
    "update": lambda old, new: new,
    "add": lambda old, new: old + new,
    "sub": lambda old, new: old - new,
    "mul": lambda old, new: old * new,
    "div": lambda old, new: old / new,
    "max": max,
    "min": min,
}


def gather(out):
    random = random_of("gather")
    for shape, indices, attrs in [
        ((4, 3), index(2, 0, 3), {}),
        ((2, 4), index([1, 3], [0, 0]), {"axis": 1}),
        ((3, 2, 2), np.array(1, np.int32), {"axis": 0}),
        ((2, 3, 4), index(3, 0), {"axis": -1}),
    ]:
        x = floats(random, *shape)
        out.add("gather", {"x": x, "indices": indices}, np.take(x, indices, attrs.get("axis", 0)), **attrs)
    x = ints(random, 5)
    out.add("gather", {"x": x, "indices": index(4, 4, 1)}, x[[4, 4, 1]], axis=0)
    for axis in (1, 2):
        x, indices = floats(random, 2, 3, 3), index([2, 0], [1, 1])
        result = np.stack([np.take(x[b], indices[b], axis - 1) for b in range(2)])
        out.add("gather", {"x": x, "indices": indices}, result, axis=axis, batch_dims=1)
    x, indices = floats(random, 2, 2, 3), index([[2], [0]], [[1], [1]])
    result = np.array([[np.take(x[b, c], indices[b, c]) for c in range(2)] for b in range(2)])
    out.add("gather", {"x": x, "indices": indices}, result, axis=2, batch_dims=2)


def gather_along_axis(out):
    random = random_of("gather_along_axis")
    for axis in (0, 1, -1):
        x = floats(random, 3, 2, 4)
        shape = [3, 2, 4]
        shape[axis] = 2
        indices = random.integers(0, x.shape[axis], shape).astype(np.int32)
        out.add(
            "gather_along_axis", {"x": x, "indices": indices}, np.take_along_axis(x, indices, axis), axis=axis
        )


def gather_nd(out):
    random = random_of("gather_nd")
    x = floats(random, 2, 3, 2)
    for indices in (index([0, 1], [1, 2]), index([1], [0]), index([[1, 0, 1]], [[0, 2, 0]])):
        result = x[tuple(np.moveaxis(indices, -1, 0))]
        out.add("gather_nd", {"x": x, "indices": indices}, result)
    indices = index([[2], [0]], [[1], [1]])
    result = np.stack([x[b][tuple(np.moveaxis(indices[b], -1, 0))] for b in range(2)])
    out.add("gather_nd", {"x": x, "indices": indices}, result, batch_dims=1)
    indices = index([[2, 1]], [[0, 0]])
    result = np.stack([x[b][tuple(np.moveaxis(indices[b], -1, 0))] for b in range(2)])
    out.add("gather_nd", {"x": x, "indices": indices}, result, batch_dims=1)


def nonzero_floats(random, *shape):
    return floats(random, *shape, low=0.5, high=3, step=0.25) * np.where(random.integers(0, 2, shape), 1, -1)


def combine_at(result, place, mode, value):
    for at in np.ndindex(value.shape):
        old = result[place][at] if value.shape else result[place]
        new = COMBINE[mode](old, value[at])
        if value.shape:
            result[place][at] = new
        else:
            result[place] = new


def scatter(out):
    random = random_of("scatter")
    for mode in [None, *COMBINE]:
        attrs = {"mode": mode} if mode else {}
        apply = mode or "add"
        repeat = apply != "update"  # an update of one place twice has no order
        for axis, shape in [(0, (4, 2)), (1, (2, 3, 2))][: 2 if mode else 1]:
            data, indices = nonzero_floats(random, *shape), index(2, 0, 2) if repeat else index(2, 0)
            update_shape = shape[:axis] + (len(indices),) + shape[axis + 1 :]
            updates, result = nonzero_floats(random, *update_shape), data.copy()
            for i, target in enumerate(indices):
                place = (slice(None),) * axis + (int(target),)
                combine_at(result, place, apply, updates[(slice(None),) * axis + (i,)])
            out.add(
                "scatter", {"data": data, "indices": indices, "updates": updates}, result, axis=axis, **attrs
            )


def scatter_along_axis(out):
    random = random_of("scatter_along_axis")
    for mode in [None, *COMBINE]:
        attrs, apply = ({"mode": mode} if mode else {}), mode or "add"
        for axis in (0, -1) if mode else (1,):
            data = nonzero_floats(random, 3, 3)
            indices = index([2, 0, 1], [0, 1, 2]) if axis == 0 else index([2, 0], [1, 2], [0, 1])
            if apply != "update":
                indices[0, 0] = indices[1, 0] if axis == 0 else indices[0, 1]
            updates, result = nonzero_floats(random, *indices.shape), data.copy()
            for at in np.ndindex(indices.shape):
                place = (indices[at], at[1]) if axis == 0 else (at[0], indices[at])
                result[place] = COMBINE[apply](result[place], updates[at])
            out.add(
                "scatter_along_axis",
                {"data": data, "indices": indices, "updates": updates},
                result,
                axis=axis,
                **attrs
            )


def scatter_nd(out):
    random = random_of("scatter_nd")
    for mode in [None, *COMBINE]:
        attrs, apply = ({"mode": mode} if mode else {}), mode or "add"
        for indices in [index([0, 1], [2, 0], [1, 1]), index([1], [0])][: 2 if mode else 1]:
            data = nonzero_floats(random, 3, 2)
            if apply != "update" and indices.shape[1] == 2:
                indices[2] = indices[0]
            updates = nonzero_floats(random, *(indices.shape[:-1] + data.shape[indices.shape[-1] :]))
            result = data.copy()
            for i, target in enumerate(indices):
                combine_at(result, tuple(int(t) for t in target), apply, np.asarray(updates[i]))
            out.add("scatter_nd", {"data": data, "indices": indices, "updates": updates}, result, **attrs)
    data, updates = ints(random, 4), ints(random, 2)
    result = data.copy()
    result[[3, 1]] += updates
    out.add("scatter_nd", {"data": data, "indices": index([3], [1]), "updates": updates}, result, mode="add")


def orders(out):
    random = random_of("argsort")
    for attrs in ({}, {"axis": 0, "ascending": True}, {"axis": 1, "ascending": False}, {"ascending": True}):
        x = distinct(random, 3, 4)
        ascending = attrs.get("ascending", False)
        result = np.argsort(x if ascending else -x, attrs.get("axis", -1), kind="stable")
        out.add("argsort", {"x": x}, result.astype(np.int32), **attrs)
    random = random_of("topk")
    for shape, attrs in [
        ((2, 5), {}),
        ((2, 5), {"k": 3}),
        ((4, 3), {"k": 2, "axis": 0}),
        ((2, 5), {"k": 2, "ascending": True}),
        ((2, 4), {"k": -1}),
        ((6,), {"k": 3, "return_indices": False}),
        ((5,), {"k": 2, "output_indices_dtype": "uint16"}),
        ((2, 2, 4), {"k": 2, "axis": -1, "ascending": True}),
    ]:
        x = distinct(random, *shape)
        axis, ascending = attrs.get("axis", -1), attrs.get("ascending", False)
        count = shape[axis] if attrs.get("k") == -1 else attrs.get("k", 1)
        at = np.take(np.argsort(x if ascending else -x, axis, kind="stable"), range(count), axis)
        values = np.take_along_axis(x, at, axis)
        at = at.astype(attrs.get("output_indices_dtype", "int32"))
        out.add("topk", {"x": x}, (values, at) if attrs.get("return_indices", True) else values, **attrs)
    x = np.array([1.0, 3.0, 3.0, 2.0, 3.0])  # the first of equals comes first
    out.add("topk", {"x": x}, (np.array([3.0, 3.0]), index(1, 2)), k=2)


def one_hot(out):
    for indices, size, attrs in [
        (index(1, 0, 3), 4, {}),
        (index([1, 2], [0, 1]), 3, {"axis": 1}),
        (index(2, 0), 3, {"axis": 0}),
        (index(0, 2), 3, {"on_value": 2.5, "off_value": -0.5, "dtype": "fp32"}),
        (index(1, 5, -1), 3, {"on_value": 1.0, "off_value": 0.0, "dtype": "fp32"}),
    ]:
        on, off = attrs.get("on_value", 1), attrs.get("off_value", 0)
        result = np.where(indices[..., None] == np.arange(size), on, off)
        result = np.moveaxis(result, -1, attrs.get("axis", -1))
        result = result.astype(np.float64 if "dtype" in attrs else np.int32)
        out.add(
            "one_hot", {"indices": indices, "one_hot_vector_size": np.array(size, np.int32)}, result, **attrs
        )


def non_zero(out):
    random = random_of("non_zero")
    for shape in [(6,), (3, 3), (2, 2, 2)]:
        x = floats(random, *shape) * random.integers(0, 2, shape)
        out.add("non_zero", {"x": x}, np.argwhere(x).astype(np.int32))
    x = random.integers(0, 2, (2, 4)).astype(bool)
    out.add("non_zero", {"x": x}, np.argwhere(x).astype(np.int32))


def overlap(one, two):
    def edges(box):
        return box[:2] - box[2:] / 2, box[:2] + box[2:] / 2

    (low1, high1), (low2, high2) = edges(one), edges(two)
    inside = np.prod(np.maximum(0, np.minimum(high1, high2) - np.maximum(low1, low2)))
    return inside / (np.prod(one[2:]) + np.prod(two[2:]) - inside)


def suppress(boxes, scores, threshold, limit, per_class):
    best, kind = scores.max(1), scores.argmax(1)
    kept = []
    for i in np.argsort(-best, kind="stable"):
        rivals = [k for k in kept if not per_class or kind[k] == kind[i]]
        if len(kept) < limit and all(overlap(boxes[i], boxes[k]) <= threshold for k in rivals):
            kept.append(i)
    return kept


def suppression(out):
    random = random_of("non_maximum_suppression")
    for classes, limit, per_class, threshold in [
        (1, 3, False, 0.25),
        (2, 3, False, 0.25),
        (2, 4, True, 0.125),
    ]:
        boxes = np.concatenate([random.integers(0, 15, (8, 2)) / 1.0, random.integers(3, 7, (8, 2)) / 1.0], 1)
        scores = distinct(random, 8, classes, step=1 / 32) + 0.5
        kept = suppress(boxes, scores, threshold, limit, per_class)
        assert len(kept) == limit  # no padding, whose form is not settled
        out.add(
            "non_maximum_suppression",
            {"boxes": boxes.T[None], "scores": scores.T[None]},
            (boxes[kept].T[None], scores[kept].T[None], np.array([kept], np.int32)),
            iou_threshold=threshold,
            max_boxes=limit,
            per_class_suppression=per_class,
            boxes_last=True,
        )


def families():
    out = Family("index")
    for part in (
        gather,
        gather_along_axis,
        gather_nd,
        scatter,
        scatter_along_axis,
        scatter_nd,
        orders,
        one_hot,
        non_zero,
        suppression,
    ):
        part(out)
    return [out]
