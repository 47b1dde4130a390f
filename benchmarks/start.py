"""Start: how long scripts take from the interpreter's first instruction to their last result.

Each script runs in processes of its own, all in turns: with empty caches, with the caches of the
run before, and with JAX where it is installed (FX_BENCH_PEER_PYTHON names its interpreter).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.runner import PEER_PYTHON, ROOT

ROUNDS = 5

SCRIPTS = {
    "imports only": "",
    "x + 1, jitted": "print(jit(lambda x: x + 1)(np.ones(1000)).sum())",
    "gradient of tanh": "print(jit(grad(lambda x: np.tanh(x).sum()))(np.ones(1000)).sum())",
    "ten small functions": (
        "for k in range(10): print(jit(lambda x: np.exp(x) * np.arange(k + 1.0).sum())(np.ones(9)))"
    ),
}


def _head(library: str) -> str:
    numpy = "fx.numpy" if library == "fx" else "jax.numpy"
    return f"import {numpy} as np\nfrom {library} import grad, jit\n"


def _milliseconds(python: str, text: str, caches: str) -> float:
    kept = {name: os.path.join(caches, name) for name in ("FX_CACHE_DIR", "POCL_CACHE_DIR")}
    paths = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    command = [python, "-c", text]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | kept | paths)
    return (time.perf_counter() - start) * 1e3


def _jax() -> str | None:
    """The interpreter that has JAX, if there is one."""
    python = os.environ.get(PEER_PYTHON, sys.executable)
    found = subprocess.run([python, "-c", "import jax"], capture_output=True)
    return None if found.returncode else python


def start() -> Iterator[str]:
    """Whole scripts in fresh processes, with empty caches and with those of a run before: ms."""
    jax = _jax()
    yield "| script | fx, empty caches | fx, with caches | jax |\n|---|---|---|---|"
    for what, text in SCRIPTS.items():
        times: dict[str, list[float]] = {"empty": [], "kept": [], "jax": []}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as caches:
                for which in ("empty", "kept"):
                    ms = _milliseconds(sys.executable, _head("fx") + text, caches)
                    times[which].append(ms)
                if jax is not None:
                    times["jax"].append(_milliseconds(jax, _head("jax") + text, caches))
        cells = [f"{statistics.median(t):.0f}" if t else "–" for t in times.values()]
        yield f"| {what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    for line in start():
        print(line, flush=True)
