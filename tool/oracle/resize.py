# SPDX-License-Identifier: Apache-2.0
# Golden pairs of image resizing and sampling.
import numpy as np
import torch
import torch.nn.functional as F

from .case import Family, floats, index, random_of


def positions(mode, size, target):
    i = np.arange(target, dtype=np.float64)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if target == 1:
            return np.array([0.0 if mode.startswith("STRICT") else (size - 1) / 2])
        return i * (size - 1) / (target - 1)
    if mode == "DEFAULT":
        return i * size / target
    if mode == "OFFSET_CORNERS":
        return (i + 0.5) * max(1, size - 1) / target
    return (i + 0.5) * size / target - 0.5


def linear_along(x, axis, mode, target):
    size = x.shape[axis]
    at = np.clip(positions(mode, size, target), 0, size - 1)
    return np.apply_along_axis(lambda line: np.interp(at, np.arange(size), line), axis, x)


def bilinear(x, mode, height, width):
    """By PyTorch where it has the mode, else as two interpolations of lines."""
    by_hand = linear_along(linear_along(x, x.ndim - 2, mode, height), x.ndim - 1, mode, width)
    if mode in ("STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS"):
        flat = torch.tensor(x).reshape(1, -1, *x.shape[-2:])
        theirs = F.interpolate(
            flat, (height, width), mode="bilinear", align_corners=mode == "STRICT_ALIGN_CORNERS"
        )
        assert np.allclose(theirs.numpy().reshape(by_hand.shape), by_hand)
    return by_hand


MODES = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"]
SIZES = [((1, 1, 2, 3), (4, 5)), ((1, 2, 4, 3), (3, 2)), ((3, 4), (5, 3))]


def resize_bilinear(out):
    random = random_of("resize_bilinear")
    for mode in MODES:
        for shape, (height, width) in SIZES[:2]:
            x = floats(random, *shape, step=1 / 4)
            out.add(
                "resize_bilinear",
                {"x": x},
                bilinear(x, mode, height, width),
                target_size_height=height,
                target_size_width=width,
                sampling_mode=mode,
            )
    for mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        x = floats(random, 1, 1, 3, 4)
        out.add(
            "resize_bilinear",
            {"x": x},
            bilinear(x, mode, 1, 2),
            target_size_height=1,
            target_size_width=2,
            sampling_mode=mode,
        )
    x = floats(random, 2, 2, 3)
    out.add(
        "resize_bilinear", {"x": x}, bilinear(x, "DEFAULT", 3, 4), target_size_height=3, target_size_width=4
    )


def resize(out):
    random = random_of("resize")
    for mode in MODES:
        for shape, (height, width) in SIZES[:2] + SIZES[2:] * (mode == "DEFAULT"):
            x = floats(random, *shape, step=1 / 4)
            out.add(
                "resize",
                {"x": x, "shape": index(*x.shape[:-2], height, width)},
                bilinear(x, mode, height, width),
                resized_dims=2,
                interpolation_mode="LINEAR",
                sampling_mode=mode,
            )
    x = floats(random, 2, 3)
    out.add("resize", {"x": x, "shape": index(7, 5)}, linear_along(x, 1, "DEFAULT", 5), resized_dims=1)
    x = floats(random, 1, 3, 2)
    result = linear_along(x, 2, "UNALIGN_CORNERS", 5)  # a zero keeps the dimension
    out.add(
        "resize",
        {"x": x, "shape": index(1, 0, 5)},
        result,
        resized_dims=2,
        interpolation_mode="LINEAR",
        sampling_mode="UNALIGN_CORNERS",
    )
    for size, target in [(2, 3), (3, 5), (4, 3)]:
        x = floats(random, 1, 2, size)
        at = np.rint(np.arange(target) * size / target).astype(int).clip(0, size - 1)
        out.add(
            "resize",
            {"x": x, "shape": index(1, 2, target)},
            x[..., at],
            resized_dims=1,
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="DEFAULT",
        )


