#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Holds the limits on sizes: files, functions, parameters, lines. A `.def` is a table and exempt from all but lines.
import pathlib
import re
import subprocess
import sys

FILE, HEADER, FUNCTION, KERNEL, COLUMNS, PARAMETERS, KERNEL_PARAMETERS = 800, 300, 60, 100, 110, 5, 8
token = re.compile(
    r'(?P<raw>(?:u8|[uUL])?R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)")'
    r'|(?P<skip>//[^\n]*|/\*.*?\*/|(?m:^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*))'
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+')"""
    r"|(?P<word>[A-Za-z_]\w*|\.?\d(?:[\w.']|[eEpP][+-])*)|(?P<mark>::|->|\[\[|\]\]|[^\s\w])",
    re.S)


def tokens(text):
    """(line, token) without comments, directives and the insides of strings."""
    line, at = 1, 0
    for m in token.finditer(text):
        line += text.count("\n", at, m.start())
        at = m.start()
        if m["raw"] or m["text"]:
            yield line, '""'
        elif not m["skip"]:
            yield line, m[0]


def parameters(head, open_at):
    """How many parameters the list that begins at head[open_at] has."""
    depth, count, some = 0, 1, False
    for word in head[open_at:]:
        if word in "([{<":
            depth += 1
        elif word in ")]}>":
            depth -= 1
            if depth == 0:
                break
        elif depth >= 1:
            some = True
            count += word == "," and depth == 1
    return count if some else 0


def groups(head):
    """Where the outermost parentheses of a declaration open, templates and attributes left out."""
    found, depth, angle = [], 0, 0
    for i, word in enumerate(head):
        if word in "([{":
            if depth == 0 and angle == 0 and word == "(":
                found.append(i)
            depth += 1
        elif word in ")]}":
            depth -= 1
        elif word == "<" and depth == 0 and i and head[i - 1] != "operator":
            angle += 1
        elif word == ">" and depth == 0 and angle:
            angle -= 1
    return found


not_names = {"decltype", "alignas", "noexcept", "requires", "__attribute__", "if", "for", "while", "switch"}


def function_list(head):
    """Where the parameter list of the function that `head` declares opens; None: it declares no function."""
    if any(w in head for w in ("=",)) and "operator" not in head:
        outer, depth = [], 0
        for word in head:
            depth -= word in ")]}"
            if depth == 0:
                outer.append(word)
            depth += word in "([{"
        if "=" in outer:
            return None
    for at in groups(head):
        if at and head[at - 1] not in not_names and (re.match(r"\w", head[at - 1]) or "operator" in head[:at]):
            if head[at - 1] == "operator":  # operator()(…)
                continue
            return at
    return None


def lambda_list(head):
    """As above for a lambda at the end of `head`, which is where an initializer holds one."""
    for at in range(len(head) - 1, 0, -1):
        if head[at] == "(" and head[at - 1] in ("]", "]]"):
            return at
    return None


def kind(head, outside):
    """What a brace opens: 'scope' (namespace, type), 'function', or 'other' (block, initializer)."""
    words = [w for w in head if w not in ("[[", "]]")]
    if "namespace" in words or (words[:1] == ["extern"] and "(" not in words):
        return "scope"
    if not outside:
        return "other"
    types = [i for i, w in enumerate(words) if w in ("class", "struct", "union", "enum")]
    if types and ("(" not in words[types[-1]:] or function_list(words) is None):
        return "scope"
    return "function" if function_list(words) is not None else "other"


def initializes(head):
    """Whether the brace after `head` is of a constructor's initializer list: `: a_{…}`."""
    depth = 0
    for i, word in enumerate(head):
        depth += (word in "([{") - (word in ")]}")
        if depth == 0 and word == ":" and i and head[i - 1] in (")", "noexcept"):
            return bool(re.match(r"\w", head[-1])) or head[-1] == ">"
    return False


def functions(text):
    """(first line, last line, parameters) of every function and of every lambda outside one."""
    stack, head, lines, parens = [], [], [], 0
    for line, word in tokens(text):
        if word == "{":
            outside = all(k == "scope" for k, *_ in stack)
            inside = any(k == "function" for k, *_ in stack)
            if parens or initializes(head):
                what, keep = "other", True
            else:
                what, keep = kind(head, outside), False
            at = function_list(head) if what == "function" else None
            if what == "other" and not inside and lambda_list(head) is not None and head[-1] != ",":
                what, at, keep = "function", lambda_list(head), bool(parens)
            stack.append((what, lines[0] if lines and not keep else line, at is not None and parameters(head, at),
                          (list(head), list(lines), parens) if keep else None))
            head, lines, parens = [], [], 0
        elif word == "}":
            if not stack:
                continue
            what, first, count, kept = stack.pop()
            if what == "function":
                yield first, line, count or 0
            head, lines, parens = kept if kept else ([], [], 0)
            if kept:
                head.append("}") if head and head[-1] == "{" else head.extend(["{", "}"])
                lines.extend([line, line])
        elif word == ";" and not parens:
            head, lines = [], []
        elif word == ":" and head and head[-1] in ("public", "private", "protected"):
            head, lines = [], []
        else:
            parens += (word == "(") - (word == ")")
            head.append(word)
            lines.append(line)


def check(path, text):
    name = path.as_posix()
    lines = text.splitlines()
    if path.suffix in {".def", ".py"}:  # tables are as wide as their rows
        return
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS and "http" not in line:
            yield number, f"{len(line)} columns, at most {COLUMNS}"
    limit = HEADER if path.suffix == ".h" else FILE
    if len(lines) > limit:
        yield 1, f"{len(lines)} lines, at most {limit}"
    kernel = ".simd." in name or path.suffix in {".inc", ".cu"} or name.startswith("bench/")
    most = KERNEL if kernel or name.endswith("lang/interpret.cpp") else FUNCTION
    parameters = KERNEL_PARAMETERS if kernel else PARAMETERS  # pointers, strides and counts that stay in registers
    for first, last, count in functions(text):
        if last - first + 1 > most:
            yield first, f"a function of {last - first + 1} lines, at most {most}"
        if count > parameters:
            yield first, f"a function of {count} parameters, at most {parameters}; then a struct"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    bad = 0
    for name in sorted(set(listed.stdout.splitlines())):
        path = pathlib.Path(name)
        if path.suffix not in {".h", ".cpp", ".inc", ".def", ".cu", ".py"} or not (root / path).is_file():
            continue
        for number, why in check(path, (root / path).read_text()):
            print(f"{name}:{number}: {why}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
