#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A table of models, a line each: start, latency, peak memory, and how far the results are from float64.

    bench/networks.py MODEL… [--tl build/tl] [--isa avx2 …] [--seconds S] [--no-error]

load      ms to open the model and plan it, without and with the plan cache
latency   ms of a prediction: median and 90th percentile; inputs as `tl bench` makes them
peak      MB of memory
error     norm of the difference to float64 (`--precision reference`) over the norm of the result; the largest of
          all numeric outputs, and of --seeds random inputs the root of the mean square: of one input it says little.
          The float64 references are slow: minutes for a large network
of plain  that error over the one of plain fp32 arithmetic (`--isa base`), the values between operations stored
          alike: the rule is at most 1.5
With --isa, which may be repeated, the error is given for that instruction set too. Needs numpy."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np


def bench(arguments, model, *options):
    command = [arguments.tl, "bench", model, "--json", "--seconds", str(arguments.seconds), *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def predict(arguments, model, folder, seed, *options):
    out = pathlib.Path(folder) / "out.npz"
    command = [arguments.tl, "predict", model, "--random", "--seed", str(seed), "--quiet", "--no-cache"]
    subprocess.run([*command, "--outputs", out, *options], check=True, stdout=subprocess.DEVNULL)
    with np.load(out) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    return {name: a.astype(np.float64) for name, a in values.items() if a.dtype.kind == "f"}


def error(result, reference):
    norms = [np.linalg.norm(result[k] - v) / (np.linalg.norm(v) or 1) for k, v in reference.items() if v.size]
    return max(norms, default=float("nan"))


def errors(arguments, model):
    """Of this machine's kernels, of the base ones, and of each --isa."""
    sets = [[], ["--isa", "base"]] + [["--isa", isa] for isa in arguments.isa]
    squares = np.zeros(len(sets))
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, arguments.seeds + 1):
            reference = predict(arguments, model, folder, seed, "--precision", "reference")
            for k, options in enumerate(sets):
                squares[k] += error(predict(arguments, model, folder, seed, *options), reference) ** 2
    return np.sqrt(squares / arguments.seeds)


def ratio(part, whole):
    return f"{part / whole:.2f}" if whole > 0 else "-"


def line(arguments, model):
    cold, warm = bench(arguments, model), bench(arguments, model, "--cache")
    cells = [f"{cold['load_ms']:.1f} {warm['load_ms']:.1f}", f"{cold['median_ms']:.2f} {cold['p90_ms']:.2f}",
             f"{cold['peak_mb']:.0f}"]
    if not arguments.no_error:
        own, plain, *others = errors(arguments, model)
        cells += [f"{own:.2e}" if own == own else "-", ratio(own, plain), *(ratio(e, plain) for e in others)]
    return cells, f"{cold['isa']}, {cold['threads']} threads, precision {cold['precision']}"


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tl", default="build/tl")
    parser.add_argument("--isa", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-error", action="store_true")
    arguments = parser.parse_args()
    heads = ["load", "latency", "peak"]
    heads += [] if arguments.no_error else ["error", "of plain", *arguments.isa]
    print(f"{'model':28}" + "".join(f"{h:>16}" for h in heads))
    for model in arguments.models:
        path = pathlib.Path(model).resolve()
        name = path.parent.name if path.stem == "model" else path.stem
        cells, machine = line(arguments, model)
        print(f"{name[:27]:28}" + "".join(f"{c:>16}" for c in cells), flush=True)
    print(machine)


if __name__ == "__main__":
    sys.exit(main())
