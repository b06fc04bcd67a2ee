#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Compiles every header of src/ alone, those again that changed (or what they include) since the last time.
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
src = root / "src"
stamp = root / "build" / "check" / "headers.json"
flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-march=x86-64-v2", "-x", "c++", "-Isrc", "-"]
if os.uname().machine != "x86_64":
    flags.remove("-march=x86-64-v2")


def closure(path, seen):
    """Adds to `seen` the text of a header and of all of ours that it includes."""
    if path in seen or not (src / path).is_file():
        return
    seen[path] = (src / path).read_text()
    for other in re.findall(r'^\s*#\s*include "([^"]+)"', seen[path], re.M):
        closure(other, seen)


def key(path, compiler):
    seen = {}
    closure(path, seen)
    return hashlib.sha256(repr((compiler, flags, sorted(seen.items()))).encode()).hexdigest()


def compiles(path, compiler):
    return subprocess.run([compiler, *flags], cwd=root, input=f'#include "{path}"\n', capture_output=True, text=True)


def main():
    compiler = sys.argv[1] if len(sys.argv) > 1 else "clang++-14"
    done = json.loads(stamp.read_text()) if stamp.exists() else {}
    keys = {h: key(h, compiler) for h in sorted(p.relative_to(src).as_posix() for p in src.rglob("*.h"))}
    todo = [h for h in keys if done.get(h) != keys[h]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda h: compiles(h, compiler), todo))
    good = {h: keys[h] for h in keys if h not in todo}
    for header, result in zip(todo, results):
        if result.returncode == 0:
            good[header] = keys[header]
        else:
            errors = [line for line in result.stderr.splitlines() if "error:" in line] or [result.stderr.strip()]
            print(f"src/{header}: does not compile alone: {errors[0]}")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(good))
    return int(len(good) != len(keys))


sys.exit(main())
