"""# Quick start

Functions over arrays, and transformations of such functions: `grad`, `vmap`, `jit` and their kin.
Names and meaning are JAX's (`fx` for `jax`, `fx.numpy` for `jax.numpy`); `jit` makes OpenCL
kernels. Every idea once, in a few minutes; further notebooks go on with
[derivatives](02_derivatives.ipynb), [batches and random numbers](03_batching_and_randomness.ipynb),
[training](04_training.ipynb), [science](05_science.ipynb) and
[looking inside](06_looking_inside.ipynb).
"""

# %%
import matplotlib.pyplot as plt
import numpy as onp

import fx
import fx.numpy as np
from fx import grad, jit, lax, random, vmap

plt.rcParams["figure.dpi"] = 60  # small pictures

# %% [markdown]
# ## Arrays
#
# NumPy's functions, on immutable arrays; floats have 32 bits unless asked otherwise. Outside `jit`
# nothing is compiled: on a CPU device each operation is NumPy on the array's own memory, and
# NumPy's functions take an `Array` as it is. An update makes a new array.

# %%
x = np.linspace(-4, 4, 200)
y = np.exp(-(x**2)) * np.sin(5 * x)
print(type(y).__name__, y.shape, y.dtype, float(y.max()))
z = y.at[105:125].set(0.0)
print(float(y[110]), float(z[110]), onp.median(y))  # y is as it was
plt.figure(figsize=(6, 2.5))
plt.plot(x, y, x, z, "--")
plt.show()

# %% [markdown]
# ## Gradients
#
# `grad` takes a function and gives a function. It nests. Python's control flow works, since the
# values are there.


# %%
def bump(x):
    if x > 2:  # an ordinary if
        return x * 0.0
    return np.exp(-(x**2)) * np.sin(5 * x)


first, second = grad(bump), grad(grad(bump))
plt.figure(figsize=(6, 2.5))
for f, label in ((bump, "f"), (first, "f'"), (second, "f''")):
    plt.plot(x[::2], [float(f(v)) for v in x[::2]], label=label)
plt.legend()
plt.show()
print(float(first(0.3)))

# %% [markdown]
# ## Batches
#
# `vmap` turns a function of one thing into a function of many. Here: the gradient at every point,
# with no loop.


# %%
def smooth(x):
    return np.exp(-(x**2)) * np.sin(5 * x)


slopes = vmap(grad(smooth))(x)
print(slopes.shape, float(abs(slopes - onp.gradient(y, x)).max()))

# %% [markdown]
# ## What a function is
#
# A function is traced to a *jaxpr*: a list of primitive operations. Every transformation reads and
# writes these, so they combine in any order.

# %%
print(fx.make_jaxpr(smooth)(1.0))
print(fx.make_jaxpr(grad(smooth))(1.0))

# %% [markdown]
# ## Compilation
#
# `jit` lowers the jaxpr to fused kernels. The first call with arguments of new shapes or dtypes
# traces and builds, later ones launch. Counters tell what a call did: this one is a single kernel,
# however many operations it has. A call returns at once; `float`, `print` or `block_until_ready`
# wait for its result.


# %%
@jit
def wave(x):
    return vmap(grad(smooth))(x) + np.tanh(x) * np.cos(x) ** 2


wave(x)  # the first call builds
before = fx.debug.counters()
wave(x)
used = fx.debug.counters() - before
print("launches:", used.launches, "builds:", used.compiles)

# %% [markdown]
# The kernel can be read:

# %%
source = jit(lambda a, b: np.exp(a + b) - a).lower(x, x).compile().as_text()
print(source[source.index("stage_0") :])

# %% [markdown]
# ## Two modes
#
# Forward mode (`jvp`) pushes a tangent along with the value: good for few inputs. Reverse mode
# (`vjp`) pulls a cotangent back: good for few outputs. Together they make Jacobians and
# Hessians.


# %%
def rosenbrock(p):
    return ((1 - p[:-1]) ** 2 + 100 * (p[1:] - p[:-1] ** 2) ** 2).sum()


p = np.array([0.5, -0.3, 1.2])
value, tangent = fx.jvp(rosenbrock, (p,), (np.array([1.0, 0.0, 0.0]),))
value, pull = fx.vjp(rosenbrock, p)
print(tangent, pull(np.ones_like(value))[0])
print(fx.hessian(rosenbrock)(p))
product = lambda v: fx.jvp(grad(rosenbrock), (p,), (v,))[1]  # a Hessian never formed
print(product(np.array([1.0, 0.0, 0.0])))

