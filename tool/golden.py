#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Writes test/op/golden/*.json: inputs and results of operations, from NumPy, SciPy and PyTorch in float64,
# which judge the float64 references. Needs numpy, scipy, torch==2.7.*. The same run gives the same bytes.
"""A file is a list of cases {"op", "attrs", "inputs": [{"name", "dtype", "shape", "data"}], "outputs":
[{"dtype", "shape", "data"}]}. Inputs have MIL's names; those of many values (concat.values) come one after the
other under one name, absent ones are left out. Booleans are 0 and 1, masks are lists of 0 and 1, nested index
lists are flat. Results have 7 significant digits. nonfinite.json alone has strings among its numbers: "NaN",
"Infinity", "-Infinity"."""

import json
from collections import Counter
from pathlib import Path

from oracle import elementwise, index, matmul, quant, reduce, resize, shape, window

OUT = Path(__file__).resolve().parent.parent / "test" / "op" / "golden"
LIMIT = 300_000


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.json"):
        old.unlink()
    total, count = 0, Counter()
    for module in (elementwise, reduce, window, resize, index, shape, matmul, quant):
        for family in module.families():
            lines = [json.dumps(case, separators=(",", ":"), allow_nan=False) for case in family.cases]
            text = "[\n" + ",\n".join(lines) + "\n]\n"
            (OUT / f"{family.name}.json").write_text(text)
            total += len(text)
            count.update(case["op"] for case in family.cases)
            print(f"{family.name}: {len(lines)} cases, {len(text)} bytes")
    print(f"{sum(count.values())} cases of {len(count)} operations, {total} bytes")
    if total > LIMIT:
        raise SystemExit(f"more than {LIMIT} bytes")


if __name__ == "__main__":
    main()
