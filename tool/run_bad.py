#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows every malformed file below the folder named (BAD/FORMAT/FILE, the message in FILE.expect), runs those of
BAD/program, and judges the answer:
exit status 1, nothing on standard output, one line on standard error that begins `tl: ` and contains the message,
within 5 seconds and 2 GiB of address space."""
import argparse
import concurrent.futures
import os
import pathlib
import resource
import subprocess
import sys


def cases(folder):
    """(file, message) of every case; FILE may be a folder. A file without a message is a mistake, and says so."""
    for group in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []:
        for file in sorted(group.iterdir()):
            expect = file.with_name(file.name + ".expect")
            if file.suffix != ".expect":
                yield file, expect.read_text().strip() if expect.exists() else None


def judge(result, message):
    lines = result.stderr.splitlines()
    if result.returncode != 1:
        return f"exit status {result.returncode}: {result.stderr.strip()[:300]}"
    if len(lines) != 1 or not lines[0].startswith("tl: "):
        return f"not one line that begins with 'tl: ': {result.stderr.strip()[:300]}"
    if result.stdout:
        return f"writes to standard output: {result.stdout[:80]!r}"
    return None if message in lines[0] else f"says '{lines[0]}', expected '{message}'"


def command(file):
    return ["predict", str(file), "--random"] if file.parent.name == "program" else ["show", str(file)]


def run(file, message, o):
    if message is None:
        return f"there is no {file.name}.expect"
    bounds = None if o.sanitized else lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    limit = 30 if o.sanitized else 5
    try:
        return judge(subprocess.run([o.tl, *command(file)], capture_output=True, text=True, errors="replace",
                                    timeout=limit, preexec_fn=bounds, stdin=subprocess.DEVNULL), message)
    except subprocess.TimeoutExpired:
        return f"did not end within {limit} s"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tl", required=True)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--sanitized", action="store_true", help="no bound on memory, more time")
    o = p.parse_args()
    every, failed = list(cases(o.folder)), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (file, _), why in zip(every, pool.map(lambda c: run(*c, o), every)):
            if why:
                print(f"{file.relative_to(o.folder)}: {why}")
                failed += 1
    print(f"{len(every) - failed} passed, {failed} failed")
    return int(failed > 0)


sys.exit(main())