# %% [markdown]
# ## Random numbers
#
# A key in, numbers out; no hidden state. The bits are JAX's, whose
# `jax.random.normal(jax.random.key(0), (2,))` is [1.6226, 2.0253] as well.

# %%
key = random.key(0)
key, sub = random.split(key)
samples = random.normal(sub, (20_000,))
plt.figure(figsize=(6, 2.5))
plt.hist(onp.asarray(samples), bins=80, density=True)
plt.show()
print(random.normal(random.key(0), (2,)))

# %% [markdown]
# ## Loops
#
# `scan`, `while_loop`, `fori_loop` and `cond` stay one operation in the jaxpr, are differentiable
# and batchable, and often become one kernel for all steps and all lanes. Here six pendulums take
# 400 steps in a single launch.


# %%
def pendulum(angle, drag):
    def step(state, _):
        theta, omega = state
        omega = omega - 0.05 * (np.sin(theta) + drag * omega)
        theta = theta + 0.05 * omega
        return (theta, omega), theta

    return lax.scan(step, (angle, 0.0), None, length=400)[1]


angles = np.linspace(0.3, 3.0, 6)
paths = jit(vmap(pendulum, in_axes=(0, None)))(angles, 0.05)
plt.figure(figsize=(6, 2.5))
plt.plot(onp.asarray(paths).T)
plt.show()
print(fx.explain(vmap(pendulum, in_axes=(0, None)))(angles, 0.05).launches, "launch")
print(grad(lambda d: pendulum(2.0, d)[-1])(0.05))  # through all 400 steps

# %% [markdown]
# ## Trees
#
# Arguments may be nested lists, tuples, dictionaries; gradients come back in the same form. A
# training step is one jitted function; what it updates is donated: the results take its memory, and
# the old parameters are gone.

# %%
points = random.uniform(random.key(1), (256, 2), minval=-1.5, maxval=1.5)
labels = ((points**2).sum(-1) < 1.0).astype(np.float32)


def network(parameters, point):
    h = np.tanh(point @ parameters["w1"] + parameters["b1"])
    return (h @ parameters["w2"] + parameters["b2"])[..., 0]


def loss(parameters):
    score = network(parameters, points)
    return np.mean(np.logaddexp(0.0, score) - labels * score)


def update(parameters):
    value, gradient = fx.value_and_grad(loss)(parameters)
    return fx.tree.map(lambda p, g: p - 1.0 * g, parameters, gradient), value


k1, k2 = random.split(random.key(2))
parameters = {
    "w1": random.normal(k1, (2, 16)),
    "b1": np.zeros(16),
    "w2": random.normal(k2, (16, 1)) * 0.3,
    "b2": np.zeros(1),
}
step = jit(update, donate_argnums=0)
losses = []
for _ in range(400):
    old, (parameters, value) = parameters, step(parameters)
    losses.append(float(value))
print(losses[0], losses[-1], old["w1"].is_deleted())

# %%
ticks = np.linspace(-1.5, 1.5, 80)
grid = np.stack(np.meshgrid(ticks, ticks), -1)
inside = jit(lambda p, g: fx.nn.sigmoid(network(p, g)))(parameters, grid)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(losses)
right.contourf(onp.asarray(inside), extent=(-1.5, 1.5, -1.5, 1.5), levels=20)
right.scatter(*onp.asarray(points).T, c=onp.asarray(labels), s=6, cmap="gray")
plt.show()

# %% [markdown]
# ## Own rules
#
# `custom_vjp` replaces the derivative of a function, for numerical reasons or others. `checkpoint`
# computes intermediate values again in the backward pass rather than keep them.


# %%
@fx.custom_vjp
def clip_gradient(x):
    return x


clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
print(grad(lambda x: 100.0 * clip_gradient(x))(3.0))

deep = lambda x: np.sin(np.sin(np.sin(x)))
print(grad(fx.checkpoint(deep))(1.0), grad(deep)(1.0))

# %% [markdown]
# ## Mistakes
#
# Shapes are checked when the function is traced, before anything is launched. Inside `jit` a value
# is abstract, and a Python `if` on it says so.

# %%
for wrong in (lambda: np.ones((2, 3)) @ np.ones((2, 3)), lambda: jit(bump)(1.0)):
    try:
        wrong()
    except Exception as error:
        print(type(error).__name__, ":", str(error).strip().splitlines()[0])
