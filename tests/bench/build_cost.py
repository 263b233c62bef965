#!/usr/bin/env python3
"""What dygrad costs those who build with it: seconds to compile a file, size in a program, seconds to build it.

    build_cost.py --build build/benchmarks --json build/bench/build_cost.json

The file is small_program/main.cpp; as a program it is linked statically with dygrad, dynamically with everything else,
and stripped. The shared library and the build time come from a clean build of their own, without a compiler
cache, on all cores. Needs nothing but Python 3.9, CMake and what built dygrad.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import shutil
import subprocess
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
SOURCE = BENCH.parents[1]


def run(command, **options):
    """Runs to success; returns (wall seconds, processor seconds)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cache_entry(build, name):
    found = re.search(rf"^{name}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)
    return found.group(1) if found else None


def stripped_bytes(path):
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfile(path, copy.name)
        subprocess.run(["strip", copy.name], check=True)
        return os.path.getsize(copy.name)


def compile_seconds(compiler, include, source, runs):
    """Processor seconds of -O2, the median of some runs."""
    command = [compiler, "-std=c++20", "-O2", *(f"-I{path}" for path in include), "-c", str(source), "-o", os.devnull]
    return statistics.median(run(command)[1] for _ in range(runs))


def umbrella_alone(compiler, include, header, runs):
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
        file.write(f"#include <{header}>\n")
        file.flush()
        return compile_seconds(compiler, include, file.name, runs)


def clean_build(build, scratch):
    """Seconds of building the library alone, shared, with the same compiler and options; and its stripped size."""
    options = [
        f"-D{name}={value}"
        for name in ("CMAKE_CXX_COMPILER", "DYGRAD_NATIVE", "DYGRAD_ONEDNN", "DYGRAD_BLAS", "CBLAS_LIBRARY")
        if (value := cache_entry(build, name))
    ]
    shutil.rmtree(scratch, ignore_errors=True)
    run(
        [
            "cmake",
            "-S",
            str(SOURCE),
            "-B",
            str(scratch),
            "-G",
            "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_SHARED_LIBS=ON",
            "-DDYGRAD_BUILD_TESTS=OFF",
            "-DDYGRAD_BUILD_EXAMPLES=OFF",
            "-DCMAKE_CXX_COMPILER_LAUNCHER=",
            *options,
        ]
    )
    wall, processor = run(
        ["cmake", "--build", str(scratch), "--target", "dygrad"], env={**os.environ, "CCACHE_DISABLE": "1"}
    )
    size = stripped_bytes((scratch / "libdygrad.so").resolve())
    shutil.rmtree(scratch)
    return wall, processor, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--build", type=pathlib.Path, default=SOURCE / "build/benchmarks", help="where the benchmarks were built"
    )
    parser.add_argument("--skip-clean-build", action="store_true", help="without the two figures that take minutes")
    parser.add_argument("--torch-include", type=pathlib.Path, help="folder of torch/torch.h, to time that umbrella too")
    parser.add_argument("--quick", action="store_true", help="each file once, and no clean build")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()

    compiler = cache_entry(args.build, "CMAKE_CXX_COMPILER")
    runs = 1 if args.quick else 3
    include = [args.build / "include"]
    facts = {
        "umbrella_seconds": umbrella_alone(compiler, include, "dygrad/dygrad.h", runs),
        "program_seconds": compile_seconds(compiler, include, BENCH / "small_program/main.cpp", runs),
        "program_bytes": stripped_bytes(args.build / "tests/bench/bench_small_program"),
    }
    if args.torch_include:
        paths = [args.torch_include, args.torch_include / "torch/csrc/api/include"]
        facts["torch_umbrella_seconds"] = umbrella_alone(compiler, paths, "torch/torch.h", 1)
    if not (args.quick or args.skip_clean_build):
        wall, processor, size = clean_build(args.build, args.build.parent / "clean-build")
        facts.update(build_seconds=wall, build_processor_seconds=processor, shared_library_bytes=size)

    rows = {
        "umbrella_seconds": ("a file that includes dygrad/dygrad.h, -O2", "s of processor", 1),
        "program_seconds": ("small_program/main.cpp, -O2", "s of processor", 1),
        "torch_umbrella_seconds": ("a file that includes torch/torch.h, -O2", "s of processor", 1),
        "program_bytes": ("that program, stripped, dygrad inside", "MB", 1e6),
        "shared_library_bytes": ("shared library, stripped", "MB", 1e6),
        "build_seconds": (f"clean build of the library on {os.cpu_count()} cores", "s", 1),
        "build_processor_seconds": ("", "s of processor", 1),
    }
    for key, (label, unit, scale) in rows.items():
        if key in facts:
            print(f"{label:45} {facts[key] / scale:8.2f} {unit}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"benchmark": "build_cost", "compiler": compiler, **facts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
