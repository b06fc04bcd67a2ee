#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A forest of 500 trees of depth 10 over 1,000,000 rows: this program through its C++ interface against scikit-learn, in
turn, with as many threads. Needs scikit-learn; build the target forest_bench first.

    bench/forest.py [--bench build/bench/forest_bench] [--rows N] [--trees N] [--threads N] [--runs N]"""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.ensemble import RandomForestRegressor

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tool"))
from make_bad_coreml import num, sub  # noqa: E402


def tag(field, wire):
    n, out = field << 3 | wire, b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def node(tree, i, t, value):
    head = num(1, tree) + num(2, i)
    if t.children_left[i] < 0:
        return head + num(3, 6) + sub(20, num(1, 0) + tag(2, 1) + struct.pack("<d", value[i]))
    branch = num(10, int(t.feature[i])) + tag(11, 1) + struct.pack("<d", t.threshold[i])
    return head + branch + num(12, int(t.children_left[i])) + num(13, int(t.children_right[i]))


def core_ml(forest, width):
    """The forest as a treeEnsembleRegressor."""
    parts = []
    for k, estimator in enumerate(forest.estimators_):
        t = estimator.tree_
        value = t.value[:, 0, 0] / len(forest.estimators_)
        parts += [sub(1, node(k, i, t, value)) for i in range(t.node_count)]
    trees = b"".join(parts) + num(2, 1) + tag(3, 1) + struct.pack("<d", 0.0)
    x = sub(1, "x") + sub(3, sub(5, sub(1, bytes([width])), num(2, 65600)))
    y = sub(1, "y") + sub(3, sub(2, b""))
    about = sub(1, x) + sub(10, y) + sub(11, "y")
    return num(1, 1) + sub(2, about) + sub(302, sub(1, trees))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bench", default="build/bench/forest_bench")
    p.add_argument("--rows", type=int, default=1000000)
    p.add_argument("--trees", type=int, default=500)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--runs", type=int, default=3)
    o = p.parse_args()
    random = np.random.default_rng(1)
    x = random.standard_normal((20000, 20), dtype=np.float32)
    y = x @ random.standard_normal(20) + np.sin(3 * x[:, 0]) * x[:, 1] + random.standard_normal(20000)
    forest = RandomForestRegressor(o.trees, max_depth=10, n_jobs=o.threads, random_state=1).fit(x, y)
    rows = random.standard_normal((o.rows, 20), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "forest.mlmodel").write_bytes(core_ml(forest, 20))
        np.save(folder / "rows.npy", rows)
        env = os.environ | {"FOREST_MODEL": str(folder / "forest.mlmodel"), "FOREST_ROWS": str(folder / "rows.npy")}
        command = [o.bench, f"--benchmark_filter=forest/{o.threads}/", "--benchmark_format=json"]
        ours, theirs = [], []
        for run in range(o.runs):
            result = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
            ours.append(json.loads(result)["benchmarks"][0]["real_time"] / 1000)
            start = time.perf_counter()
            forest.predict(rows)
            theirs.append(time.perf_counter() - start)
            print(f"run {run}: tl {ours[-1]:.2f} s, scikit-learn {theirs[-1]:.2f} s", flush=True)
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"{o.rows} rows, {o.trees} trees, {o.threads} threads: {ratio:.2f} times scikit-learn's speed")
    return int(ratio < 1)


if __name__ == "__main__":
    sys.exit(main())
