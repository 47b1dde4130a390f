"""Fourier transforms along one axis, as the text of one stage.

A row of n = m W elements is W columns of m: a Stockham transform of m takes all columns at once, a
vector of them an operation; then W of its results at a time are transposed, and a transform of W
goes across registers (the "six-step" method; Van Loan, Computational Frameworks for the Fast
Fourier Transform, 1992). Along other axes, columns of the array are the lanes. In: sizes. Out: text
for problem `e` over `b0` and `b1`, and the table of roots that it reads.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Iterator
from math import cos, pi, sin
from string import Template
from typing import Any

import numpy as np

RADICES = (4, 2, 3, 5, 7, 11, 13)
Number = tuple[str, str]  # texts of the parts of a complex vector


def radices(n: int) -> list[int] | None:
    """The steps of a transform of n, None if it has factors above 13."""
    found = []
    for r in RADICES:
        while n % r == 0:
            found.append(r)
            n //= r
    return found if n == 1 else None


def width_of_rows(n: int, lanes: int) -> int:
    """How many columns a row of n is cut into."""
    while lanes > 1 and (n % lanes or n // lanes < lanes):
        lanes //= 2
    return lanes if lanes >= 4 else 1


def points(n: int, kind: str) -> int:
    """How many complex numbers are transformed for a row of n: real ones go in pairs."""
    return n if kind == "complex" or n % 2 else n // 2


def rows(n: int, kind: str, inverse: bool, dtype: np.dtype, lanes: int) -> tuple[str, str]:
    """Text and table of a transform along the last axis.

    `kind`: complex; half, of a real row to half its spectrum; or real, back from half a spectrum.
    """
    full, n = n, points(n, kind)
    w = width_of_rows(n, lanes)
    m = n // w
    steps, table = stockham(m)
    if w > 1:
        steps += _across(m, w, len(table))
        table += [root(j * k, n) for k in range(m) for j in range(w)]
    pairs = len(table)
    if full != n:
        table += [root(k, full) for k in range(n // 2 + 1)]
    words = words_of(dtype, w, m) | {"roots": len(table), "pairs": pairs}
    forms = {"complex": (_INTERLEAVED, _OUT), "half": (_REAL_IN, _OUT), "real": (_HALF, _REAL_OUT)}
    if full != n:
        forms |= {"half": (_INTERLEAVED, _SPLIT), "real": (_JOIN, _OUT)}
    load, store = forms[kind]
    half = full // 2 + 1
    sizes: dict[str, Any] = {"n": n, "half": half, "count": half if kind == "half" else n}
    sizes["re"], sizes["im"] = ("i", "r") if inverse else ("r", "i")
    sizes["scale"] = f" * ({words['T']})({1 / n!r})" if inverse else ""
    text = "".join(Template(t).substitute(words, **sizes) for t in (BEGIN, load, steps, store))
    return text, table_of(table, words)


def columns(n: int, inner: int, inverse: bool, dtype: np.dtype, lanes: int) -> tuple[str, str, int]:
    """The same along an axis with `inner` elements after it, and in how many blocks these are."""
    w = lanes
    while w > inner:
        w //= 2
    blocks = -(-inner // w)
    steps, table = stockham(n)
    words = words_of(dtype, w, n) | {"roots": len(table)}
    sizes: dict[str, Any] = {"n": n, "inner": inner, "blocks": blocks}
    sizes["re"], sizes["im"] = ("i", "r") if inverse else ("r", "i")
    sizes["scale"] = f" * ({words['V']})({1 / n!r})" if inverse else ""
    words |= shuffles(w, words)
    text = "".join(
        Template(t).substitute(words, **sizes) for t in (BEGIN, COLUMNS_IN, steps, _COLUMNS_OUT)
    )
    return text, table_of(table, words), blocks


def root(k: int, n: int) -> complex:
    """exp(-2 pi i k / n), exact at quarters."""
    k %= n
    if 4 * k % n == 0:
        return (1, -1j, -1, 1j)[4 * k // n]
    return cmath.exp(-2j * pi * k / n)


def words_of(dtype: np.dtype, w: int, m: int) -> dict[str, Any]:
    kind = "float" if dtype.itemsize == 4 else "double"
    lanes = "" if w == 1 else str(w)
    return {"T": kind, "V": kind + lanes, "U": kind + (f"{w}_u" if w > 1 else ""), "W": w, "m": m}


def table_of(table: list[complex], words: dict[str, Any], name: str = "@t") -> str:
    """Real parts, then imaginary ones, as the bytes of a string: a compiler reads a string in no
    time, and takes ten microseconds for a number.
    """
    kind = np.dtype(np.float32 if words["T"] == "float" else np.float64)
    parts = np.array([z.real for z in table] + [z.imag for z in table], kind)
    text = "".join(f"\\{byte:03o}" for byte in parts.tobytes())
    return f'static __constant char {name}[] __attribute__((aligned(64))) = "{text}";'


# ---------------------------------------------------------------- transforms of columns


def stockham(m: int) -> tuple[str, list[complex]]:
    """Stockham's steps from `ar`, `ai`, with the result there again; their roots."""
    table: list[complex] = []
    lines: list[str] = []
    left, stride = m, 1
    found = radices(m)
    assert found is not None
    loops = []
    for r in found:
        left //= r
        loops.append((r, left, stride, len(table)))
        table += [root(p * j, left * r) for p in range(left) for j in range(1, r)]
        stride *= r
    source, target = "a", "b"
    for r, left, stride, at in loops:
        lines += _step(r, left, stride, at, source, target)
        source, target = target, source
    if source == "b":
        lines.append(f"  for (int i = 0; i < {m}; ++i) {{ ar[i] = br[i]; ai[i] = bi[i]; }}")
    return "\n".join(["", *lines]), table


