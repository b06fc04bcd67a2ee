#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two types of one name in one namespace, defined in two files, are one type to the linker and two to the compiler:
it picks either. Lists such names of src/ and test/; anonymous namespaces do not count."""
import pathlib
import re
import sys

OPEN = re.compile(r"^\s*(?:inline\s+)?namespace(?:\s+([\w:]+))?\s*\{")
TYPE = re.compile(r"^(?:template\s*<[^;{]*>\s*)?(?:struct|class|enum class|enum|union)\s+(?:alignas\([^)]*\)\s*)?(\w+)"
                  r"(?:\s+final)?\s*(?::[^:;{][^;{]*)?\{")


def types_of(path):
    """(namespace, name) of the types that the file defines at namespace level, where they can be seen elsewhere."""
    spaces = []
    for line in path.read_text(errors="replace").splitlines():
        if found := OPEN.match(line):
            spaces.append(found[1] or "")
            if line.rstrip().endswith("}"):
                spaces.pop()
        elif re.match(r"^\}\s*//\s*(anonymous )?namespace", line) and spaces:
            spaces.pop()
        elif spaces and "" not in spaces and (found := TYPE.match(line)):
            yield "::".join(spaces), found[1]


def main():
    seen, wrong = {}, 0
    root = pathlib.Path(__file__).resolve().parent.parent
    for folder in ("src", "test", "bench"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".inc"):
                continue
            for key in set(types_of(path)):
                other = seen.setdefault(key, path)
                if other != path and "HWY_NAMESPACE" not in key[0]:
                    print(f"{path.relative_to(root)}: {key[0]}::{key[1]} is defined in {other.relative_to(root)} too")
                    wrong += 1
    return int(wrong > 0)


sys.exit(main())
