#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Holds the order of the folders of src/: a folder may include itself and the folders to its left in `order`.
import pathlib
import re
import sys

order = ["base", "simd", "ir", "op", "pass", {"format", "lang", "backend"}, "plan", "explain", "model", {"cli", "capi"}]
rank = {f: i for i, group in enumerate(order) for f in (group if isinstance(group, set) else {group})}
strangers = {"format", "backend"}  # their sub-folders do not know one another
kernel_may = re.compile(r"(base|simd)/|ir/op_def\.h$|op/(formula|fold|codes_decode)\.inc$"
                        r"|op/(ops|kernel|kernels|operand|parameter|reduce|types|scalar|row|post|fuse|slots|home|contraction|view|blocked|packed)\.h$")
heavy = {"iostream", "ranges", "filesystem", "regex", "thread", "chrono"}  # not in headers: slow to parse


def family(path):
    """norm of op/norm.simd.cpp, conv of op/conv_pack.h: a kernel file may include its own family's headers."""
    return pathlib.Path(path).name.split(".")[0].split("_")[0]


def complaint(here, path, target):
    """Why the file `path` (below src) of folder `here` may not include `target`; None: it may."""
    there = target.split("/")[0]
    if there not in rank:
        return f"no folder of src/ is called '{there}'"
    if there != here and rank[there] >= rank[here]:
        return f"{here} may not include {there}"
    mine, theirs = path.split("/")[1], target.split("/")[1]
    if there == here and here in strangers and "/" in target.split("/", 1)[1]:
        if path.count("/") > 1 and mine != theirs:
            return f"{here}/{mine} may not include {here}/{theirs}"
    if path.endswith((".simd.cpp", ".cu")) and not kernel_may.match(target):
        if not (there == "op" and family(target) == family(path)):
            return f"a kernel file includes what `kernel_may` lists and its own family, not {target}"
    return None


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    bad = 0
    for file in sorted((root / "src").rglob("*")):
        if file.suffix not in {".h", ".cpp", ".inc", ".def", ".cu"} or file.name.endswith("_test.cpp"):
            continue
        path = file.relative_to(root / "src").as_posix()
        for number, text in enumerate(file.read_text().splitlines(), 1):
            own = re.match(r'\s*#\s*include "([^"]+)"', text)
            std = re.match(r"\s*#\s*include <(\w+)>", text)
            why = None
            if own and "/" not in own[1]:
                why = f'write "{path.rsplit("/", 1)[0]}/{own[1]}": paths are from src/'
            elif own:
                why = complaint(path.split("/")[0], path, own[1])
            elif std and std[1] in heavy and file.suffix == ".h":
                why = f"<{std[1]}> is too slow to parse for a header"
            if why:
                print(f"src/{path}:{number}: {why}")
                bad = 1
    return bad


sys.exit(main())
