#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a conformance suite of old networks into one of ML Programs: every .mlmodel is converted.

    python3 tool/convert_suite.py --tl build/tl SUITE OUT [--precision fp16] [--accept] [--engine]

SUITE has a folder a case, with case.json and the model; OUT gets the same with converted packages. From SUITE.tar.xz a
folder of its name is made in OUT, and the conformance runner takes it with --cache OUT. --accept also loads each
package with coremltools (9.0). What cannot be converted is printed with the reason, and counted.

--engine converts every Core ML model with --for ane, its flexible inputs fixed where all examples of the case have one
shape, and asks `tl explain` of the result: advice that such a conversion could have followed must not be left. A package
that is refused or could be better is taken away again, so that the runner counts its case as failed. Cases of fp32 whose
tolerance fp16 alone misses are left out.
"""
import argparse
import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile

import check_packages


def one_shape(source, facts, name):
    """The shape that all examples of a case give an input, if it is one."""
    import numpy as np
    shapes = set()
    for step in facts["steps"]:
        if step.get("in", "").endswith(".npz"):
            with np.load(os.path.join(source, step["in"])) as arrays:
                if name in arrays.files:
                    shapes.add(arrays[name].shape)
    return shapes.pop() if len(shapes) == 1 else None


def for_engine(source, facts, options):
    """The words after `tl convert IN OUT` and whether all shapes are fixed then."""
    shown = json.loads(check_packages.run(options.tl, "show", os.path.join(source, facts["model"]), "--json"))
    extra, fixed = ["--for", "ane"], True
    if "--split-embedding" in check_packages.run(options.tl, "explain", os.path.join(source, facts["model"]), "--json"):
        extra.append("--split-embedding")
    for feature in shown["inputs"]:
        if not feature.get("enumerated") and not feature.get("ranges"):
            continue
        shape = one_shape(source, facts, feature["name"])
        if shape is None or len(shape) != len(feature["shape"]):
            fixed = False
        else:
            extra += ["--fix-shape", f"{feature['name']}={','.join(map(str, shape))}"]
    return extra, fixed


def advice_left(package, fixed, options):
    """Advice on a converted package that a conversion with the same words could have followed."""
    report = json.loads(check_packages.run(options.tl, "explain", package, "--json"))
    ours = [a for a in report["advice"] if ("--for ane" in a["command"] or "--fix-shape" in a["command"]) and
            (fixed or "--fix-shape" not in a["command"])]
    return "; ".join(f"{a['title']}: {', '.join(a['operations'][:3])}" for a in ours)


def half_misses(case, target, options):
    """Whether a converted case misses what it expects, as fp16 alone, without any rewriting, does already."""
    spec = importlib.util.spec_from_file_location("run", os.path.join(options.runner, "run.py"))
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    with tempfile.TemporaryDirectory() as room:
        half = os.path.join(room, "tl")
        with open(half, "w") as script:
            script.write(f'#!/bin/sh\nexec {options.tl} "$@" --precision fp16\n')
        os.chmod(half, 0o755)
        how = argparse.Namespace(tl=options.tl, device="", timeout=300)
        if not runner.run_case(how, target, room):
            return False
        how.tl = half
        return bool(runner.run_case(how, os.path.join(options.suite, case), room))


def convert(job):
    try:
        return convert_case(*job)
    except Exception as error:
        return job[0], "refused", f"{type(error).__name__}: {str(error)[:250]}"


def convert_case(case, options):
    source, target = os.path.join(options.suite, case), os.path.join(options.out, case)
    with open(os.path.join(source, "case.json")) as file:
        facts = json.load(file)
    endings = (".mlmodel", ".mlpackage", ".mlmodelc") if options.engine else (".mlmodel",)
    if not str(facts.get("model", "")).endswith(endings):
        return case, "left out", ""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.mlmodel", "*.mlpackage", "*.mlmodelc"))
    extra = ["--precision", options.precision] if options.precision else []
    fixed = True
    if options.engine:
        extra, fixed = for_engine(source, facts, options)
    package = os.path.join(target, "model.mlpackage")
    done = subprocess.run([options.tl, "convert", os.path.join(source, facts["model"]), package, *extra],
                          capture_output=True, text=True)
    facts["model"] = "model.mlpackage"
    with open(os.path.join(target, "case.json"), "w") as file:
        json.dump(facts, file)
    if done.returncode:
        return case, "not converted", done.stderr.strip().split("\n")[-1]
    try:
        if options.accept:
            check_packages.load_program(package)
    except Exception as error:
        shutil.rmtree(package if options.engine else "", ignore_errors=True)
        return case, "refused", f"{type(error).__name__}: {str(error)[:250]}"
    if options.engine and facts["tolerance"].get("tol", 1) <= 0.001 and half_misses(case, target, options):
        shutil.rmtree(target)
        return case, "left out", "fp16 alone misses what it expects of fp32"
    left = advice_left(package, fixed, options) if options.engine else ""
    if left:
        shutil.rmtree(package)
    return case, "could be better" if left else "converted", left


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("out")
    parser.add_argument("--tl", default="build/tl")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--precision")
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th case only")
    parser.add_argument("-k", dest="word", default="")
    options = parser.parse_args()
    options.tl = os.path.abspath(options.tl)
    options.runner = os.path.dirname(os.path.abspath(options.suite))
    archive, room = options.suite, tempfile.TemporaryDirectory(prefix="tl_suites_")
    options.suite = next(check_packages.unpacked([archive], room.name))
    if archive.endswith(".tar.xz"):
        options.out = os.path.join(options.out, os.path.basename(options.suite))
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, ".stamp"), "w") as stamp:  # as the runner knows what it has unpacked
            stamp.write(f"{os.path.getsize(archive)} {os.path.getmtime(archive)}")
    cases = sorted(c for c in os.listdir(options.suite)
                   if options.word in c and os.path.exists(os.path.join(options.suite, c, "case.json")))
    cases = cases[::options.every]
    counts = {}
    with multiprocessing.Pool(options.jobs) as pool:
        for case, verdict, why in pool.imap_unordered(convert, [(c, options) for c in cases], chunksize=4):
            counts[verdict] = counts.get(verdict, 0) + 1
            if why:
                print(f"{verdict}: {case}: {why}", flush=True)
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
