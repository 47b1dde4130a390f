"""Loops in time: lanes that are independent, stencils, particles, and loops of small arrays."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal, uniform


def lorenz(lib, state):
    """Right-hand side of the Lorenz equations."""
    x, y, z = state
    return (10.0 * (y - x), x * (28.0 - z) - y, x * y - (8.0 / 3.0) * z)


@row("ode", "Lorenz RK4, 500 steps, 16384 lanes, scan", nbytes=2 * 3 * 4 * 16384,
     flops=500 * 16384 * 70, tolerance=0.2)  # fmt: skip
def ode(lib):
    def step(state, _):
        move = lambda h, k: tuple(s + h * d for s, d in zip(state, k))
        k1 = lorenz(lib, state)
        k2 = lorenz(lib, move(0.005, k1))
        k3 = lorenz(lib, move(0.005, k2))
        k4 = lorenz(lib, move(0.01, k3))
        total = tuple(a + 2.0 * b + 2.0 * c + d for a, b, c, d in zip(k1, k2, k3, k4))
        return move(0.01 / 6.0, total), None

    def integrate(x, y, z):
        return lib.lax.scan(step, (x, y, z), None, length=500)[0]

    return Program(integrate, tuple(normal(i, 16384) + np.float32(c)
                                    for i, c in enumerate((0, 1, 20))))  # fmt: skip


@row("mandelbrot", "1024^2, 100 steps, fori_loop with select", nbytes=3 * 4 * 1024**2,
     flops=1024**2 * 100 * 10, tolerance=1e-3)  # fmt: skip
def mandelbrot(lib):
    np_, lax = lib.np, lib.lax

    def escape(cx, cy):
        def body(_, state):
            x, y, count = state
            inside = x * x + y * y < 4.0
            u = np_.where(inside, x * x - y * y + cx, x)
            v = np_.where(inside, 2.0 * x * y + cy, y)
            return u, v, count + np_.where(inside, 1.0, 0.0)

        zero = np_.zeros_like(cx)
        return lax.fori_loop(0, 100, body, (zero, zero, zero))[2]

    n = 1024
    cx = np.broadcast_to(np.linspace(-2, 0.6, n, dtype=np.float32), (n, n))
    cy = np.broadcast_to(np.linspace(-1.3, 1.3, n, dtype=np.float32)[:, None], (n, n))
    return Program(escape, (cx.copy(), cy.copy()))


@row("heat", "512^2, 200 steps, 5-point stencil by pad and slices, scan",
     nbytes=2 * 4 * 512**2, flops=200 * 512**2 * 6)  # fmt: skip
def heat(lib):
    np_ = lib.np

    def step(u, _):
        p = np_.pad(u, 1)
        laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4.0 * u
        return u + 0.2 * laplacian, None

    return Program(lambda u: lib.lax.scan(step, u, None, length=200)[0], (normal(0, 512, 512),))


@row("nbody", "1024 bodies, 10 steps, force by grad of the energy", nbytes=4 * 1024 * 14,
     flops=10 * 1024**2 * 30, tolerance=2e-3)  # fmt: skip
def nbody(lib):
    np_ = lib.np

    def energy(position, mass):
        offset = position[:, None, :] - position[None, :, :]
        distance = np_.sqrt((offset**2).sum(-1) + 1e-2)
        return -0.5 * (mass[:, None] * mass[None, :] / distance).sum()

    force = lib.grad(energy)

    def simulate(position, velocity, mass):
        def step(state, _):
            x, v = state
            v = v - 0.01 * force(x, mass) / mass[:, None]
            return (x + 0.01 * v, v), None

        return lib.lax.scan(step, (position, velocity), None, length=10)[0]

    args = (normal(0, 1024, 3), normal(1, 1024, 3), uniform(2, 0.5, 1.5, 1024))
    return Program(simulate, args)


@row("scan_3x3", "scan of 10,000 steps with a 3x3 float64 carry", x64=True,
     flops=10_000 * 54, tolerance=1e-9)  # fmt: skip
def scan_3x3(lib):
    def run(a, b):
        step = lambda m, _: ((a @ m) * 0.5 + b, None)
        return lib.lax.scan(step, b, None, length=10_000)[0]

    a = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    return Program(run, (a, np.random.default_rng(1).standard_normal((3, 3))))


@row("while_scalar", "while_loop of 20,000 scalar steps", flops=20_000 * 3)
def while_scalar(lib):
    def run(x):
        def body(state):
            i, y = state
            return i + 1, y * 0.9999 + x

        return lib.lax.while_loop(lambda s: s[0] < 20_000, body, (0, x))[1]

    return Program(run, (np.float32(0.5),))


@row("scan_60_leaves", "grad through a scan of 200 steps with 60 scalar leaves",
     flops=200 * 60 * 12, tolerance=1e-3)  # fmt: skip
def scan_60_leaves(lib):
    np_ = lib.np

    def loss(leaves):
        def step(state, _):
            shifted = state[1:] + state[:1]
            return [np_.sin(a) * 0.9 + b * 0.1 for a, b in zip(state, shifted)], None

        return sum(lib.lax.scan(step, leaves, None, length=200)[0])

    leaves = [np.float32(v) for v in uniform(0, -1, 1, 60)]
    return Program(lib.grad(loss), (leaves,))


@row("update_in_loop", "dynamic_update_slice of one element in a loop over 400,000",
     nbytes=2 * 4 * 400_000)  # fmt: skip
def update_in_loop(lib):
    lax = lib.lax

    def run(x):
        def body(i, y):
            previous = lax.dynamic_slice(y, (lax.max(i - 1, 0),), (1,))
            return lax.dynamic_update_slice(y, 0.5 * previous + 1.0, (i,))

        return lax.fori_loop(0, 400_000, body, x)

    return Program(run, (normal(0, 400_000),))
