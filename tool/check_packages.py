#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the writer to coremltools: converts every model of some folders and compares what was written.

    python3 tool/check_packages.py --tl build/tl FOLDER…      (needs coremltools 9.0 and numpy; see --help)

For each .mlpackage and .mlmodelc below the folders (or in the .tar.xz of a suite): `tl convert` writes it, coremltools' MIL reader must accept it
(unless it refuses the original), operations, constants, interface and metadata must be those of the original, and
with --predict both must give the same bytes on random inputs. --old also takes .mlmodel files (old networks), with
--precision all are converted to that precision; then only acceptance is checked.
"""
import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings

warnings.filterwarnings("ignore")


def unpacked(suites, into):
    """Folders as they are; archives unpacked."""
    for suite in suites:
        if suite.endswith(".tar.xz"):
            with tarfile.open(suite) as archive:
                archive.extractall(into)
            suite = os.path.join(into, os.path.basename(suite)[:-len(".tar.xz")])
        yield suite


def models_below(folders, endings):
    for folder in folders:
        if folder.rstrip("/").endswith(endings):
            yield folder
            continue
        for path, inner, files in os.walk(folder):
            found = [d for d in inner if d.endswith(endings)]
            inner[:] = sorted(d for d in inner if not d.endswith((".mlpackage", ".mlmodelc")))
            yield from (os.path.join(path, name) for name in sorted(found))
            yield from (os.path.join(path, name) for name in sorted(files) if name.endswith(endings))


def run(*words, timeout=300):
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:2])}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def load_program(package):
    """The specification and the program as coremltools reads it."""
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto import load as milproto

    data = os.path.join(package, "Data", "com.apple.CoreML")
    spec = ct.utils.load_spec(package)
    program = milproto.load(spec, specification_version=spec.specificationVersion,
                            file_weights_dir=os.path.join(data, "weights"))
    return spec, program


def value_key(value):
    import numpy as np
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return tuple(value_key(v) for v in value)
    if isinstance(value, str):
        return value
    if hasattr(value, "ls"):  # a list of labels
        return tuple(value_key(v) for v in value.ls)
    array = np.asarray(value)
    return (str(array.dtype), array.shape, array.tobytes() if array.dtype != object else repr(value))


def flatten(block, seen, into):
    """Operations in order, inputs as constants' contents or as the number of the value that is read."""
    for var in getattr(block, "inputs", None) or []:
        if not isinstance(var, str):
            seen.setdefault(var, len(seen))
    for op in block.operations:
        if op.op_type == "const":
            continue
        row = [op.op_type]
        for name, operand in sorted(op.inputs.items()):
            if name.startswith("_"):
                continue
            for var in operand if isinstance(operand, (list, tuple)) else [operand]:
                if var is None:
                    continue
                known = var.val is not None and name not in ("_existing_blocks",)
                row.append((name, value_key(var.val) if known else seen.get(var, "outside")))
        into.append(row)
        for inner in op.blocks:
            into.append(["{"])
            flatten(inner, seen, into)
            into.append(["}"])
        for var in op.outputs:
            seen[var] = len(seen)
    into.append(["gives", [seen.get(v, "constant") for v in block.outputs]])


def close(a, b):
    """Equal, or the same number in another type, or floats that differ in how a default was rounded."""
    import numpy as np
    if a == b:
        return True
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) == 2 and a[0] == b[0]:
        return close(a[1], b[1])
    arrays = isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) == 3
    if arrays and "float" in str(a[0]) and a[1] == b[1] and len(a[2]) <= 8 >= len(b[2]):
        x, y = (np.frombuffer(t[2], t[0]).astype("float64") for t in (a, b))
        return bool(np.allclose(x, y, rtol=2e-3, atol=1e-7, equal_nan=True)) if "float" in b[0] else False
    if arrays and a[1] == b[1] and isinstance(a[2], bytes) and isinstance(b[2], bytes):
        return np.array_equal(np.frombuffer(a[2], a[0]), np.frombuffer(b[2], b[0]))  # k=2 of 16 or 32 bits
    return False


def without_false(row, other):
    """Without switches that are off and that the other does not mention."""
    names = {x[0] for x in other if isinstance(x, tuple)}
    off = ("bool", (), b"\0")
    return [x for x in row if not (isinstance(x, tuple) and x[0] not in names and x[1] == off)]


