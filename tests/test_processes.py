"""The run-time and its process: Ctrl-C, the end, a forked child. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.driver


def run_python(text, **env):
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True,
                          env=os.environ | env, timeout=600)  # fmt: skip
    return done.stdout + done.stderr


def test_ctrl_c_during_a_long_loop_leaves_the_library_usable():
    text = """
import os, signal, sys, threading, time
import numpy as np
sys.path.insert(0, "tests")
from test_runtime import *
d = devices.default_device()
p = plan([f32(0, "input"), f32(1, "output", alias=0), f32(2, "temp")],
         [LoopStep((launch("rolls", 1, 2),), 30_000_000, swaps=((1, 2),))], (0,), (1,))
exe = Executable(p, d)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begin = time.time()
try:
    exe([d.put(X)])
except KeyboardInterrupt:
    print("interrupted", time.time() - begin < 20)
print("usable", run(ADD, d, X, X)[0][3])
"""
    out = run_python(text)
    assert "interrupted True" in out, out
    assert "usable 6.0" in out, out


def test_the_end_of_the_process_waits_for_what_is_enqueued():
    text = """
import atexit
import fx
from fx import lax
from lowering.runtime import devices, programs
d = devices.default_device()
atexit.register(lambda: print("finished", d.idle()))  # before the queue's own, so it runs after
g = fx.jit(lambda y: lax.fori_loop(1, 2_000_000, lambda i, y: y.at[i % 99].set(y[i % 7] * .5), y))
g(fx.numpy.ones(99))
"""
    assert run_python(text).strip().endswith("finished True")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_says_that_it_cannot_use_the_device():
    text = """
import os, signal, sys
sys.path.insert(0, "tests")
from test_runtime import *
d = devices.default_device()
exe = Executable(ADD, d)
print("parent", results(ADD, d, *exe([d.put(X), d.put(X)]))[0][3])
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        results(ADD, d, *exe([d.put(X), d.put(X)]))
    except DeviceError as e:
        print("child", "forked" in str(e), flush=True)
    os._exit(0)
print("ended", os.waitpid(child, 0)[1])
print("parent", results(ADD, d, *exe([d.put(X), d.put(X)]))[0][3])
"""
    out = run_python(text)
    assert out.split("\n")[:4] == ["parent 6.0", "child True", "ended 0", "parent 6.0"], out


WORK = {
    "waits": "(g if k % 2 else long)(big).block_until_ready()",
    "reads": "np.asarray(g(big)).sum()",
    "builds": "fx.jit(lambda x: jnp.sin(x) * next(count) + k + jnp.cumsum(x) @ x)(big[0])",
    "trees": "fx.tree.map(lambda x: x, (1, {'a': fx.tree_util.Partial(len, k)}))",
}


@pytest.mark.parametrize("work", WORK)
def test_threads_that_go_on_do_not_crash_the_end_of_python(work):
    text = f"""
import itertools, threading, time
import numpy as np
import fx, fx.numpy as jnp
big, count = jnp.ones((300, 300)), itertools.count()
g = fx.jit(lambda a: jnp.tanh(a @ a))
long = fx.jit(lambda a: fx.lax.fori_loop(0, 3000, lambda i, c: jnp.sin(c) + 1, a))
g(big), long(big)
def work(k):
    while True: {WORK[work]}
for k in range(4): threading.Thread(target=work, args=(k,), daemon=True).start()
time.sleep(0.5)
print("ends")
"""
    for _ in range(2):
        assert run_python(text) == "ends\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_by_a_thread_ends():
    text = """
import os, threading
import fx, fx.numpy as jnp
f = fx.jit(lambda x: x * 2 + 1)
f(jnp.ones(3))
def work():
    child = os.fork()
    if child == 0:
        print(float(f(jnp.ones(3))[0]), flush=True)
        return
    print("ended", os.waitpid(child, 0)[1], flush=True)
t = threading.Thread(target=work)
t.start()
t.join()
"""
    assert sorted(run_python(text).split("\n")) == ["", "3.0", "ended 0"]
