#!/usr/bin/env python3
"""Writes tests/data/accuracy/unary.txt: functions and their derivatives at numbers of every size, to 21 digits.

    python3 tests/accuracy/reference.py      # needs mpmath

After a line `# name` for each function come lines `x y y' y'' y'''`, x in hexadecimal. Infinite x, and 0, stand for
the limits.
"""

import pathlib
import random
import struct

from mpmath import mp, mpf

import jets as j
from jets import Jet

OUT = pathlib.Path(__file__).parents[1] / "data/accuracy"


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def points():
    """Numbers of float32 of every size, some more between -30 and 30, and a few that only float64 has."""
    sizes = [1e-45, 1e-39, 1.2e-38, 1e-30, 1e-20, 1e-10, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.7, 0.99, 1.01, 1.3, 2.2, 3.1]
    sizes += [4.1, 5.2, 6.3, 7.4, 8.5, 9.6, 11, 13, 15, 17, 19, 20.5, 23, 27, 33, 38, 45, 60, 80, 87, 95, 103, 150]
    sizes += [1e3, 1e4, 1e6, 1e8, 1e10, 1e12, 1e15, 1e18, 1e20, 1e25, 1e30, 1e35, 1e38, 3.4028234663852886e38]
    sizes = [float32(s) for s in sizes]
    sizes += [5e-324, 1e-310, 1e-300, 1e-150, 1e-17, 340.0, 500.0, 700.0, 744.0, 1e100, 1e150, 1e160, 1e200, 1e300]
    sizes += [1.7976931348623157e308, float("inf"), 0.0]
    draw = random.Random(1)
    sizes += [float32(draw.uniform(0, 30)) for _ in range(6)]
    return sorted([-s for s in sizes]) + sorted(sizes)


def exact(x):
    """x, or for infinity and zero a number so large or small that the function has its limit."""
    if x in (float("inf"), float("-inf")):
        return mpf(10) ** 1000 * (1 if x > 0 else -1)
    return mpf(x) if x != 0 else mpf(10) ** -1000 * mp.sign(mpf(str(1 if str(x)[0] != "-" else -1)))


INF = float("inf")
sqrt_of = lambda u: j.power(u, 0.5)
gelu_inner = lambda x: mp.sqrt(8 / mp.pi) * (x + mpf(0.044715) * x * x * x)
piece = lambda x, inside, otherwise: inside if x.c[0] > 0 else otherwise
SCALE, ALPHA = mpf(1.0507009873554805), mpf(1.6732632423543772)


def clip(x, low, high):
    return Jet(low) if x.c[0] < low else Jet(high) if x.c[0] > high else x