def nearest(out):
    random = random_of("nearest")
    for shape, (height, width) in [((1, 1, 2, 3), (5, 6)), ((1, 2, 4, 3), (3, 2)), ((1, 1, 3, 3), (4, 7))]:
        x = floats(random, *shape, step=1 / 4)
        result = F.interpolate(torch.tensor(x), (height, width), mode="nearest").numpy()
        out.add(
            "resize_nearest_neighbor", {"x": x}, result, target_size_height=height, target_size_width=width
        )
    for scale, result_size in [((2, 3), (4, 9)), ((1.5, 1.0), (3, 3)), ((2.5, 1.5), (5, 4))]:
        x = floats(random, 1, 2, 2, 3)
        result = F.interpolate(torch.tensor(x), result_size, mode="nearest").numpy()
        out.add(
            "upsample_nearest_neighbor",
            {"x": x},
            result,
            scale_factor_height=scale[0],
            scale_factor_width=scale[1],
        )


def upsample_bilinear(out):
    random = random_of("upsample_bilinear")
    kinds = [
        ({"align_corners": True}, "STRICT_ALIGN_CORNERS"),
        ({"align_corners": False}, "UNALIGN_CORNERS"),
        ({"align_corners": False, "half_pixel_centers": True}, "UNALIGN_CORNERS"),
        ({"align_corners": False, "half_pixel_centers": False}, "DEFAULT"),
        ({}, "STRICT_ALIGN_CORNERS"),
    ]
    for attrs, mode in kinds:
        for scale, shape in [((2, 3), (1, 1, 2, 2)), ((1.5, 2.0), (1, 2, 2, 3))]:
            x = floats(random, *shape, step=1 / 4)
            height, width = int(shape[2] * scale[0]), int(shape[3] * scale[1])
            out.add(
                "upsample_bilinear",
                {"x": x},
                bilinear(x, mode, height, width),
                scale_factor_height=scale[0],
                scale_factor_width=scale[1],
                **attrs
            )


def crop(out):
    random = random_of("crop")
    for shape, height, width in [
        ((1, 2, 4, 5), [1, 1], [2, 0]),
        ((2, 3, 4), [0, 1], [1, 1]),
        ((1, 1, 3, 3), [0, 0], [0, 2]),
    ]:
        x = floats(random, *shape, step=1 / 4)
        result = x[..., height[0] : shape[-2] - height[1], width[0] : shape[-1] - width[1]]
        out.add("crop", {"x": x}, result, crop_height=height, crop_width=width)


def sample(x, ys, xs, pad):
    """One channel image at fractional points; a point outside gives `pad`."""
    height, width = x.shape
    if not (0 <= ys <= height - 1 and 0 <= xs <= width - 1):
        return pad
    top, left = int(ys), int(xs)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = ys - top, xs - left
    return (1 - fy) * ((1 - fx) * x[top, left] + fx * x[top, right]) + fy * (
        (1 - fx) * x[bottom, left] + fx * x[bottom, right]
    )


def corners(box, mode):
    a, b, c, d = box
    if mode == "CORNERS_HEIGHT_FIRST":
        return a, b, c, d
    if mode == "CORNERS_WIDTH_FIRST":
        return b, a, d, c
    if mode == "CENTER_SIZE_HEIGHT_FIRST":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return b - d / 2, a - c / 2, b + d / 2, a + c / 2


def crop_resize_result(x, boxes, which, attrs):
    height, width = x.shape[2:]
    th, tw = attrs["target_height"], attrs["target_width"]
    result = np.empty((len(boxes), x.shape[1], th, tw))
    for n, box in enumerate(boxes):
        h0, w0, h1, w1 = (
            edge * attrs.get("spatial_scale", 1.0)
            for edge in corners(box, attrs.get("box_coordinate_mode", "CORNERS_HEIGHT_FIRST"))
        )
        if attrs.get("normalized_coordinates", False):
            h0, w0, h1, w1 = h0 * (height - 1), w0 * (width - 1), h1 * (height - 1), w1 * (width - 1)
        ys = [(h0 + h1) / 2] if th == 1 else np.linspace(h0, h1, th)
        xs = [(w0 + w1) / 2] if tw == 1 else np.linspace(w0, w1, tw)
        for channel in range(x.shape[1]):
            result[n, channel] = [
                [sample(x[which[n], channel], y, z, attrs.get("pad_value", 0.0)) for z in xs] for y in ys
            ]
    return result


