"""The same program gives the same bits: in two runs, two processes, on one core and on two."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import array, lax

PROGRAM = "import sys, tests.test_same_bits as t; t.main(int(sys.argv[1]))"


def _network(w, v, x):
    h = fx.nn.gelu(x @ w)
    h = (h - h.mean(-1, keepdims=True)) / fnp.sqrt(h.var(-1, keepdims=True) + 1e-5)
    return -(fx.nn.log_softmax(h @ v) * x[:, :10]).mean()


def _scatter(x, i):
    return fnp.zeros(50).at[i % 50].add(x.sum(-1)[: i.shape[0]])


def _waves(x):
    def turn(c, _):
        return fnp.roll(c, 1, 0) * 0.5 + fnp.sin(c) * 0.25, c.sum()

    return lax.scan(turn, x, None, length=20)


def programs():
    """Functions with their arguments, each larger than one core would be given at once."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 300)).astype(np.float32)
    w = rng.standard_normal((300, 200)).astype(np.float32) / 20
    v = rng.standard_normal((200, 10)).astype(np.float32) / 20
    i = rng.integers(0, 10_000, 900).astype(np.int32)
    image = rng.standard_normal((4, 3, 40, 40)).astype(np.float32)
    kernel = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
    convolve = lambda a, k: lax.conv(a, k, (1, 1), "SAME")
    return {
        "sum": (lambda x: (x.sum(), x.sum(0), (x * x).mean(1), fnp.cumsum(x, 0)), (x,)),
        "network": (fx.value_and_grad(_network, argnums=(0, 1, 2)), (w, v, x)),
        "scatter": (_scatter, (x, i)),
        "waves": (_waves, (x[:200],)),
        "convolution": (fx.grad(lambda *a: (convolve(*a) ** 2).sum(), argnums=(0, 1)),
                        (image, kernel)),
        "random": (lambda: fx.random.normal(fx.random.key(1), (70_000,)), ()),
        "order": (lambda x: (fnp.sort(x, 0), fnp.argsort(x[0]), lax.top_k(x, 3)), (x,)),
        "logsumexp": (fx.grad(lambda x: fx.nn.logsumexp(x * 3)), (x,)),
    }  # fmt: skip


def digest(out):
    """A hash of the bits of all leaves."""
    return hashlib.sha256(
        b"".join(np.asarray(x).tobytes() for x in fx.tree.leaves(out))
    ).hexdigest()


def main(threads: int) -> None:
    """Print the digests of two runs of every program."""
    fx.set_num_threads(threads)
    found = {}
    for name, (f, args) in programs().items():
        jitted = fx.jit(f)
        found[name] = [digest(jitted(*args)) for _ in range(2)]
    print(json.dumps([array.default_device().profile.compute_units, found]))


@pytest.mark.driver
def test_bits_do_not_depend_on_run_process_or_cores():
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, threads], env=environment,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
        )
        for threads in ("1", "2", "2")
    ]  # fmt: skip
    (one, first), (two, second), (_, third) = (
        json.loads(p.communicate(timeout=600)[0]) for p in processes
    )
    if array.default_device().driver == "pocl":
        assert (one, two) == (1, 2)  # the number of threads was heard
    for name in first:
        runs = {*first[name], *second[name], *third[name]}
        assert len(runs) == 1, name
