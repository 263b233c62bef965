#!/usr/bin/env python3
"""Times two benchmark programs in turn, pair by pair, and prints how many times faster ours is.

    compare.py --ours build/release/tests/bench/bench_conv_suite --peer build/peer/torch_conv_suite --json out.json

Both programs stay open (--serve, see support/program.cpp) and are asked for the same case one after the other, so that
whatever else the machine does hits both. The ratio of a case is the median over its pairs of peer's time / our time;
the spread is the range that the middle half of the pairs covers. Needs nothing but Python 3.9.
"""

import argparse
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys


class Program:
    """A benchmark program waiting on a pipe."""

    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(
            [*shlex.split(command), "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.description = self.answer()
        self.cases = self.description.pop("cases")

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries may greet on standard output
                return json.loads(line)
        raise SystemExit(f"{self.command}: ended with status {self.process.wait()}")

    def time(self, case, seconds):
        self.process.stdin.write(f"{seconds} {case}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def compare_case(ours, peer, case, rounds, seconds):
    """Alternates who goes first; returns the facts of the case, or None (after a line about it) if one side cannot."""
    pairs = []
    for turn in range(rounds):
        order = (ours, peer) if turn % 2 == 0 else (peer, ours)
        answers = {program: program.time(case, seconds) for program in order}
        for program in order:
            if "error" in answers[program]:
                print(f"{case}: {program.command}: {answers[program]['error']}", flush=True)
                return None
        pairs.append((answers[ours], answers[peer]))
    ratios = [theirs["ms"] / mine["ms"] for mine, theirs in pairs]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    mine, theirs = pairs[-1]
    fastest = [min(answers[side]["fastest_ms"] for answers in pairs) for side in (0, 1)]
    return {
        "case": case,
        "ours_ms": statistics.median(a["ms"] for a, _ in pairs),
        "peer_ms": statistics.median(b["ms"] for _, b in pairs),
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
        # What remains when nothing disturbs: the fastest sample of either side.
        "ours_fastest_ms": fastest[0],
        "peer_fastest_ms": fastest[1],
        "ratio_of_fastest": fastest[1] / fastest[0],
        "pairs": rounds,
        "ours": {k: v for k, v in mine.items() if k not in ("case", "ms", "fastest_ms")},
        "peer": {k: v for k, v in theirs.items() if k not in ("case", "ms", "fastest_ms")},
    }


def summary(results):
    """Per direction (what follows the slash of a case): geometric mean of the ratios, ratio of the sums, the lowest."""
    groups = {}
    for result in results:
        groups.setdefault(result["case"].rpartition("/")[2] if "/" in result["case"] else "all", []).append(result)
    return {
        name: {
            "cases": len(members),
            "geometric_mean": geometric_mean(r["ratio"] for r in members),
            "sum_ratio": sum(r["peer_ms"] for r in members) / sum(r["ours_ms"] for r in members),
            "sum_ratio_of_fastest": sum(r["peer_fastest_ms"] for r in members)
            / sum(r["ours_fastest_ms"] for r in members),
            "lowest": min(r["ratio"] for r in members),
            "lowest_case": min(members, key=lambda r: r["ratio"])["case"],
            "ours_ms": sum(r["ours_ms"] for r in members),
            "peer_ms": sum(r["peer_ms"] for r in members),
        }
        for name, members in groups.items()
    }


def number(value):
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="command of our program, with its options")
    parser.add_argument("--peer", required=True, help="command of the peer's, with its options")
    parser.add_argument("--only", default="", help="compare the cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=7, help="pairs a case")
    parser.add_argument("--seconds", type=float, default=0.15, help="of measuring, a side and pair")
    parser.add_argument(
        "--fresh", action="store_true", help="new processes for each case, so that peak memory is its own"
    )
    parser.add_argument("--json", type=pathlib.Path, help="write results to this file")
    args = parser.parse_args()

    ours, peer = Program(args.ours), Program(args.peer)
    descriptions = {
        "ours": {"command": args.ours, **ours.description},
        "peer": {"command": args.peer, **peer.description},
    }
    cases = [case for case in ours.cases if case in peer.cases and args.only in case]
    if not cases:
        raise SystemExit("the two programs have no such case in common")
    width = max(map(len, cases))
    print(f"{'case':{width}}  {'ours ms':>9}  {'peer ms':>9}  {'ratio':>6}  {'middle half':>13}  {'fastest':>7}")
    results = []
    for case in cases:
        if args.fresh:
            ours.close(), peer.close()
            ours, peer = Program(args.ours), Program(args.peer)
        result = compare_case(ours, peer, case, args.rounds, args.seconds)
        if result is None:
            continue
        results.append(result)
        spread = f"{result['ratio_low']:.2f}..{result['ratio_high']:.2f}"
        memory = f"  {result['ours']['peak_mib']:.0f} of {result['peer']['peak_mib']:.0f} MiB" if args.fresh else ""
        print(
            f"{case:{width}}  {number(result['ours_ms']):>9}  {number(result['peer_ms']):>9}  {result['ratio']:>6.2f}"
            f"  {spread:>13}  {result['ratio_of_fastest']:>7.2f}{memory}",
            flush=True,
        )
    ours.close(), peer.close()
    if not results:
        return 1
    sums = summary(results)
    for name, s in sums.items():
        print(
            f"{name}: geometric mean {s['geometric_mean']:.2f},"
            f" sum {number(s['ours_ms'])} against {number(s['peer_ms'])} ms"
            f" = {s['sum_ratio']:.2f} (fastest samples {s['sum_ratio_of_fastest']:.2f}),"
            f" lowest {s['lowest']:.2f} ({s['lowest_case']})"
        )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**descriptions, "summary": sums, "results": results}, indent=1) + "\n")
    return 0 if len(results) == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
