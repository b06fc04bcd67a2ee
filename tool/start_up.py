#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to start: `tl --version` and `tl predict` on a one-operation model against `/bin/true`, medians of 50."""
import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent


def milliseconds(command):
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - began)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tl", default=root / "build" / "tl")
    p.add_argument("--runs", type=int, default=50)
    p.add_argument("--case", help="a folder with a model.mlpackage and in0.npz; predicts it and writes its outputs")
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report(o, scratch)


def report(o, scratch):
    commands = {"/bin/true": ["/bin/true"], "tl --version": [o.tl, "--version"]}
    if o.case:
        case = pathlib.Path(o.case)
        model = next(case.glob("*.ml*"))
        commands[f"tl predict {case.name}"] = [o.tl, "predict", model, "--inputs", case / "in0.npz", "--outputs", pathlib.Path(scratch) / "out.npz"]
    else:
        model = root / "examples" / "guide" / "model.mlpackage"
        commands["tl predict model.mlpackage --random"] = [o.tl, "predict", model, "--random"]
    times = {name: [] for name in commands}
    for _ in range(o.runs):  # one after the other, so that a slow moment hits them all
        for name, command in commands.items():
            times[name].append(milliseconds(command))
    base = statistics.median(times["/bin/true"])
    for name, values in times.items():
        print(f"{name:40} {statistics.median(values):7.2f} ms  {statistics.median(values) - base:+7.2f} against /bin/true")


main()
