#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every transcript (.txt) below the folder named, in the repository's root, `tl` being the program under test,
and of pages (.md) the code blocks that follow a line `<!-- run -->`:

$ tl show examples/guide/model.gguf
what it prints, both streams; a line `...` stands for any lines, `...` in a line for any text
[exit 1]    (the status, where it is not 0)

Blank lines between commands and lines that begin with `#` do not count. --write fills in what the commands print.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent


def transcript_of(file):
    """A transcript as it is, or the blocks of a page that are to run."""
    text = file.read_text()
    if file.suffix != ".md":
        return text
    return "\n\n".join(re.findall(r"^<!-- run -->\n```[^\n]*\n(.*?)^```", text, re.S | re.M))


def steps(text):
    """(command, expected lines) of a transcript."""
    out = []
    for line in text.splitlines():
        if line.startswith("$ "):
            out.append((line[2:], []))
        elif out and not line.startswith("#"):
            out[-1][1].append(line.rstrip())
    for _, lines in out:
        while lines and not lines[-1]:
            lines.pop()
    return out


def pattern(lines):
    """A regular expression of the lines expected."""
    parts = ["(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n" for line in lines]
    return re.compile("".join(parts))


def execute(command, tl, scratch):
    env = {**os.environ, "PATH": f"{tl.parent}:{os.environ['PATH']}", "TMP": scratch, "NO_COLOR": "1"}
    try:
        r = subprocess.run(["bash", "-c", command], cwd=root, env=env, timeout=120, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return ["did not end within 120 s"]
    lines = [line.rstrip() for line in r.stdout.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines + ([f"[exit {r.returncode}]"] if r.returncode else [])


def run(file, tl):
    with tempfile.TemporaryDirectory() as scratch:
        for command, want in steps(transcript_of(file)):
            got = execute(command, tl, scratch)
            if not pattern(want).fullmatch("".join(line + "\n" for line in got)):
                return "\n  ".join([f"$ {command}", "prints", *got, "expected", *want])
    return None


def write(file, tl):
    with tempfile.TemporaryDirectory() as scratch:
        parts = [[f"$ {command}", *execute(command, tl, scratch)] for command, _ in steps(file.read_text())]
    file.write_text("\n\n".join("\n".join(p) for p in parts) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tl", required=True, type=pathlib.Path)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("-k", default="", help="only transcripts whose path contains this")
    p.add_argument("--write", action="store_true")
    p.add_argument("--sanitized", action="store_true")
    o = p.parse_args()
    found = [o.folder] if o.folder.is_file() else sorted(f for f in o.folder.rglob("*") if f.suffix in {".txt", ".md"})
    files, tl, failed = [f for f in found if o.k in str(f)], o.tl.resolve(), 0
    if o.write:
        for file in files:
            write(file, tl)
        return 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, why in zip(files, pool.map(lambda f: run(f, tl), files)):
            if why:
                print(f"{file}: {why}")
                failed += 1
    print(f"{len(files) - failed} passed, {failed} failed")
    return int(failed > 0)


sys.exit(main())