def _step(r: int, left: int, stride: int, at: int, source: str, target: str) -> Iterator[str]:
    """One step of radix r over `left` roots and `stride` transforms."""
    yield f"  for (int p = 0; p < {left}; ++p) {{"
    if left > 1:
        for j in range(1, r):
            place = f"{at} + {r - 1} * p + {j - 1}"
            yield f"    const $V wr{j} = ($V)(table[{place}]);"
            yield f"    const $V wi{j} = ($V)(table[$roots + {place}]);"
    yield f"    for (int q = 0; q < {stride}; ++q) {{"
    x: list[Number] = []
    for k in range(r):
        place = f"q + {stride} * (p + {left * k})"
        yield f"      const $V xr{k} = {source}r[{place}], xi{k} = {source}i[{place}];"
        x.append((f"xr{k}", f"xi{k}"))
    lines: list[str] = []
    fresh = _namer(lines)
    for j, (re, im) in enumerate(_butterfly(x, fresh)):
        if j and left > 1:
            re, im = (
                fresh(f"{re} * wr{j} - {im} * wi{j}"),
                fresh(f"{re} * wi{j} + {im} * wr{j}"),
            )
        place = f"q + {stride} * ({r} * p + {j})"
        lines.append(f"{target}r[{place}] = {re}; {target}i[{place}] = {im};")
    yield from (f"      {line}" for line in lines)
    yield "    }"
    yield "  }"


def _namer(lines: list[str]) -> Callable[[str], str]:
    """What gives an expression a name, in new lines."""

    def fresh(text: str) -> str:
        lines.append(f"const $V t{len(lines)} = {text};")
        return f"t{len(lines) - 1}"

    return fresh


