#!/usr/bin/env python3
"""Mutation test: makes one mutant after another of a copy of the sources and looks whether a test kills it.

A mutant has a changed sign, a bound that is off by one, or a dropped factor or term, in a forward function, a vjp or a
kernel. Each is compiled, and the unit tests run until one fails; a hang, a crash and code that does not compile as
mutated are counted apart. Those that no test finds are printed with their place, to be judged one by one: a mutant that
changes no result (a block size, a grain) cannot be found. Exits with 1 if more than --survivors remain.

    tests/mutation/run.py                        # 100 mutants, about half an hour on two cores
    tests/mutation/run.py --only autograd/ops/shape/shape.cpp --count 10
"""

import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTED = ("tests_core", "tests_autograd", "tests_layers", "tests_backends")
UNIT_TESTS = "~[slow]~[.]"  # hidden ones want a process of their own
HANG_SECONDS = 240  # several times what the slowest program takes

# Where mutants are made: patterns of files, and the tests that look at them first.
TARGETS = [
    (("autograd/ops/**/*.cpp", "autograd/*.cpp", "autograd/detail/*.cpp"), ("autograd", "layers", "core", "backends")),
    (("core/kernels/*", "core/tensor/view.cpp",
      "core/simd/vector_math.h", "core/base/shape.cpp", "core/creation/factories.cpp"),
     ("core", "autograd", "layers", "backends")),
    (("backends/reference/*.cpp", "backends/gemm/*.cpp", "backends/native/**/*.cpp"), ("backends", "autograd", "layers")),
    (("layers/optim/*.cpp", "layers/init/*.cpp", "layers/batch_norm.cpp"), ("layers",)),
]
# Estimates and messages compute nothing that a result depends on.
SKIPPED_LINES = re.compile(
    r"^\s*(//|#|\*|using |template|namespace|static_assert|constexpr (double|std::int64_t) k)|"
    r"estimate|cost::|Message\(|\.line\(|\.got\(|\.expected\(|\.fix\(|throw|assert|prefetch|grain|Grain|"
    r"kWorth|operator[-+<]|->|\"|worth|pieces|threads|bytes|Bytes")

# Files that only choose how to compute, and those for processors that may be absent.
SKIPPED_FILES = re.compile(r"estimate|cost|partition|bf16|avx512")

MUTATIONS = [
    ("sign", re.compile(r"(?<=[\w)\]]) - (?=[\w(])"), " + "),
    ("sign", re.compile(r"(?<=[\w)\]]) \+ (?=[\w(])"), " - "),
    ("sign", re.compile(r"(?<=return )-(?=[\w(])"), ""),
    ("sign", re.compile(r" \+= (?!1;)"), " -= "),
    ("off by one", re.compile(r"(?<=[\w)\]]) < (?=[\w(])"), " <= "),
    ("off by one", re.compile(r"(?<=[\w)\]]) <= (?=[\w(])"), " < "),
    ("off by one", re.compile(r" \+ 1(?=[;,)\]])"), ""),
    ("off by one", re.compile(r" - 1(?=[;,)\]])"), ""),
    ("off by one", re.compile(r"(?<= = )0(?=; \w+ <)"), "1"),
    ("dropped factor", re.compile(r" \* [a-z_]\w*(?=[;,)} ])(?! *[\[(.])"), ""),
    ("dropped term", re.compile(r" [-+] [a-z_]\w*(?=[;,)} ])(?! *[\[(.*])"), ""),
]


class Mutant:
    def __init__(self, path, line, kind, begin, end, text, tests):
        self.path, self.line, self.kind, self.begin, self.end, self.text, self.tests = (
            path, line, kind, begin, end, text, tests)

    def mutated(self, source):
        lines = source.split("\n")
        old = lines[self.line]
        lines[self.line] = old[: self.begin] + self.text + old[self.end:]
        return "\n".join(lines)

    def describe(self, source):
        old = source.split("\n")[self.line]
        return f"{self.path}:{self.line + 1}: {self.kind}\n    - {old.strip()}\n    + {self.mutated(source).split(chr(10))[self.line].strip()}"


