#!/usr/bin/env python3
"""Writes what `make bench` measured into docs/performance.md, README.md and docs/images/performance.svg.

    report.py                 from build/bench/*.json; rows whose file is missing are left out
    report.py --results DIR   from elsewhere

Text between the lines <!-- begin: NAME --> and <!-- end: NAME --> is replaced; all other text stays.
"""

import argparse
import json
import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Results:
    """The JSON files of one folder, by name; missing ones are None."""

    def __init__(self, folder):
        self.folder = folder

    def __getitem__(self, name):
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None


def number(value):
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def markdown_table(header, rows):
    line = "| " + " | ".join(header) + " |"
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    return "\n".join([line, rule, *("| " + " | ".join(row) + " |" for row in rows)])


def times(ratio):
    return f"{ratio:.2f} x"


# Rows of the summary: what, dygrad, libtorch, how many times better.


def conv_rows(results, dtype):
    file = results[f"conv_{dtype}_vs_libtorch"]
    if not file:
        return
    s = file["summary"]["train"]
    label = f"transposed convolution forward + backward, {s['cases']} shapes, {dtype}: sum"
    yield label, f"{number(s['ours_ms'])} ms", f"{number(s['peer_ms'])} ms", times(s["sum_ratio"])
    yield "the same, geometric mean over the shapes", "", "", times(s["geometric_mean"])
    yield f"the same, lowest ({s['lowest_case'].removesuffix('/train')})", "", "", times(s["lowest"])


def best_layout(results, prefix):
    """Of the comparisons with either layout, per step the one in which libtorch is faster."""
    best = {}
    for layout in ("contiguous", "channels_last"):
        for r in (results[f"{prefix}_{layout}"] or {"results": []})["results"]:
            if r["case"] not in best or r["ratio"] < best[r["case"]]["ratio"]:
                best[r["case"]] = r
    return best


STEPS = {
    "autoencoder": "training step, autoencoder of the demo, batch 128",
    "dcgan": "training step, DCGAN 64 x 64, batch 64",
}


def training_rows(results):
    best = best_layout(results, "training_vs_libtorch")
    for case, label in STEPS.items():
        if case in best:
            r = best[case]
            yield label, f"{number(r['ours_ms'])} ms", f"{number(r['peer_ms'])} ms", times(r["ratio"])
    for case, r in best_layout(results, "training_bf16_vs_libtorch").items():
        yield f"{STEPS[case]}, bf16 compute", f"{number(r['ours_ms'])} ms", f"{number(r['peer_ms'])} ms", times(
            r["ratio"]
        )
    for case, label in STEPS.items():
        if case in best:
            mine, theirs = best[case]["ours"]["peak_mib"], best[case]["peer"]["peak_mib"]
            yield f"{label}: peak memory", f"{mine:.0f} MiB", f"{theirs:.0f} MiB", f"{mine / theirs:.2f} of it"


def overhead_rows(results):
    file = results["overhead_vs_libtorch"]
    if not file:
        return
    ops = file["ours"]["ops_a_call"]
    ns = {r["case"]: [r[side] * 1e6 / ops for side in ("ours_ms", "peer_ms")] for r in file["results"]}

    def backward(op):
        return [step - recorded for step, recorded in zip(ns[f"{op}/step"], ns[f"{op}/recorded"])]

    for label, (mine, theirs) in (
        ("one add on 1-element tensors, recorded", ns["add/recorded"]),
        ("its backward, alone", backward("add")),
        (f"backward of a mul in a chain of {ops}", backward("mul_chain")),
    ):
        yield label, f"{mine:.0f} ns", f"{theirs:.0f} ns", times(theirs / mine)


def build_rows(results):
    file = results["build_cost"]
    if not file:
        return
    theirs = file.get("torch_umbrella_seconds")
    yield (
        "compiling a file that includes everything, -O2",
        f"{file['umbrella_seconds']:.1f} s",
        f"{theirs:.0f} s" if theirs else "",
        times(theirs / file["umbrella_seconds"]) if theirs else "",
    )
    yield "a small program with dygrad inside, stripped", f"{file['program_bytes'] / 1e6:.1f} MB", "", ""
    if "build_seconds" in file:
        yield "shared library, stripped", f"{file['shared_library_bytes'] / 1e6:.1f} MB", "", ""
        yield "clean build of the library", f"{file['build_seconds']:.0f} s", "", ""


