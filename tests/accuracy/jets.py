"""Functions of one number with their first three derivatives, in arithmetic of 800 digits: for reference.py.

A Jet is a Taylor polynomial of degree 3. 800 digits leave enough of what cancels, as in 1 - tanh(700)^2; beyond, where
e^x is no number of float64 either, it counts as 0 or as a number too large."""

from mpmath import mp, mpf

mp.dps = 800
END = 1700  # e^-1700 is nothing to 800 digits


class Jet:
    def __init__(self, *c):
        self.c = [mpf(v) for v in c] + [mpf(0)] * (4 - len(c))

    @staticmethod
    def of(v):
        return v if isinstance(v, Jet) else Jet(v)

    def __add__(self, o):
        return Jet(*(a + b for a, b in zip(self.c, Jet.of(o).c)))

    def __mul__(self, o):
        a, b = self.c, Jet.of(o).c
        return Jet(*(sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(4)))

    def __neg__(self):
        return self * -1

    def __sub__(self, o):
        return self + -Jet.of(o)

    def __rsub__(self, o):
        return Jet.of(o) - self

    def __truediv__(self, o):
        return self * power(Jet.of(o), -1)

    def __rtruediv__(self, o):
        return Jet.of(o) / self

    __radd__, __rmul__ = __add__, __mul__

    def derivatives(self):
        return [self.c[0], self.c[1], 2 * self.c[2], 6 * self.c[3]]


def compose(u, f0, f1, f2, f3):
    """f(u), where f and its derivatives at u's value are given."""
    d = Jet(0, *u.c[1:])
    return f0 + d * f1 + d * d * (mpf(f2) / 2) + d * d * d * (mpf(f3) / 6)


def power(u, n):
    x = u.c[0]
    n = mpf(n)
    p = [x ** (n - k) if n - k != 0 else mpf(1) for k in range(4)]
    return compose(u, p[0], n * p[1], n * (n - 1) * p[2], n * (n - 1) * (n - 2) * p[3])


def exp_of(x):
    return mpf(0) if x < -END else mpf(10) ** 1000000 if x > END else mp.exp(x)


def exp(u):
    e = exp_of(u.c[0])
    return compose(u, e, e, e, e)


def sigmoid(u):
    x = u.c[0]
    s, n = (1 / (1 + exp_of(-x)), 1 / (1 + exp_of(x)))
    return compose(u, s, s * n, s * n * (n - s), s * n * (n * n - 4 * s * n + s * s))


def softplus(u):
    x = u.c[0]
    value = (x if x > 0 else mpf(0)) + mp.log1p(exp_of(-abs(x)))
    s = sigmoid(Jet(x, 1)).derivatives()
    return compose(u, value, s[0], s[1], s[2])


def tanh(u):
    return 2 * sigmoid(2 * u) - 1


def log(u):
    x = u.c[0]
    return compose(u, mp.log(x), 1 / x, -1 / x**2, 2 / x**3)


def log1p(u):
    x = u.c[0]
    return compose(u, mp.log1p(x), *log(Jet(1 + x, 1)).derivatives()[1:])


def expm1(u):
    return compose(u, mp.expm1(u.c[0]) if abs(u.c[0]) < 1 else exp_of(u.c[0]) - 1, *[exp_of(u.c[0])] * 3)


def sin(u):
    s, c = mp.sin(u.c[0]), mp.cos(u.c[0])
    return compose(u, s, c, -s, -c)


def cos(u):
    s, c = mp.sin(u.c[0]), mp.cos(u.c[0])
    return compose(u, c, -s, -c, s)


def integral(u, value, slope):
    """A function whose derivative is the function `slope` of jets."""
    return compose(u, value, *slope(Jet(u.c[0], 1)).derivatives()[:3])


def erf(u):
    x = u.c[0]
    value = mp.sign(x) if abs(x) > 60 else mp.erf(x)
    return integral(u, value, lambda v: 2 / mp.sqrt(mp.pi) * exp(-v * v))


def normal_distribution(u):
    x = u.c[0]
    value = mpf(x > 0) if abs(x) > 60 else mp.erfc(-x / mp.sqrt(2)) / 2
    return integral(u, value, lambda v: exp(v * v * mpf(-0.5)) / mp.sqrt(2 * mp.pi))
