#!/usr/bin/env python3
"""Transposed convolutions, forward alone, in engines that come from Python's registry: onnxruntime, openvino, paddle.

    pip install onnx onnxruntime openvino paddlepaddle
    python_forward.py --engine onnxruntime            # a table
    compare.py --ours .../bench_conv_suite --peer "python_forward.py --engine openvino" --only /forward

Same shapes file, same protocol as the other programs (Note [Serving] in support/program.cpp). Weights are constants of
the model, so an engine may arrange them beforehand.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

FIELDS = "n cin h w cout kh kw sh sw ph pw dh dw groups extra_h extra_w".split()


def read_shapes(path):
    shapes = {}
    for line in path.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            shapes[words[0]] = argparse.Namespace(**dict(zip(FIELDS, map(int, words[1:]), strict=True)))
    return shapes


def operands(s):
    import numpy

    random = numpy.random.default_rng(1)
    x = random.uniform(-1, 1, (s.n, s.cin, s.h, s.w)).astype("float32")
    w = random.uniform(-1, 1, (s.cin, s.cout // s.groups, s.kh, s.kw)).astype("float32")
    return x, w


def onnx_model(s):
    """One ConvTranspose node, as bytes."""
    from onnx import TensorProto, helper, numpy_helper

    x, w = operands(s)
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        kernel_shape=[s.kh, s.kw],
        strides=[s.sh, s.sw],
        pads=[s.ph, s.pw, s.ph, s.pw],
        dilations=[s.dh, s.dw],
        group=s.groups,
        output_padding=[s.extra_h, s.extra_w],
    )
    graph = helper.make_graph(
        [node],
        "deconv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return x, model.SerializeToString()


def onnxruntime_call(s, threads):
    import onnxruntime

    x, model = onnx_model(s)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    return lambda: session.run_with_iobinding(binding)


def openvino_call(s, threads):
    import openvino

    x, model = onnx_model(s)
    core = openvino.Core()
    # Otherwise it computes in bfloat16 where the processor can.
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    return lambda: request.infer()


def paddle_call(s, threads):
    import paddle

    x, w = (paddle.to_tensor(array) for array in operands(s))
    arguments = {
        "stride": (s.sh, s.sw),
        "padding": (s.ph, s.pw),
        "dilation": (s.dh, s.dw),
        "groups": s.groups,
        "output_padding": (s.extra_h, s.extra_w),
    }

    def call():
        with paddle.no_grad():
            paddle.nn.functional.conv2d_transpose(x, w, **arguments)

    return call


ENGINES = {"onnxruntime": onnxruntime_call, "openvino": openvino_call, "paddle": paddle_call}


def measure(call, seconds, warm_up=0.03, min_samples=5):
    """As in support/timing.h."""
    call()
    begin, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - begin < warm_up:
        call()
        calls += 1
    samples, start = [], time.perf_counter()
    while len(samples) < min_samples or time.perf_counter() - start < seconds:
        sample = time.perf_counter()
        call()
        samples.append(time.perf_counter() - sample)
    samples.sort()
    return {
        "ms": statistics.median(samples) * 1e3,
        "fastest_ms": samples[0] * 1e3,
        "slow_ms": samples[round(0.9 * (len(samples) - 1))] * 1e3,
        "samples": len(samples),
    }


def peak_memory_mib():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def serve(shapes, make_call, description):
    print(json.dumps({**description, "cases": [f"{name}/forward" for name in shapes]}), flush=True)
    current, call = None, None
    for line in sys.stdin:
        seconds, case = line.rstrip("\n").split(" ", 1)
        try:
            if case != current:
                current = call = None
                call = make_call(shapes[case.removesuffix("/forward")])
                current = case
            answer = {"case": case, **measure(call, float(seconds)), "peak_mib": peak_memory_mib()}
        except Exception as error:  # an engine that refuses one shape goes on with the next
            answer = {"case": case, "error": str(error).splitlines()[0]}
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--shapes", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "shapes/public.txt")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0.3, help="how long to measure each case")
    parser.add_argument("--serve", action="store_true", help="time the cases that standard input names: see compare.py")
    args = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = os.environ["FLAGS_paddle_num_threads"] = str(args.threads)
    version = __import__(args.engine).__version__
    shapes = read_shapes(args.shapes)

    def make_call(shape):
        return ENGINES[args.engine](shape, args.threads)

    if args.serve:
        serve(
            shapes,
            make_call,
            {"benchmark": "conv", "library": args.engine, "version": version, "threads": args.threads},
        )
        return
    print(f"{args.engine} {version}, {args.threads} threads")
    for name, shape in shapes.items():
        try:
            print(f"{name:22} {measure(make_call(shape), args.seconds)['ms']:9.3f} ms", flush=True)
        except Exception as error:
            print(f"{name:22} {str(error).splitlines()[0]}", flush=True)


if __name__ == "__main__":
    main()