def crop_resize(out):
    random = random_of("crop_resize")
    align = {"sampling_mode": "ALIGN_CORNERS"}
    square = [[0.5, 0.25, 2.5, 3.0], [1.0, 1.0, 2.0, 2.0]]
    centred = [[1.5, 1.5, 2.0, 1.0], [1.0, 2.0, 1.5, 2.0]]
    for boxes, which, attrs in [
        (
            square,
            [0, 1],
            {"box_coordinate_mode": "CORNERS_HEIGHT_FIRST", "target_height": 3, "target_width": 2},
        ),
        (
            square,
            [1, 0],
            {"box_coordinate_mode": "CORNERS_WIDTH_FIRST", "target_height": 2, "target_width": 2},
        ),
        (
            centred,
            [0, 0],
            {"box_coordinate_mode": "CENTER_SIZE_HEIGHT_FIRST", "target_height": 2, "target_width": 3},
        ),
        (
            centred,
            [1, 1],
            {"box_coordinate_mode": "CENTER_SIZE_WIDTH_FIRST", "target_height": 2, "target_width": 2},
        ),
        (
            [[0.125, 0.25, 1.25, 1.0]],
            [0],
            {"normalized_coordinates": True, "target_height": 2, "target_width": 2, "pad_value": 10.0},
        ),
        ([[1.0, 2.0, 4.0, 6.0]], [1], {"spatial_scale": 0.5, "target_height": 2, "target_width": 2}),
        (square[:1], [0], {"target_height": 1, "target_width": 1}),
    ]:
        x, boxes = floats(random, 2, 1, 4, 4), np.array(boxes)
        out.add(
            "crop_resize",
            {"x": x, "boxes": boxes, "box_indices": index(*which)},
            crop_resize_result(x, boxes, which, attrs),
            **attrs,
            **align
        )


def resample(out):
    random = random_of("resample")
    paddings = [
        ("constant", "zeros", None),
        ("border", "border", None),
        ("reflection", "reflection", True),
        ("symmetric", "reflection", False),
    ]
    for mode in ("bilinear", "nearest"):
        for ours, theirs, only in paddings:
            for align in (True, False) if only is None else (only,):
                x = floats(random, 1, 1, 3, 4, step=1 / 4)
                grid = (
                    random.integers(-12, 12, (1, 2, 3, 2)) / 8 + 0.01171875
                )  # no point half-way between pixels
                result = F.grid_sample(torch.tensor(x), torch.tensor(grid), mode, theirs, align).numpy()
                out.add(
                    "resample",
                    {"x": x, "coordinates": grid},
                    result,
                    sampling_mode=mode,
                    padding_mode=ours,
                    padding_value=0.0,
                    coordinates_mode="normalized_minus_one_to_one",
                    align_corners=align,
                )
    for mode in ("unnormalized", "normalized_zero_to_one"):
        x = floats(random, 2, 1, 3, 5, step=1 / 4)
        unit = random.integers(-1, 9, (2, 2, 2, 2)) / 8 + 0.01171875
        result = F.grid_sample(torch.tensor(x), torch.tensor(unit * 2 - 1), "bilinear", "zeros", True).numpy()
        coordinates = unit * np.array([4.0, 2.0]) if mode == "unnormalized" else unit
        out.add(
            "resample",
            {"x": x, "coordinates": coordinates},
            result,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode=mode,
            align_corners=True,
        )


def affine(out):
    random = random_of("affine")
    for matrix, (height, width) in [
        ([[1, 0, 0, 0, 1, 0]], (3, 4)),
        ([[0.75, 0.25, 0.125, -0.5, 1, 0.25]], (4, 3)),
        ([[1.5, 0, 0.5, 0, 1.25, -0.25]], (2, 2)),
    ]:
        x, matrix = floats(random, 1, 2, 3, 4), np.array(matrix, np.float64)
        grid = F.affine_grid(torch.tensor(matrix).reshape(1, 2, 3), [1, 2, height, width], align_corners=True)
        result = F.grid_sample(torch.tensor(x), grid, "bilinear", "zeros", True).numpy()
        out.add(
            "affine",
            {"x": x, "transform_matrix": matrix},
            result,
            output_height=height,
            output_width=width,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=True,
        )


def families():
    out = Family("resize")
    for part in (resize_bilinear, resize, nearest, upsample_bilinear, crop, crop_resize, resample, affine):
        part(out)
    return [out]
