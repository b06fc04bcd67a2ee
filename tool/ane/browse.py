#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens the page of `tl explain --html` in headless Chromium, light and dark, also with 5,000 operations: it must
say nothing on its console and draw something. --keep FOLDER leaves the pictures there to look at."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent.parent
devices = ["Neural Engine", "GPU", "CPU"]


def enlarged(page, count):
    """The page with `count` operations, made by repeating those it has."""
    found = re.search(r'(<script id="data" type="application/json">)(.*?)(</script>)', page, re.S)
    data = json.loads(found[2])
    some, data["operations"] = data["operations"], []
    for i in range(count):
        op = dict(some[i % len(some)])
        op["name"], op["inputs"] = f"{op['name']}_{i}", [j for j in (i - 1, i - 7) if j >= 0 and i % 19]
        op["device"], op["kind"] = devices[i // 40 % 3], "conv"
        data["operations"].append(op)
    return page[:found.start(2)] + json.dumps(data).replace("<", "\\u003c") + page[found.end(2):]


def look(page, picture, dark):
    """What the browser says of the page."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1200,2400",
               f"--screenshot={picture}", page.as_uri()]
    r = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    console = [line for line in r.stderr.splitlines() if "CONSOLE" in line]
    if console:
        return console[0]
    return "" if picture.exists() and picture.stat().st_size > 20000 else "no picture: " + r.stderr[-300:]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tl", required=True, type=pathlib.Path)
    p.add_argument("--keep", type=pathlib.Path)
    o = p.parse_args()
    good = bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        small = pathlib.Path(scratch, "small.html")
        subprocess.run([o.tl, "explain", root / "examples/digits/digits.mlpackage", "-q", "--html", small], check=True)
        large = pathlib.Path(scratch, "large.html")
        large.write_text(enlarged(small.read_text(), 5000))
        for page in (small, large):
            for dark in (False, True):
                picture = pathlib.Path(scratch, f"{page.stem}_{'dark' if dark else 'light'}.png")
                why = look(page, picture, dark)
                print(f"{picture.stem}: {why or 'good'}")
                good, bad = good + (not why), bad + bool(why)
                if o.keep and picture.exists():
                    shutil.copy(picture, o.keep)
    print(f"{good} passed, {bad} failed")
    return int(bad > 0)


sys.exit(main())
