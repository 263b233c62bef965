#!/usr/bin/env python3
"""Runs a benchmark program and checks the JSON it writes: check.py FILE COMMAND...

Says nothing about speed: every case has a positive time, each number is finite, machine and library are named.
"""

import json
import math
import pathlib
import subprocess
import sys


def numbers(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from numbers(item, f"{path}[{i}]")
    elif isinstance(value, (int, float)) or value is None:  # the writer makes null of what is not finite
        yield path, value


file, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
file.unlink(missing_ok=True)
subprocess.run(command, check=True)
report = json.loads(file.read_text())
problems = [f"{path} is {value}" for path, value in numbers(report) if value is None or not math.isfinite(value)]
problems += [
    f"{key} is missing" for key in ("benchmark", "library", "threads", "machine", "results") if key not in report
]
results = report.get("results", [])
if not results:
    problems.append("there are no results")
for result in results:
    if not (result["ms"] > 0 and result["fastest_ms"] > 0 and result["samples"] > 0 and result["peak_mib"] > 0):
        problems.append(f"{result['case']} was not measured: {result}")
print(*problems, f"{len(results)} cases", sep="\n")
sys.exit(bool(problems))
