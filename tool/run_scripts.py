#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every .tl file below the folders named and compares with what its comments expect.

// expect: TEXT         the next line of standard output is TEXT; all lines are accounted for
// expect error: TEXT   standard error contains TEXT, and the exit status is 1
// args: A B            arguments of the script
// command: test        `tl test FILE` in place of `tl run FILE`
// folder: PATH         run there, below the repository's root; the default is the root
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent


def notes(source, word):
    return [m.rstrip() for m in re.findall(rf"//\s*{word}:[ \t]?(.*)$", source, re.M)]


def first_difference(got, want):
    for number, (g, w) in enumerate(zip(got, want), 1):
        if g != w:
            return f"line {number} of the output is '{g}', expected '{w}'"
    if len(got) > len(want):
        return f"line {len(want) + 1} of the output, '{got[len(want)]}', is not expected"
    return f"the output ends before '{want[len(got)]}'" if len(got) < len(want) else None


def judge(result, source):
    """Why a finished script is not as its comments say; None: it is."""
    errors = notes(source, "expect error")
    out = [line.rstrip() for line in result.stdout.splitlines()]
    why = first_difference(out, notes(source, "expect"))
    for text in errors:
        if text not in result.stderr:
            why = why or f"expected the error '{text}', got '{result.stderr.strip()}'"
    if result.returncode != (1 if errors else 0):
        why = f"exit status {result.returncode}; {result.stderr.strip() or why}"
    return why


def run(script, tl, limit):
    source = script.read_text()
    args = [a for line in notes(source, "args") for a in shlex.split(line)]
    command = [tl, (notes(source, "command") or ["run"])[0], str(script), *args]
    try:
        return judge(subprocess.run(command, cwd=root / (notes(source, "folder") or ["."])[0], capture_output=True,
                                    text=True, errors="replace", timeout=limit, stdin=subprocess.DEVNULL), source)
    except subprocess.TimeoutExpired:
        return f"did not end within {limit} s"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tl", required=True)
    p.add_argument("folders", nargs="+", type=pathlib.Path)
    p.add_argument("-k", default="", help="only scripts whose path contains this")
    p.add_argument("--sanitized", action="store_true", help="a slow build: allow more time")
    o = p.parse_args()
    scripts = sorted(s.resolve() for f in o.folders for s in ([f] if f.is_file() else f.rglob("*.tl")))
    scripts = [s for s in scripts if o.k in str(s.relative_to(root))]
    tl, limit = str(pathlib.Path(o.tl).resolve()), 120 if o.sanitized else 30
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = 0
        for script, why in zip(scripts, pool.map(lambda s: run(s, tl, limit), scripts)):
            if why:
                print(f"{script.relative_to(root)}: {why}")
                failed += 1
    print(f"{len(scripts) - failed} passed, {failed} failed")
    return int(failed > 0)


sys.exit(main())
