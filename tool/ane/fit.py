#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the constants of src/explain/cost.def to the published latencies of measured.csv, leaving each chip out in turn,
and prints what is predicted for the chip left out. Needs numpy alone; the networks are rebuilt in network.py.

  fit.py           the table; fails where the median error passes 1.3 or the worst 2
  fit.py --write   also writes cost.def and the table of doc/neural_engine.md
"""
import csv
import math
import pathlib
import re
import sys

import numpy as np

from network import networks

root = pathlib.Path(__file__).resolve().parent.parent.parent
resident = 96e6  # bytes of weights that stay near the engine
kinds = ["conv", "pointwise", "depthwise", "product", "move"]
# bytes of a weight, bytes of an activation, computed in 8 bits
forms = {"fp16": (2, 2, 0), "w8": (1, 2, 0), "w8a8": (1, 1, 1), "palette4": (.5, 2, 0), "palette2": (.25, 2, 0),
         "sparse75": (.6, 2, 0)}
names = ["floor", "host", "conv", "pointwise", "depthwise", "product", "activation", "weight", "slow", "eight_bit"]
# Where the search begins and, weakly, what it prefers.
start = np.log([.03, 1.2, .45, .45, .08, .2, 2, 1, .35, 1])


def chips():
    rows = re.findall(r"^CHIP\(\"([^\"]+)\", '.', \d+, ([\d.]+), ([\d.]+), ([\d.]+),",
                      (root / "src/explain/chip.def").read_text(), re.M)
    return {name: (float(tflops), float(memory), float(floor)) for name, tflops, memory, floor in rows}


def arrays(layers):
    return (np.array([kinds.index(l.kind) for l in layers]), np.array([l.macs for l in layers]),
            sum(l.weights for l in layers), np.array([l.out for l in layers]))


nets, chip_table = {name: arrays(layers) for name, layers in networks().items()}, chips()


def predict(row, x):
    """Milliseconds; src/explain/estimate.cpp computes the same."""
    k = dict(zip(names, np.exp(x)))
    kind, macs, weights, out = nets[row["network"]]
    weight_bytes, out_bytes, eight = forms[row["form"]]
    tflops, memory, floor = chip_table[row["chip"]]
    rate = tflops / 2 * 1e9 * (1 + k["eight_bit"] * eight)
    reached = np.array([k["conv"], k["pointwise"], k["depthwise"], k["product"], 1])[kind]
    computing = np.maximum(macs / (rate * reached), out * out_bytes / (k["activation"] * tflops * 1e6)).sum()
    stored = weights * weight_bytes
    streaming = min(stored, resident) / (k["weight"] * memory * 1e6)
    beyond = max(0, stored - resident) / (k["slow"] * memory * 1e6)
    return (floor * k["host"] if floor else k["floor"]) + max(computing, streaming) + beyond


def loss(x, rows):
    r = np.array([math.log(predict(row, x) / row["ms"]) for row in rows])
    return np.sqrt(1e-4 + r * r).sum() + 0.09 * ((x - start) ** 2).sum()


def descend(f, x, steps, size=.4):
    """Nelder and Mead's simplex."""
    points = [x] + [x + size * e for e in np.eye(len(x))]
    values = [f(p) for p in points]
    for _ in range(steps):
        order = np.argsort(values, kind="stable")
        points, values = [points[i] for i in order], [values[i] for i in order]
        middle, last = np.mean(points[:-1], 0), points[-1]
        there = 2 * middle - last
        value = f(there)
        if value < values[0]:
            further = 3 * middle - 2 * last
            beyond = f(further)
            points[-1], values[-1] = (further, beyond) if beyond < value else (there, value)
        elif value < values[-2]:
            points[-1], values[-1] = there, value
        else:
            near = .5 * (middle + (there if value < values[-1] else last))
            value_near = f(near)
            if value_near < min(value, values[-1]):
                points[-1], values[-1] = near, value_near
            else:
                points = points[:1] + [points[0] + .5 * (p - points[0]) for p in points[1:]]
                values = values[:1] + [f(p) for p in points[1:]]
    return points[int(np.argmin(values))]


def validate(rows):
    """The constants, and per row what is predicted where its chip is left out."""
    x = descend(lambda p: loss(p, rows), start, 900)
    x = descend(lambda p: loss(p, rows), x, 600)
    for chip in dict.fromkeys(row["chip"] for row in rows):
        others = [row for row in rows if row["chip"] != chip]
        apart = descend(lambda p: loss(p, others), descend(lambda p: loss(p, others), start, 600), 400)
        for row in rows:
            if row["chip"] == chip:
                row["all"], row["apart"] = predict(row, x), predict(row, apart)
                row["factor"] = max(row["apart"] / row["ms"], row["ms"] / row["apart"])
    return x


def table(rows):
    out = ["| network | form | chip | measured ms | predicted, chip left out | factor | source |", "|---|---|---|---|---|---|---|"]
    out += [f"| {r['network']} | {r['form']} | {r['chip']} | {r['ms']:g} | {r['apart']:.3g} | {r['factor']:.2f} | {r['source']} |"
            for r in rows]
    return "\n".join(out)


def write_constants(x, errors):
    path = root / "src/explain/cost.def"
    text = path.read_text()
    values = {n: math.exp(v) for n, v in zip(names, x)}
    values["eight_bit"] += 1
    values |= errors
    for name, value in values.items():
        text = re.sub(rf"COST\({name}, [\d.]+\)", f"COST({name}, {value:.3g})", text)
    path.write_text(text)


def write_table(text):
    path = root / "doc/neural_engine.md"
    page = path.read_text()
    begin, end = "<!-- begin: table of tool/ane/fit.py -->\n", "\n<!-- end: table of tool/ane/fit.py -->"
    page = page[:page.index(begin) + len(begin)] + text + page[page.index(end):]
    path.write_text(page)


def main():
    with open(pathlib.Path(__file__).with_name("measured.csv"), newline="") as file:
        rows = [{**row, "ms": float(row["ms"])} for row in csv.DictReader(file)]
    x = validate(rows)
    factors = sorted(row["factor"] for row in rows)
    middle, most, worst = float(np.median(factors)), factors[math.ceil(.9 * len(factors)) - 1], factors[-1]
    text = table(rows)
    print(text)
    print(", ".join(f"{n} {math.exp(v):.3g}" for n, v in zip(names, x)))
    print(f"{len(rows)} figures: median error factor {middle:.3f}, nine of ten within {most:.3f}, worst {worst:.3f}")
    if "--write" in sys.argv[1:]:
        write_constants(x, {"error_half": middle, "error_most": most, "error_worst": worst})
        write_table(text)
    good = middle <= 1.3 and worst <= 2
    print(f"{int(good)} passed, {int(not good)} failed")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
