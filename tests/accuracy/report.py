#!/usr/bin/env python3
"""Writes the tables that tests/accuracy measures into docs/accuracy.md, between its begin and end lines.

    python3 tests/accuracy/report.py build/release/tests/tests_accuracy
"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs/accuracy.md"
HEAD = """| function | y, float32 | y' | y'' | y, float64 | y' | y'' |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def table(program, test):
    out = subprocess.run([program, test], check=True, capture_output=True, text=True).stdout
    return "".join(line + "\n" for line in out.splitlines() if line.startswith("| "))


def replace(page, name, text):
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + text + end, page, flags=re.S)


if __name__ == "__main__":
    rows = table(sys.argv[1], "the table of errors")
    PAGE.write_text(replace(PAGE.read_text(), "elementwise", HEAD + rows))