def _butterfly(x: list[Number], fresh: Callable[[str], str]) -> list[Number]:
    """The transform of a few numbers, written out."""

    def both(op: str, a: Number, b: Number) -> Number:
        return fresh(f"{a[0]} {op} {b[0]}"), fresh(f"{a[1]} {op} {b[1]}")

    def turned(a: Number, b: Number) -> tuple[Number, Number]:
        """a - i b and a + i b."""
        less = fresh(f"{a[0]} + {b[1]}"), fresh(f"{a[1]} - {b[0]}")
        return less, (fresh(f"{a[0]} - {b[1]}"), fresh(f"{a[1]} + {b[0]}"))

    def sum_of(parts: list[tuple[float, Number]], first: Number | None = None) -> Number:
        terms = ([[first[0]], [first[1]]]) if first else [[], []]
        for c, z in parts:
            for k in (0, 1):
                terms[k].append(f"({_constant(c)}) * {z[k]}")
        return fresh(" + ".join(terms[0])), fresh(" + ".join(terms[1]))

    n = len(x)
    if n == 1:
        return x
    if n == 2:
        return [both("+", *x), both("-", *x)]
    if n % 2:
        half = range(1, n // 2 + 1)
        t = [both("+", x[k], x[n - k]) for k in half]
        d = [both("-", x[k], x[n - k]) for k in half]
        total = x[0]
        for z in t:
            total = both("+", total, z)
        out: list[Any] = [total, *x[1:]]
        for j in half:
            turns = [2 * pi * (j * k % n) / n for k in half]
            even = sum_of([(cos(a), z) for a, z in zip(turns, t)], x[0])
            odd = sum_of([(sin(a), z) for a, z in zip(turns, d)])
            out[j], out[n - j] = turned(even, odd)
        return out
    even, odd = _butterfly(x[::2], fresh), _butterfly(x[1::2], fresh)
    out = [None] * n
    for k in range(n // 2):
        if 4 * k == n:
            out[k], out[k + n // 2] = turned(even[k], odd[k])
            continue
        z = odd[k]
        if k:
            w = root(k, n)
            c, s = _constant(w.real), _constant(w.imag)
            z = fresh(f"({c}) * {z[0]} - ({s}) * {z[1]}"), fresh(f"({s}) * {z[0]} + ({c}) * {z[1]}")
        out[k], out[k + n // 2] = both("+", even[k], z), both("-", even[k], z)
    return out


def _constant(x: float) -> str:
    return f"($V)(($T)({x!r}))"


# ---------------------------------------------------------------- across the columns


def _across(m: int, w: int, at: int) -> str:
    """Times their roots, W by W results transposed; a transform of W; to `br`, `bi` in order, and
    back. What all W of them do is a loop in the text as well: the compiler takes its time for each
    line.
    """
    lines: list[str] = []
    for part in "ri":
        lines += turned(part, w)
    for k, (re, im) in enumerate(_butterfly([(f"r{k}", f"i{k}") for k in range(w)], _namer(lines))):
        for part, value in (("r", re), ("i", im)):
            lines.append(f"*(private $U *)((private $T *)b{part} + {m * k} + g) = {value};")
    body = "\n".join("    " + line for line in lines)
    return (
        f"\n  for (int h = 0; h < {m}; h += {w}) {{"
        f"\n    const int g = min(h, {m - w});"
        f"\n    $V tr[{w}], ti[{w}];"
        f"\n    #pragma clang loop unroll(disable)"
        f"\n    for (int k = 0; k < {w}; ++k) {{"
        f"\n      const int at = {at} + (g + k) * {w};"
        f"\n      const $V cr = *(__constant $U *)(table + at);"
        f"\n      const $V ci = *(__constant $U *)(table + $roots + at);"
        f"\n      tr[k] = ar[g + k] * cr - ai[g + k] * ci;"
        f"\n      ti[k] = ar[g + k] * ci + ai[g + k] * cr;"
        f"\n    }}\n{body}\n  }}"
        f"\n  for (int i = 0; i < {m}; ++i) {{ ar[i] = br[i]; ai[i] = bi[i]; }}"
    )


def turned(part: str, w: int) -> Iterator[str]:
    """The W vectors of `tr` or `ti` under the names r0 or i0, ..., columns for rows."""
    names = [f"{part}{k}" for k in range(w)]
    yield from (f"$V {name} = t{part}[{k}];" for k, name in enumerate(names))
    yield from _transposed(names)


def _transposed(names: list[str]) -> Iterator[str]:
    """A square of vectors, by halves, quarters, ..."""
    w = len(names)
    step = 1
    while step < w:
        low = [j if not j & step else w + (j ^ step) for j in range(w)]
        high = [j | step if not j & step else w + j for j in range(w)]
        for k in range(w):
            if not k & step:
                a, b = names[k], names[k | step]
                yield (
                    f"{{ const $V x = __builtin_shufflevector({a}, {b}, {_list(low)}); "
                    f"{b} = __builtin_shufflevector({a}, {b}, {_list(high)}); {a} = x; }}"
                )
        step *= 2


def _list(places: list[int]) -> str:
    return ", ".join(map(str, places))


# ---------------------------------------------------------------- in and out


def shuffles(w: int, words: dict[str, Any]) -> dict[str, str]:
    """How two vectors of pairs are taken apart and put together."""
    if w == 1:
        return {"even": "u", "odd": "v", "low": "x", "high": "y"}
    double = 2 * w
    even, odd = _list(list(range(0, double, 2))), _list(list(range(1, double, 2)))
    pairs = [k for j in range(w) for k in (j, w + j)]
    return {
        "even": f"__builtin_shufflevector(u, v, {even})",
        "odd": f"__builtin_shufflevector(u, v, {odd})",
        "low": f"__builtin_shufflevector(x, y, {_list(pairs[:w])})",
        "high": f"__builtin_shufflevector(x, y, {_list(pairs[w:])})",
    }


BEGIN = """
  $V ar[$m], ai[$m], br[$m], bi[$m];
  private $T *const pr = (private $T *)ar;
  private $T *const pi = (private $T *)ai;
  __constant const $T *const table = (__constant const $T *)@t;"""
_INTERLEAVED = """
  for (int k = 0; k < $n; ++k) {
    p$re[k] = b0[2 * (e * $n + k)];
    p$im[k] = b0[2 * (e * $n + k) + 1];
  }"""
_REAL_IN = """
  for (int k = 0; k < $n; ++k) { pr[k] = b0[e * $n + k]; pi[k] = 0; }"""
# What is not read is the conjugate of what is; the ends are real.
_HALF = """
  for (int k = 0; k < $half; ++k) {
    const $T re = b0[2 * (e * $half + k)], im = b0[2 * (e * $half + k) + 1];
    const $T own = k == 0 || 2 * k == $n ? 0 : im;
    p$re[k] = re;
    p$im[k] = own;
    if (k) { p$re[$n - k] = re; p$im[$n - k] = -own; }
  }"""
_OUT = """
  for (int k = 0; k < $count; ++k) {
    b1[2 * (e * $count + k)] = p$re[k]$scale;
    b1[2 * (e * $count + k) + 1] = p$im[k]$scale;
  }"""
_REAL_OUT = """
  for (int k = 0; k < $n; ++k) b1[e * $n + k] = p$re[k]$scale;"""
# A row of pairs z = x + i y has the spectra X = (Z + Z*) / 2 and Y = (Z - Z*) / 2i, where Z* is
# the conjugate from the other end; the row's spectrum is X + w Y.
_SPLIT = """
  __global $T *const out = b1 + 2 * e * $half;
  out[0] = pr[0] + pi[0];
  out[1] = 0;
  out[2 * $n] = pr[0] - pi[0];
  out[2 * $n + 1] = 0;
  for (int k = 1; 2 * k <= $n; ++k) {
    const int h = $n - k;
    const $T wr = table[$pairs + k], wi = table[$roots + $pairs + k];
    const $T xr = (pr[k] + pr[h]) / 2, xi = (pi[k] - pi[h]) / 2;
    const $T yr = (pi[k] + pi[h]) / 2, yi = (pr[h] - pr[k]) / 2;
    const $T tr = wr * yr - wi * yi, ti = wr * yi + wi * yr;
    out[2 * k] = xr + tr;
    out[2 * k + 1] = xi + ti;
    out[2 * h] = xr - tr;
    out[2 * h + 1] = ti - xi;
  }"""
_JOIN = """
  __global const $T *const given = b0 + 2 * e * $half;
  p$re[0] = (given[0] + given[2 * $n]) / 2;
  p$im[0] = (given[0] - given[2 * $n]) / 2;
  for (int k = 1; 2 * k <= $n; ++k) {
    const int h = $n - k;
    const $T wr = table[$pairs + k], wi = -table[$roots + $pairs + k];
    const $T xr = (given[2 * k] + given[2 * h]) / 2, xi = (given[2 * k + 1] - given[2 * h + 1]) / 2;
    const $T tr = (given[2 * k] - given[2 * h]) / 2, ti = (given[2 * k + 1] + given[2 * h + 1]) / 2;
    const $T yr = wr * tr - wi * ti, yi = wr * ti + wi * tr;
    p$re[k] = xr - yi;
    p$im[k] = xi + yr;
    p$re[h] = xr + yi;
    p$im[h] = yr - xi;
  }"""
COLUMNS_IN = """
  const int column = min((int)(e % $blocks) * $W, $inner - $W);
  const long first = 2 * (e / $blocks * ($n * ${inner}L) + column);
  for (int k = 0; k < $n; ++k) {
    const $V u = *(__global const $U *)(b0 + first + k * (2L * $inner));
    const $V v = *(__global const $U *)(b0 + first + k * (2L * $inner) + $W);
    a$re[k] = $even;
    a$im[k] = $odd;
  }"""
_COLUMNS_OUT = """
  for (int k = 0; k < $n; ++k) {
    const $V x = a$re[k]$scale, y = a$im[k]$scale;
    *(__global $U *)(b1 + first + k * (2L * $inner)) = $low;
    *(__global $U *)(b1 + first + k * (2L * $inner) + $W) = $high;
  }"""
