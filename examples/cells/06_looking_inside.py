"""# Looking inside

What a function became, what a call did, where the time goes, why an error came: each with the
function or the variable that shows it.
"""

# %%
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fx
import fx.numpy as np
from fx import grad, jit, lax, random, vmap
from fx.experimental import checkify

fx.print_environment_info()
print(fx.devices(), fx.default_backend())

# %% [markdown]
# ## The program: make_jaxpr
#
# A function is traced with abstract values to a list of equations. Every equation has a primitive,
# and knows the line that it comes from.


# %%
def attention(q, k, v):
    with fx.named_scope("scores"):
        scores = q @ k.T / np.sqrt(q.shape[-1])
    return fx.nn.softmax(scores) @ v


q = random.normal(random.key(0), (64, 32))
jaxpr = fx.make_jaxpr(attention)(q, q, q)
print(jaxpr)
print(jaxpr.out_avals, [e.primitive.name for e in jaxpr.eqns][:4])

# %% [markdown]
# `eval_shape` gives shapes and dtypes alone and computes nothing, however large the arrays:

# %%
large = fx.ShapeDtypeStruct((1_000_000, 32), np.float32)
print(fx.eval_shape(attention, large, large, large))

# %% [markdown]
# ## The plan: explain
#
# `jit` fuses the equations into few kernels. `explain` says which, what they read and write, and
# for each pair that is not fused, why not. Here the division is done by the kernel of the first
# product, and softmax, with its two folds, is a kernel of its own.

# %%
print(fx.explain(attention)(q, q, q))

# %% [markdown]
# ## The text: lower, compile, as_text
#
# The stages of `jit`, one by one: traced and lowered, compiled, and the OpenCL C that the driver
# got. It is readable: a loop over vectors, and one for what is left.

# %%
lowered = jit(lambda a, b: a * b + 1.0).lower(np.ones(1000), np.ones(1000))
compiled = lowered.compile()
text = compiled.as_text()
print(text[text.index("stage_0") :])
print(compiled.cost_analysis(), compiled.memory_analysis(), sep="\n")

# %% [markdown]
# `FX_DUMP` prints every stage of everything that is compiled, to stderr; here of a program of its
# own, with `graph` and `groups`.


# %%
def program(text, **variables):
    """What a program prints, run with these environment variables."""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True,
                          env=os.environ | variables)  # fmt: skip
    return (done.stdout + done.stderr).strip()


softmax = "import fx; fx.jit(fx.nn.softmax)(fx.numpy.ones((4, 16)))"
print(program(softmax, FX_DUMP="graph,groups", FX_BUILDERS="0"))

# %% [markdown]
# ## What a call did: counters
#
# Launches of kernels, programs that were built, host steps, copies, bytes. The difference of two
# readings tells what happened between. The first call builds, the second launches.

# %%
f = jit(lambda x: np.exp(x - x.max()).sum())
x = np.ones(100_000)
for _ in range(2):
    before = fx.debug.counters()
    f(x).block_until_ready()
    print(fx.debug.counters() - before)

# %% [markdown]
# `live_arrays` and `device_memory_profile` say what holds memory.

# %%
held = np.zeros((500, 500)) + 1
print(max(fx.live_arrays(), key=lambda a: a.nbytes).shape)
print(b"float32[500, 500]" in fx.profiler.device_memory_profile())

# %% [markdown]
# ## Where the time goes: the profiler
#
# `trace` times each launch on the device's clock, by function and by the labels of `named_scope`.
# With a folder it writes a file for ui.perfetto.dev. (Times are of the machine that ran this.)


# %%
@jit
def forward(w, x):
    with fx.named_scope("layers"):
        for _ in range(3):
            x = np.tanh(x @ w)
    with fx.named_scope("head"):
        return np.sort(x, axis=0)[0]


w, batch = random.normal(random.key(1), (512, 512)) / 22, np.ones((512, 512))
forward(w, batch).block_until_ready()
folder = tempfile.mkdtemp()
with fx.profiler.trace(folder) as profile, fx.profiler.TraceAnnotation("one step"):
    forward(w, batch).block_until_ready()
print(profile.table())
print(profile.path.name, {e["name"] for e in profile.events if e["name"] == "one step"})

