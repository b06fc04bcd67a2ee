#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a conformance suite of old networks into one of ML Programs: every .mlmodel is converted.

    python3 tool/convert_suite.py --tl build/tl SUITE OUT [--precision fp16] [--accept]

SUITE has a folder a case, with case.json and the model; OUT gets the same with converted packages. From SUITE.tar.xz a
folder of its name is made in OUT, and the conformance runner takes it with --cache OUT. --accept also loads each package with coremltools (9.0). What cannot
be converted is printed with the reason, and counted.
"""
import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile

import check_packages


def convert(job):
    case, options = job
    source, target = os.path.join(options.suite, case), os.path.join(options.out, case)
    with open(os.path.join(source, "case.json")) as file:
        facts = json.load(file)
    if not str(facts.get("model", "")).endswith(".mlmodel"):
        return case, "left out", ""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.mlmodel"))
    extra = ["--precision", options.precision] if options.precision else []
    package = os.path.join(target, "model.mlpackage")
    done = subprocess.run([options.tl, "convert", os.path.join(source, facts["model"]), package, *extra],
                          capture_output=True, text=True)
    facts["model"] = "model.mlpackage"
    with open(os.path.join(target, "case.json"), "w") as file:
        json.dump(facts, file)
    if done.returncode:
        return case, "not converted", done.stderr.strip().split("\n")[-1]
    if options.accept:
        try:
            check_packages.load_program(package)
        except Exception as error:
            return case, "refused", f"{type(error).__name__}: {str(error)[:250]}"
    return case, "converted", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("out")
    parser.add_argument("--tl", default="build/tl")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--precision")
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("-k", dest="word", default="")
    options = parser.parse_args()
    options.tl = os.path.abspath(options.tl)
    archive, room = options.suite, tempfile.TemporaryDirectory(prefix="tl_suites_")
    options.suite = next(check_packages.unpacked([archive], room.name))
    if archive.endswith(".tar.xz"):
        options.out = os.path.join(options.out, os.path.basename(options.suite))
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, ".stamp"), "w") as stamp:  # as the runner knows what it has unpacked
            stamp.write(f"{os.path.getsize(archive)} {os.path.getmtime(archive)}")
    cases = sorted(c for c in os.listdir(options.suite)
                   if options.word in c and os.path.exists(os.path.join(options.suite, c, "case.json")))
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
