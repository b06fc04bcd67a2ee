#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Holds what is true of every text file: licence line, no stray whitespace, no path of somebody's machine; and that
# each code block that says `<!-- from: FILE#MARKER -->` is what stands between `begin: MARKER` and `end: MARKER` there.
import pathlib
import re
import subprocess
import sys
import textwrap

root = pathlib.Path(__file__).resolve().parent.parent
spdx = "SPDX-License-" + "Identifier: Apache-2.0"
machine = re.compile("/(?:work|home|root|Users|mnt|workspace)" + r"/[\w.]")
code = {".h", ".cpp", ".inc", ".def", ".cu", ".py", ".tl"}
text = code | {".md", ".txt", ".cmake", ".json", ".sh", ""}


def cut(name, marker):
    """What stands between the two marker comments of a file."""
    lines, out, on = (root / name).read_text().splitlines(), [], False
    for line in lines:
        if re.search(rf"\bend: {re.escape(marker)}\s*$", line):
            on = False
        if on:
            out.append(line)
        if re.search(rf"\bbegin: {re.escape(marker)}\s*$", line):
            on = True
    return textwrap.dedent("\n".join(out)).strip("\n")


def blocks(body):
    """(line, file, marker, block) of every code block that says where it is from."""
    for m in re.finditer(r"<!-- from: (\S+?)(?:#(\S+))? -->\n```[^\n]*\n(.*?)\n```", body, re.S):
        yield body.count("\n", 0, m.start()) + 1, m[1], m[2], m[3]


def check_blocks(body):
    for number, name, marker, block in blocks(body):
        if not (root / name).is_file():
            yield number, f"there is no {name}"
        elif (cut(name, marker) if marker else (root / name).read_text().strip("\n")) != block.strip("\n"):
            yield number, f"the block is not what {name}{'#' + marker if marker else ''} says"


def check_names(body):
    """Files that a document names exist, below the root or src/."""
    for m in re.finditer(r"`([\w.]+(?:/[\w.]+)+\.(?:h|cpp|def|inc|py|md|tl))`", body):
        if not (root / m[1]).exists() and not (root / "src" / m[1]).exists():
            yield body.count("\n", 0, m.start()) + 1, f"there is no {m[1]}"


def check(path, body):
    lines = body.splitlines()
    if path.suffix in code and not path.as_posix().startswith(("test/script", "test/error", "examples/")):
        if not any(spdx in line for line in lines[:2]):
            yield 1, f"begins without '{spdx}'"
    for number, line in enumerate(lines, 1):
        if path.suffix != ".tl" and line != line.rstrip():
            yield number, "ends in white space"
        if machine.search(line):
            yield number, "names a path of one machine"
    if path.suffix == ".md":
        yield from check_blocks(body)
        yield from check_names(body)
    if path.suffix in {".h", ".cpp"} and re.search(r"\bTODO\b(?!\(#\d+\))", body):
        yield 1, "a TODO names an issue: TODO(#12)"


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    bad = 0
    for name in sorted(set(listed.stdout.splitlines())):
        path = pathlib.Path(name)
        skip = name.startswith(("test/format/", "test/fuzz/corpus", "examples/guide/model", "LICENSE"))
        if path.suffix not in text or skip or not (root / path).is_file():
            continue
        try:
            body = (root / path).read_text()
        except UnicodeDecodeError:
            continue
        for number, why in check(path, body):
            print(f"{name}:{number}: {why}")
            bad = 1
    return bad


sys.exit(main())