# %% [markdown]
# ## Why it is traced again
#
# A jitted function is traced once for each combination of shapes, dtypes and static arguments.
# `log_compiles` tells when, and what changed; a Python number is not a shape and changes nothing.

# %%
logging.basicConfig(stream=sys.stdout, format="%(message)s", force=True)
g = jit(lambda x, scale: x * scale)
with fx.log_compiles(True):
    g(np.ones(3), 2.0)
    g(np.ones(3), 5.0)  # another value: nothing
    g(np.ones(4), 2.0)
    g(np.ones(4), 2)  # an integer is another dtype

# %% [markdown]
# ## The caches
#
# Plans and programs are kept on disk, in `FX_CACHE_DIR` (by default `~/.cache/fx`), so that another
# process builds nothing. The same program twice, with a cache that was empty:

# %%
cache = {"FX_CACHE_DIR": str(Path(folder) / "fx"), "POCL_CACHE_DIR": str(Path(folder) / "pocl")}
count = softmax + "; c = fx.debug.counters(); print('builds', c.compiles, 'plans', c.plans_loaded)"
print(program(count, FX_BUILDERS="0", **cache))
print(program(count, FX_BUILDERS="0", **cache))

# %% [markdown]
# Other variables choose the device (`FX_DEVICE`), keep builds in this process (`FX_BUILDERS=0`) or
# set flags (`JAX_ENABLE_X64=1`); [environment.md](../docs/environment.md) has them all. The
# interpreter runs everything in NumPy, without a driver:

# %%
dtype = "import fx, fx.numpy as np; print(fx.devices()[0], fx.jit(np.sin)(np.ones(2)).dtype)"
print(program(dtype, FX_DEVICE="interpreter", JAX_ENABLE_X64="1"))

# %% [markdown]
# ## Values inside: debug.print and callback
#
# A traced value has no number, so `print` shows its type. `debug.print` prints when the number is
# there, under `jit`, for each lane of a `vmap`, in the steps of a loop. `disable_jit` runs the
# function operation by operation, with numbers for Python's `print` and its debugger.


# %%
@jit
def series(x):
    def step(total, k):
        total = total + x**k / k
        fx.debug.print("step {k}: {t:.4f}", k=k, t=total, ordered=True)
        return total, None

    print("while tracing:", x)
    return lax.scan(step, 0.0, np.arange(1.0, 4.0))[0]


series(0.5).block_until_ready()
fx.effects_barrier()
with fx.disable_jit():
    jit(lambda x: print("operation by operation:", x))(np.ones(2))

# %% [markdown]
# ## Where a NaN comes from
#
# With `debug_nans` every result is looked at; the function that made one is run again operation by
# operation, and the error names the operation. In the second part, `checkify` collects errors
# inside jitted code, of conditions that you write and of indices.


# %%
def report(call):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, ":", error)


with fx.debug_nans(True):
    report(lambda: jit(lambda x: np.sum(np.log(x - 1.0)))(np.zeros(3)))


def root(x, i):
    checkify.check(np.all(x > 0), "all must be positive, the least is {m}", m=x.min())
    return np.sqrt(x)[i]


checked = jit(checkify.checkify(root, errors=checkify.user_checks | checkify.index_checks))
for arguments in ((np.ones(3), 1), (-np.ones(3), 1), (np.ones(3), 7)):
    problem, _ = checked(*arguments)
    print(problem.get())

# %% [markdown]
# ## Errors
#
# Most come while the function is traced, before anything is launched. They say what was given (the
# shapes, the argument, or your line), and often the way out; [errors.md](../docs/errors.md) has
# more.

# %%
report(lambda: jit(lambda x: np.concatenate([x, np.ones((2, 4))]))(np.ones((2, 3))))
report(lambda: jit(lambda n: np.arange(n))(3))
report(lambda: grad(lambda x: x.astype(int))(1.0))
report(lambda: vmap(lambda a, b: a + b)(np.ones(3), np.ones(4)))
report(lambda: lax.scan(lambda c, x: (c + x, None), np.int32(0), np.ones(3)))
gone = np.ones(3)
jit(lambda x: x + 1, donate_argnums=0)(gone)
report(lambda: gone + 1)
report(lambda: np.ones(3).__setitem__(0, 1.0))