def own_rows(results):
    """What has no counterpart in libtorch: costs of the tape, and ratios of ours to ours."""
    if file := results["overhead"]:
        ns = file["summary"]
        yield "recording alone, one add", f"{ns['add/recording']:.0f} ns", "", ""
        yield "the engine's own cost a node", f"{ns['no_op_chain/backward']:.0f} ns", "", ""
    for name, label, group in (
        ("threads_2_vs_1", "two threads against one, sum of the suite", "train"),
        ("bf16_vs_float32", "bf16 compute against float32, sum of the suite", "train"),
    ):
        if file := results[name]:
            s = file["summary"][group]
            yield label, f"{number(s['ours_ms'])} ms", f"{number(s['peer_ms'])} ms (ours)", times(s["sum_ratio"])


HEADER = ("", "dygrad", "libtorch", "")


def short_table(results):
    rows = [*conv_rows(results, "float32"), *training_rows(results), *overhead_rows(results)]
    return markdown_table(HEADER, rows)


def full_table(results):
    rows = [*conv_rows(results, "float32"), *conv_rows(results, "float64"), *training_rows(results)]
    return markdown_table(HEADER, [*rows, *overhead_rows(results), *own_rows(results), *build_rows(results)])


# What the page has beside the summary.


def machine_text(results):
    lines = []
    if file := results["conv_float32"]:
        m, c = file["machine"], file["calibration"]
        lines.append(
            f"{m['processor']}, {file['threads']} threads; {file['backends'].get('onednn', 'without oneDNN')};"
            f" compiler {m['compiler']}. Calibration: products {c['gflops']:.0f} GFLOP/s in float32,"
            f" stream {c['stream_gb_per_s']:.1f} GB/s."
        )
    if file := results["conv_float32_vs_libtorch"]:
        ours = file["ours"]
        lines.append(
            f"Comparison: libtorch {file['peer']['version']} and dygrad, the latter with"
            f" {ours['backends'].get('onednn', '')}, compiler {ours['machine']['compiler']}."
        )
    return "\n".join(lines)


def shapes_table(results):
    file, compared = results["conv_float32"], results["conv_float32_vs_libtorch"]
    if not file:
        return ""
    ratios = {r["case"]: r["ratio"] for r in compared["results"]} if compared else {}
    shapes = {}
    for r in file["results"]:
        shapes.setdefault(r["shape"], {})[r["direction"]] = r
    rows = []
    for shape, d in shapes.items():
        cells = [f"{number(d[w]['ms'])} ({d[w]['times_floor']:.1f})" for w in ("forward", "data", "weights")]
        versus = [f"{ratios[c]:.2f}" if (c := f"{shape}/{w}") in ratios else "" for w in ("forward", "train")]
        rows.append((shape, *cells, number(d["train"]["ms"]), *versus))
    header = ("shape", "forward", "data", "weights", "train", "forward, libtorch = 1", "train, libtorch = 1")
    return markdown_table(header, rows)


def algorithms_table(results):
    file = results["conv_float32"]
    if not file:
        return ""
    shapes = {}
    for r in file["results"]:
        if r["direction"] != "train":
            shapes.setdefault(r["shape"], []).append(f"`{r['algorithm']}`")
    header = ("shape", "forward", "data", "weights")
    return markdown_table(header, [(shape, *cells) for shape, cells in shapes.items()]).replace("---:", "---")


def elementwise_table(results):
    file, compared = results["elementwise"], results["elementwise_vs_libtorch"]
    if not file:
        return ""
    ratios = {r["case"]: times(r["ratio"]) for r in compared["results"]} if compared else {}
    rows = [
        (f"`{r['case']}`", f"{r['gb_per_s']:.1f}", f"{100 * r['of_copy']:.0f} %", ratios.get(r["case"], ""))
        for r in file["results"]
    ]
    return markdown_table(("op on 64 MiB", "GB/s", "of a plain copy", "libtorch = 1"), rows)