# name: (function of a jet, lowest and highest x, points left out)
FUNCTIONS = {
    "exp": (j.exp, -INF, INF, []),
    "log": (j.log, 5e-324, INF, [INF]),
    "log1p": (j.log1p, -0.999, INF, [INF]),
    "expm1": (j.expm1, -INF, INF, []),
    "sqrt": (sqrt_of, -0.0, INF, []),
    "rsqrt": (lambda x: j.power(x, -0.5), 5e-324, INF, []),
    "square": (lambda x: x * x, -INF, INF, []),
    "reciprocal": (lambda x: 1 / x, -INF, INF, []),
    "abs": (lambda x: piece(x, x, -x), -INF, INF, [0]),
    "erf": (j.erf, -INF, INF, []),
    "sin": (j.sin, -3.5e38, 3.5e38, []),
    "cos": (j.cos, -3.5e38, 3.5e38, []),
    "tan": (lambda x: j.sin(x) / j.cos(x), -3.5e38, 3.5e38, []),
    "asin": (lambda x: j.integral(x, mp.asin(x.c[0]), lambda v: j.power(1 - v * v, -0.5)), -0.995, 0.995, []),
    "acos": (lambda x: j.integral(x, mp.acos(x.c[0]), lambda v: -j.power(1 - v * v, -0.5)), -0.995, 0.995, []),
    "atan": (lambda x: j.integral(x, mp.atan(x.c[0]), lambda v: 1 / (1 + v * v)), -INF, INF, []),
    "sinh": (lambda x: (j.exp(x) - j.exp(-x)) * 0.5, -INF, INF, []),
    "cosh": (lambda x: (j.exp(x) + j.exp(-x)) * 0.5, -INF, INF, []),
    "tanh": (j.tanh, -INF, INF, []),
    "asinh": (lambda x: j.integral(x, mp.asinh(x.c[0]), lambda v: j.power(1 + v * v, -0.5)), -INF, INF, [INF, -INF]),
    "acosh": (lambda x: j.integral(x, mp.acosh(x.c[0]), lambda v: j.power(v * v - 1, -0.5)), 1.005, INF, [INF]),
    "atanh": (lambda x: j.integral(x, mp.atanh(x.c[0]), lambda v: 1 / (1 - v * v)), -0.995, 0.995, []),
    "pow 1.5": (lambda x: j.power(x, 1.5), 5e-324, INF, []),
    "pow 3": (lambda x: x * x * x, -INF, INF, []),
    "pow -1.5": (lambda x: j.power(x, -1.5), 5e-324, INF, []),
    "relu": (lambda x: piece(x, x, Jet(0)), -INF, INF, [0]),
    "relu6": (lambda x: clip(x, 0, 6), -INF, INF, [0]),
    "leaky_relu": (lambda x: piece(x, x, x * mpf(0.02)), -INF, INF, [0]),
    "elu": (lambda x: piece(x, x, j.expm1(x)), -INF, INF, [0]),
    "selu": (lambda x: SCALE * piece(x, x, ALPHA * j.expm1(x)), -INF, INF, [0]),
    "sigmoid": (j.sigmoid, -INF, INF, []),
    "logsigmoid": (lambda x: -j.softplus(-x), -INF, INF, []),
    "tanh_shrink": (lambda x: x - j.tanh(x), -INF, INF, []),
    "stanh": (lambda x: mpf(1.7159) * j.tanh(mpf(0.67) * x), -INF, INF, []),
    "hard_sigmoid": (lambda x: clip(mpf(0.2) * x + mpf(0.5), 0, 1), -INF, INF, []),
    "swish": (lambda x: x * j.sigmoid(mpf(1.5) * x), -INF, INF, []),
    "silu": (lambda x: x * j.sigmoid(x), -INF, INF, []),
    "hard_swish": (lambda x: x * clip(x + 3, 0, 6) / 6, -INF, INF, []),
    "mish": (lambda x: x * j.tanh(j.softplus(x)), -INF, INF, []),
    "brelu": (lambda x: clip(x, 0, 24), -INF, INF, [0]),
    "soft_relu": (j.softplus, -39, 39, []),
    "softplus": (j.softplus, -INF, INF, []),
    "softsign": (lambda x: piece(x, x / (1 + x), x / (1 - x)), -INF, INF, [0]),
    "thresholded_relu": (lambda x: piece(x - 1, x, Jet(0)), -INF, INF, []),
    "softshrink": (lambda x: x - clip(x, -0.5, 0.5), -INF, INF, []),
    "hard_shrink": (lambda x: piece(abs_of(x) - 0.5, x, Jet(0)), -INF, INF, []),
    "gelu": (lambda x: x * j.normal_distribution(x), -INF, INF, []),
    "gelu_tanh": (lambda x: x * j.sigmoid(gelu_inner(x)), -INF, INF, []),
}
abs_of = lambda x: piece(x, x, -x)


def text(v, digits=21):
    return mp.nstr(v, digits, min_fixed=0, max_fixed=0) if v != 0 else "0"


def write_unary():
    with open(OUT / "unary.txt", "w") as out:
        for name, (f, low, high, skipped) in FUNCTIONS.items():
            print(f"# {name}", file=out)
            for x in points():
                if not low <= x <= high or x in skipped:
                    continue
                at = abs(exact(x)) if name == "sqrt" else exact(x)
                y = f(Jet(at, 1)).derivatives()
                print(x.hex(), *map(text, y[:3]), text(y[3], 3), file=out)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write_unary()