def candidates(root, only):
    found = []
    for patterns, tests in TARGETS:
        for path in sorted({p for pattern in patterns for p in root.glob(pattern)}):
            name = str(path.relative_to(root))
            if path.suffix not in (".cpp", ".h") or SKIPPED_FILES.search(path.name) or (only and name not in only):
                continue
            for number, line in enumerate(path.read_text().split("\n")):
                if SKIPPED_LINES.search(line):
                    continue
                code = line.split("//")[0]
                for kind, pattern, text in MUTATIONS:
                    for match in pattern.finditer(code):
                        found.append(Mutant(name, number, kind, match.start(), match.end(), text, tests))
    return found


def choose(found, count, seed):
    """Spread over files, then lines, so that long files do not take all."""
    rng = random.Random(seed)
    by_file = {}
    for mutant in found:
        by_file.setdefault(mutant.path, []).append(mutant)
    for mutants in by_file.values():
        rng.shuffle(mutants)
    chosen, files = [], sorted(by_file)
    while len(chosen) < count and any(by_file.values()):
        rng.shuffle(files)
        for path in files:
            if by_file[path] and len(chosen) < count:
                chosen.append(by_file[path].pop())
    return chosen


def run(command, timeout, cwd):
    try:
        done = subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return None, ""


def judge(mutant, source_root, build):
    """How the mutant was killed, or None."""
    for tests in mutant.tests:
        target = f"tests_{tests}"
        code, output = run(["cmake", "--build", str(build), "--target", target], 1800, source_root)
        if code != 0:
            return "not compiled"
        code, output = run([str(build / "tests" / target), UNIT_TESTS, "-a"], HANG_SECONDS, source_root)
        if code is None:
            return f"hang in {target}"
        if code != 0:
            # Warnings have headers too: the failed test's is the last one before the failure. After a crash none is.
            names = []
            if "FAILED:" in output:
                names = re.findall(r"-{20,}\n(.+?)\n(?:  .*\n)*-{20,}", output.split("FAILED:")[0])
            return f"{target}: {names[-1] if names else f'exit {code}'}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, help="go on with this one of the same seed")
    parser.add_argument("--survivors", type=int, default=2, help="most that may remain")
    parser.add_argument("--only", action="append", help="a file, relative to the root")
    parser.add_argument("--folder", default=str(ROOT / "build" / "mutation"))
    parser.add_argument("--list", action="store_true", help="show the mutants, make none")
    args = parser.parse_args()

    folder = pathlib.Path(args.folder)
    copy, build = folder / "source", folder / "build"
    if not args.list:
        copy.mkdir(parents=True, exist_ok=True)
        files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
        for name in filter(None, files):
            source, target = ROOT / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != source.read_bytes():
                shutil.copyfile(source, target)
                shutil.copymode(source, target)
        subprocess.run(["cmake", "-S", str(copy), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                        # A mutant may corrupt the heap, in which Catch2 would then hang while it reports the signal.
                        "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -DCATCH_CONFIG_NO_POSIX_SIGNALS", "-DDYGRAD_BUILD_EXAMPLES=OFF"],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cmake", "--build", str(build), "--target", *TESTED], check=True, stdout=subprocess.DEVNULL)

    chosen = choose(candidates(ROOT, args.only), args.count, args.seed)
    if args.list:
        for mutant in chosen:
            print(mutant.describe((ROOT / mutant.path).read_text()))
        return 0

    for target in TESTED:
        code, output = run([str(build / "tests" / target), UNIT_TESTS], HANG_SECONDS, copy)
        if code != 0:
            sys.exit(f"{target} fails without a mutant:\n{output[-2000:]}")

    found, survivors, uncompiled = 0, [], 0
    for number, mutant in enumerate(chosen, 1):
        if number < args.first:
            continue
        path = copy / mutant.path
        source = path.read_text()
        begin = time.monotonic()
        path.write_text(mutant.mutated(source))
        try:
            how = judge(mutant, copy, build)
        finally:
            path.write_text(source)
        if how == "not compiled":
            uncompiled += 1
        elif how:
            found += 1
        else:
            survivors.append(mutant.describe(source))
        print(f"{number:4d} {mutant.path}:{mutant.line + 1} {mutant.kind}: {how or 'SURVIVED'} "
              f"({time.monotonic() - begin:.0f} s)", flush=True)
    print(f"\nseed {args.seed}: {found} found, {len(survivors)} not, {uncompiled} did not compile")
    print("\n".join(survivors))
    return int(len(survivors) > args.survivors)


if __name__ == "__main__":
    sys.exit(main())