def engines_table(results):
    rows = []
    for engine in ("onnxruntime", "openvino", "paddle"):
        if file := results[f"forward_vs_{engine}"]:
            s = file["summary"]["forward"]
            name = f"{engine} {file['peer']['version'].partition('-')[0]}"
            rows.append(
                (name, times(s["geometric_mean"]), times(s["sum_ratio"]), f"{times(s['lowest'])} ({s['lowest_case']})")
            )
    return markdown_table(("forward alone, against", "geometric mean", "sum", "lowest"), rows) if rows else ""


def losses(results):
    """What is behind a peer, or far from the floor where there is work to do."""
    lines = []
    for name in ("conv_float32_vs_libtorch", "conv_float64_vs_libtorch", "elementwise_vs_libtorch"):
        for r in (results[name] or {"results": []})["results"]:
            if r["ratio"] < 1.0:
                lines.append(
                    f"- {r['case']} ({name.split('_vs')[0].replace('_', ' ')}): {times(r['ratio'])} of libtorch's speed"
                )
    for r in (results["conv_float32"] or {"results": []})["results"]:
        if r["direction"] != "train" and r["gflop"] > 0.1 and r["times_floor"] > 2.5:
            lines.append(f"- {r['case']}: {r['times_floor']:.1f} times the floor, by {r['algorithm']}")
    return "\n".join(lines) or "Nothing in these runs."


# The plot.


def plot(results):
    """One bar a shape: how many times faster than libtorch, forward + backward, float32."""
    file = results["conv_float32_vs_libtorch"]
    if not file:
        return None
    bars = [(r["case"].removesuffix("/train"), r["ratio"]) for r in file["results"] if r["case"].endswith("/train")]
    mean = file["summary"]["train"]["geometric_mean"]
    left, row, width, top = 190, 24, 720, 64
    scale = (width - left - 60) / max(max(r for _, r in bars), 1.5)
    height = top + row * len(bars) + 40
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="16" font-weight="bold" fill="#222222">'
        "Transposed convolution, forward + backward, float32</text>",
        f'<text x="16" y="46" fill="#555555">times as fast as libtorch {file["peer"]["version"]}; geometric mean'
        f" {mean:.2f}</text>",
    ]
    for i, (name, ratio) in enumerate(bars):
        y = top + row * i
        out.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end" fill="#222222">{name}</text>')
        out.append(
            f'<rect x="{left}" y="{y + 4}" width="{ratio * scale:.1f}" height="{row - 8}" rx="2" fill="#2a78b5"/>'
        )
        out.append(f'<text x="{left + ratio * scale + 6:.1f}" y="{y + 16}" fill="#222222">{ratio:.1f}</text>')
    bottom = top + row * len(bars)
    x = left + scale
    out.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    out.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#c0392b">libtorch</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def replace_section(path, name, text):
    page = path.read_text()
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", page, re.DOTALL)
    if not found:
        raise SystemExit(f"{path}: has no {begin}")
    path.write_text(page[: found.start()] + f"{begin}\n{text}\n{end}" + page[found.end() :])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, default=SOURCE / "build/bench", help="folder of the JSON files")
    args = parser.parse_args()
    results = Results(args.results)
    page = SOURCE / "docs/performance.md"
    for name, make in {
        "machine": machine_text,
        "summary": full_table,
        "shapes": shapes_table,
        "algorithms": algorithms_table,
        "elementwise": elementwise_table,
        "engines": engines_table,
        "losses": losses,
    }.items():
        replace_section(page, name, make(results))
    summary = short_table(results)
    if svg := plot(results):
        (SOURCE / "docs/images/performance.svg").write_text(svg)
        summary += "\n\n![Bars: how many times faster than libtorch, shape by shape](docs/images/performance.svg)"
    replace_section(SOURCE / "README.md", "speed", summary)


if __name__ == "__main__":
    main()
