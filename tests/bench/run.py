#!/usr/bin/env python3
"""Runs all benchmarks that can run here: tables to standard output, JSON to build/bench. `make bench` calls this.

    run.py                           ours; libtorch's too if it is installed here
    run.py --root DIR                the comparison with libtorch inside a Debian root (peer/build-in-root.sh)
    run.py --python VENV/bin/python  and with onnxruntime, openvino and paddle, those that this Python has
    run.py --only conv --quick       some of it, or a few calls of each

Then report.py makes the tables of docs/performance.md and README.md from the JSON.
"""

import argparse
import pathlib
import shlex
import shutil
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
SOURCE = BENCH.parents[1]
ENGINES = ("onnxruntime", "openvino", "paddle")


class Runner:
    def __init__(self, args):
        self.args, self.failed = args, []

    def wanted(self, name):
        return self.args.only in name

    def run(self, name, command):
        """One step: its title, its output, its JSON in the output folder. A failure does not end the others."""
        if not self.wanted(name):
            return
        print(f"\n==== {name}", flush=True)
        command = [*command, "--json", self.args.out / f"{name}.json"]
        if subprocess.run([str(word) for word in command]).returncode:
            self.failed.append(name)

    def ours(self, name, program, *options):
        quick = ["--quick"] if self.args.quick else []
        self.run(name, [self.args.build / "tests/bench" / program, *options, *quick])

    def compare(self, name, ours, peer, *options):
        effort = ["--rounds", 2, "--seconds", 0.001] if self.args.quick else ["--rounds", self.args.rounds]
        self.run(name, [BENCH / "compare.py", "--ours", ours, "--peer", peer, *effort, *options])


def succeeds(*command):
    words = [str(word) for word in command]
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def command_lines(args):
    """How to start ours and libtorch's programs for the comparison, up to their names; None for what is not there."""
    if args.root:
        print(f"==== building in {args.root}", flush=True)
        subprocess.run([str(BENCH / "peer/build-in-root.sh"), args.root], check=True)
        inside = f"chroot {shlex.quote(args.root)} /dygrad/build"
        if args.shapes:  # the root sees the repository, not where the file is
            shutil.copyfile(args.shapes, SOURCE / "build/shapes.txt")
            args.suite = ["--shapes", "/dygrad/build/shapes.txt"]
        return f"{inside}/root/tests/bench/bench_", f"{inside}/root-peer/torch_"
    ours = shlex.quote(str(args.build / "tests/bench/bench_"))
    peer = SOURCE / "build/peer"
    if not succeeds("cmake", "-S", BENCH / "peer", "-B", peer, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"):
        return ours, None
    print("==== building libtorch's side", flush=True)
    subprocess.run(["cmake", "--build", str(peer)], check=True)
    return ours, shlex.quote(str(peer / "torch_"))


def run_ours(runner):
    runner.ours("conv_float32", "bench_conv_suite", *runner.args.suite)
    runner.ours("conv_float64", "bench_conv_suite", "--dtype", "float64", *runner.args.suite)
    runner.ours("conv_bf16", "bench_conv_suite", "--compute", "bf16", *runner.args.suite)
    runner.ours("overhead", "bench_overhead")
    runner.ours("elementwise", "bench_elementwise")
    runner.ours("training", "bench_training")
    build_cost = [BENCH / "build_cost.py", "--build", runner.args.build]
    runner.run("build_cost", build_cost + (["--quick"] if runner.args.quick else []))


def run_against_ourselves(runner, ours):
    suite = f"{ours}conv_suite {shlex.join(runner.args.suite)}"
    runner.compare("threads_2_vs_1", f"{suite} --threads 2", f"{suite} --threads 1", "--only", "/train")
    runner.compare("bf16_vs_float32", f"{suite} --compute bf16", suite)


def run_against_torch(runner, ours, torch):
    suite = shlex.join(runner.args.suite)
    for dtype in ("float32", "float64"):
        options = f"conv_suite --dtype {dtype} {suite}"
        runner.compare(f"conv_{dtype}_vs_libtorch", ours + options, torch + options)
    runner.compare("overhead_vs_libtorch", f"{ours}overhead", f"{torch}overhead")
    runner.compare("elementwise_vs_libtorch", f"{ours}elementwise", f"{torch}elementwise")
    quick = " --quick" if runner.args.quick else ""
    for layout in ("contiguous", "channels_last"):
        theirs = f"{torch}training --layout {layout}{quick}"
        runner.compare(f"training_vs_libtorch_{layout}", f"{ours}training{quick}", theirs, "--fresh")
        mine = f"{ours}training --compute bf16{quick}"
        runner.compare(f"training_bf16_vs_libtorch_{layout}", mine, theirs, "--fresh")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build/benchmarks", help="where ours were built")
    parser.add_argument("--out", type=pathlib.Path, help="folder of the JSON files (default: build/bench)")
    parser.add_argument("--root", help="a Debian root with libtorch: both sides are built and run inside")
    parser.add_argument("--python", help="a Python that has some of onnxruntime, openvino, paddle")
    parser.add_argument("--shapes", type=pathlib.Path, help="shapes file instead of the public suite")
    parser.add_argument(
        "--only", default="", help="the steps whose name contains this, e.g. conv, vs_libtorch, build_cost"
    )
    parser.add_argument("--rounds", type=int, default=7, help="pairs a case in comparisons")
    parser.add_argument("--quick", action="store_true", help="a few calls of each on tiny shapes, to see that it runs")
    args = parser.parse_args()
    if args.quick and not args.shapes:
        args.shapes = BENCH / "shapes/tiny.txt"
    if not args.out:  # quick figures are never reported
        args.out = SOURCE / ("build/bench/quick" if args.quick else "build/bench")
    args.suite = ["--shapes", str(args.shapes.resolve())] if args.shapes else []
    args.out.mkdir(parents=True, exist_ok=True)

    runner = Runner(args)
    suite = args.build / "tests/bench/bench_conv_suite"
    run_ours(runner)
    shapes = args.suite
    ours, torch = command_lines(args)
    run_against_ourselves(runner, ours)
    if torch:
        run_against_torch(runner, ours, torch)
    else:
        print("\nlibtorch was not found: no comparison with it (see --root)")
    for engine in ENGINES if args.python else ():
        if succeeds(args.python, "-c", f"import {engine}"):
            theirs = shlex.join([args.python, str(BENCH / "peer/python_forward.py"), "--engine", engine, *shapes])
            mine = shlex.join([str(suite), *shapes])
            runner.compare(f"forward_vs_{engine}", mine, theirs, "--only", "/forward")
    print(f"\nJSON files are in {args.out}")
    if runner.failed:
        print("failed: " + ", ".join(runner.failed))
    return bool(runner.failed)


if __name__ == "__main__":
    sys.exit(main())