def differences(before, after):
    for name in before.functions:
        lists = []
        for program in (before, after):
            function, rows, seen = program.functions[name], [], {}
            for var in function.inputs.values():
                seen[var] = len(seen)
            flatten(function, seen, rows)
            lists.append(rows)
        if [r[0] for r in lists[0]] != [r[0] for r in lists[1]]:
            return f"operations differ: {[r[0] for r in lists[0]][:8]} and {[r[0] for r in lists[1]][:8]}"
        for a, b in zip(*lists):
            a, b = without_false(a, b), without_false(b, a)
            if len(a) != len(b) or not all(close(x, y) for x, y in zip(a, b)):
                wrong = [(x, y) for x, y in zip(a, b) if not close(x, y)]
                return f"{a[0]} differs: {str(wrong)[:300]}"
    return ""


def check_interface(tl, before, after):
    rows = [json.loads(run(tl, "show", p, "--json")) for p in (before, after)]
    for key in ("inputs", "outputs", "states", "predicted_feature", "predicted_probabilities", "default_function",
                "author", "license", "version", "description", "user", "quantization"):
        if rows[0].get(key) != rows[1].get(key):
            return f"{key} differs: {str(rows[0].get(key))[:120]} and {str(rows[1].get(key))[:120]}"
    return ""


def check_results(tl, before, after, folder):
    try:
        run(tl, "predict", before, "--random", "--outputs", os.path.join(folder, "a.npz"))
    except RuntimeError:  # random values do not suit it: shapes, indices
        return ""
    run(tl, "predict", after, "--random", "--outputs", os.path.join(folder, "b.npz"))
    import numpy as np
    a, b = (np.load(os.path.join(folder, n), allow_pickle=False) for n in ("a.npz", "b.npz"))
    if sorted(a.files) != sorted(b.files):
        return "outputs have other names"
    wrong = [n for n in a.files if a[n].tobytes() != b[n].tobytes()]
    return f"results differ: {wrong}" if wrong else ""


def check(job):
    path, options = job
    folder = tempfile.mkdtemp(prefix="tl_check_")
    try:
        shown = json.loads(run(options.tl, "show", path, "--json"))
        if not all(f["runs"] for f in shown["functions"]) or not shown["functions"]:
            return path, "skipped", "tl does not run it"
        written = os.path.join(folder, "written.mlpackage")
        extra = ["--precision", options.precision] if options.precision else []
        run(options.tl, "convert", path, written, *extra)
        original, refused = None, ""
        if path.rstrip("/").endswith(".mlpackage") and not options.precision:
            try:
                original = load_program(path)
            except Exception as error:  # what coremltools refuses need not be accepted again
                refused = str(error)[:200]
        try:
            spec, program = load_program(written)
        except Exception:
            if refused:
                return path, "exempt", refused
            raise
        if original and original[0].specificationVersion == spec.specificationVersion:
            if wrong := differences(original[1], program):
                return path, "failed", wrong
        if not options.precision and (wrong := check_interface(options.tl, path, written)):
            return path, "failed", wrong
        if options.predict and (wrong := check_results(options.tl, path, written, folder)):
            return path, "failed", wrong
        return path, "passed", ""
    except Exception as error:
        return path, "failed", f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--tl", default="build/tl")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--predict", action="store_true", help="compare results too")
    parser.add_argument("--old", action="store_true", help="also .mlmodel files")
    parser.add_argument("--precision", help="convert to this precision")
    parser.add_argument("-k", dest="word", default="", help="only paths that contain this")
    options = parser.parse_args()
    endings = (".mlpackage", ".mlmodelc") + ((".mlmodel",) if options.old else ())
    room = tempfile.TemporaryDirectory(prefix="tl_suites_")
    folders = list(unpacked(options.folders, room.name))
    jobs = [(path, options) for path in models_below(folders, endings) if options.word in path]
    counts = {"passed": 0, "failed": 0}
    with multiprocessing.Pool(options.jobs) as pool:
        for path, verdict, why in pool.imap_unordered(check, jobs, chunksize=4):
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict != "passed":
                print(f"{verdict}: {path}: {why}", flush=True)
    room.cleanup()
    print(", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
