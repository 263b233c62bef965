#!/usr/bin/env python3
"""Coverage of the library by its tests: lines and branches for each folder, and every throw that no test takes.

    cmake --preset coverage && cmake --build build/coverage && tests/coverage/report.py

Runs the test programs of the given build folder (--no-run: uses what an earlier run counted). Exits with 1 if a throw
was not taken, or if less than --lines percent of the lines were run.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("core", "autograd", "layers", "backends")


def run_tests(build):
    for counts in build.rglob("*.gcda"):
        counts.unlink()
    threads = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="2")
    for program in sorted(build.glob("tests/tests_*")):
        if program.is_file() and os.access(program, os.X_OK):
            if subprocess.run([str(program)], env=threads, stdout=subprocess.DEVNULL).returncode != 0:
                sys.exit(f"{program.name} failed")


def read_counts(build):
    """File -> {line: executions}, and file -> [branches taken, branches]."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    branches = collections.defaultdict(dict)
    for counts in build.rglob("*.gcda"):
        if "/tests/" in str(counts):
            continue
        output = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", str(counts)], cwd=build,
                                capture_output=True, text=True, check=True).stdout
        for document in output.splitlines():
            for file in json.loads(document)["files"]:
                path = os.path.normpath(os.path.join(build, file["file"]))
                name = os.path.relpath(os.path.realpath(path), ROOT)
                if not name.startswith(FOLDERS):
                    continue
                for line in file["lines"]:
                    lines[name][line["line_number"]] += line["count"]
                    # What only unwinding takes is not a branch that somebody wrote.
                    written = [b["count"] for b in line.get("branches", []) if not b["throw"]]
                    seen = branches[name].setdefault(line["line_number"], [0] * len(written))
                    if len(seen) == len(written):
                        branches[name][line["line_number"]] = [a + b for a, b in zip(seen, written)]
    return lines, branches


def throws_not_taken(lines):
    places = []
    for name in sorted(lines):
        path = ROOT / name
        if not path.exists():
            continue
        source = path.read_text().split("\n")
        for number, text in enumerate(source, 1):
            code = text.split("//")[0]
            if "throw " not in code or '"' in code.split("throw ")[0]:
                continue
            last = number
            while last < len(source) and not source[last - 1].rstrip().endswith(";"):
                last += 1
            counted = [lines[name][i] for i in range(number, last + 1) if i in lines[name]]
            if counted and max(counted) == 0:
                places.append(f"{name}:{number}: {text.strip()}")
    return places


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "coverage"))
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--lines", type=float, default=0, help="least percentage of lines")
    args = parser.parse_args()
    build = pathlib.Path(args.build).resolve()
    if not args.no_run:
        run_tests(build)
    lines, branches = read_counts(build)

    print(f"{'':14}{'lines':>8}{'run':>9}{'branches':>11}{'taken':>9}")
    total = [0, 0, 0, 0]
    for folder in FOLDERS:
        names = [n for n in lines if n.startswith(folder + "/")]
        ran = [count for n in names for count in lines[n].values()]
        taken = [count for n in names for counts in branches[n].values() for count in counts]
        row = [len(ran), sum(c > 0 for c in ran), len(taken), sum(c > 0 for c in taken)]
        total = [a + b for a, b in zip(total, row)]
        print(f"{folder:14}{row[0]:8}{100 * row[1] / max(row[0], 1):8.1f}%{row[2]:11}{100 * row[3] / max(row[2], 1):8.1f}%")
    percent = 100 * total[1] / max(total[0], 1)
    print(f"{'all':14}{total[0]:8}{percent:8.1f}%{total[2]:11}{100 * total[3] / max(total[2], 1):8.1f}%")

    places = throws_not_taken(lines)
    print(f"\n{len(places)} throws that no test takes")
    print("\n".join(places))
    return int(bool(places) or percent < args.lines)


if __name__ == "__main__":
    sys.exit(main())
