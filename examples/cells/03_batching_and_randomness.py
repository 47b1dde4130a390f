"""# Batching and randomness

`vmap` turns a function of one thing into a function of many; keys make random numbers without
hidden state. Together: gradients of each example, Monte Carlo integrals, thousands of Markov
chains at once.
"""

# %%
import matplotlib.pyplot as plt
import numpy as onp

import fx
import fx.numpy as np
from fx import grad, jit, lax, random, vmap

plt.rcParams["figure.dpi"] = 60  # small pictures

# %% [markdown]
# ## vmap
#
# Write the function for one example and forget the batch. `in_axes` says for each argument which
# axis is the batch; `None` says that all examples share the argument. For a tree it is a number for
# all leaves, or a tree of numbers.


# %%
def predict(layer, x):  # x: one example, [3]
    return np.tanh(layer["w"] @ x + layer["b"])


layer = {"w": random.normal(random.key(0), (4, 3)), "b": np.zeros(4)}
batch = random.normal(random.key(1), (10, 3))
print(vmap(predict, in_axes=(None, 0))(layer, batch).shape)
print(vmap(predict, in_axes=(None, 1), out_axes=1)(layer, batch.T).shape)

layers = {"w": random.normal(random.key(2), (5, 4, 3)), "b": np.zeros(4)}  # five matrices, one b
print(vmap(predict, in_axes=({"w": 0, "b": None}, None))(layers, batch[0]).shape)

# %% [markdown]
# It is no loop. The function is traced once, and each operation is replaced by its batched form:
# ten products of a matrix and a vector become one product of matrices.

# %%
for equation in fx.make_jaxpr(vmap(predict, (None, 0)))(layer, batch).eqns:
    print(equation.primitive.name, [v.aval.shape for v in equation.invars], "->",
          equation.outvars[0].aval.shape)  # fmt: skip

# %% [markdown]
# It nests. All pairs, from a function of two points:

# %%
distance = lambda a, b: np.sqrt(np.sum((a - b) ** 2))
pairs = vmap(vmap(distance, (None, 0)), (0, None))
difference = pairs(batch, batch) - onp.linalg.norm(batch[:, None] - batch[None], axis=-1)
print(pairs(batch, batch).shape, float(abs(difference).max()))

# %% [markdown]
# Control flow is batched, too. Lanes of a `while_loop` run until the last of them is done, and each
# keeps its own count; Collatz' sequences from 1 to 20:


# %%
def collatz(n):
    def step(state):
        n, count = state
        return np.where(n % 2 == 0, n // 2, 3 * n + 1), count + 1

    return lax.while_loop(lambda state: state[0] != 1, step, (n, 0))[1]


print(jit(vmap(collatz))(np.arange(1, 21)))

# %% [markdown]
# A Python `if` on a batched value cannot be: there are many values. The error says so;
# `np.where` and `lax.cond` are what to write instead.

# %%
try:
    vmap(lambda x: x if x > 0 else 0.0)(np.array([1.0, -1.0]))
except Exception as error:
    print(type(error).__name__, ":", error)
print(vmap(lambda x: np.where(x > 0, x, 0.0))(np.array([1.0, -1.0])))

# %% [markdown]
# With `axis_name`, examples can speak with each other: sums, means and maxima over the batch.

# %%
centred = vmap(lambda x: x - lax.pmean(x, "batch"), axis_name="batch")
print(centred(np.array([1.0, 2.0, 6.0])))

# %% [markdown]
# ## A gradient for each example
#
# `grad` of a mean is one gradient. `vmap(grad(..))` is one for each example, and their mean is the
# same. Here the largest are cut before they are averaged, so that an outlier cannot spoil the step.
# (`fx.per_example_grads(loss, w, batch, targets)` is a short form.)


# %%
def loss(w, x, y):  # one example
    return (w @ x - y) ** 2


w, targets = np.zeros(3), (batch @ np.array([1.0, -2.0, 0.5])).at[7].add(100.0)  # an outlier
gradients = vmap(grad(loss), in_axes=(None, 0, 0))(w, batch, targets)
whole = grad(lambda w: np.mean(vmap(loss, (None, 0, 0))(w, batch, targets)))(w)
print(gradients.shape, np.allclose(gradients.mean(0), whole, rtol=1e-4))

norms = np.linalg.norm(gradients, axis=1, keepdims=True)
clipped = gradients * np.minimum(1.0, 5.0 / norms)
print(np.array_equal(gradients, fx.per_example_grads(loss, w, batch, targets)))
print("norms:", norms[:, 0].round(1))
print("mean:", gradients.mean(0), "of the clipped:", clipped.mean(0))

# %% [markdown]
# ## Keys
#
# A random function takes a key and gives always the same numbers for it. New numbers need a new
# key: `split` makes keys from a key, `fold_in` makes one from a key and a number. Nothing is stored
# anywhere, so results depend neither on the order of calls nor on `vmap`, and `jit` draws the same
# bits.

# %%
key = random.key(0)
print(random.normal(key, (3,)), random.normal(key, (3,)))  # the same
a, b = random.split(key)
print(random.normal(a, (3,)), random.normal(b, (3,)))

keys = random.split(key, 4)
rows = vmap(lambda k: random.normal(k, (3,)))(keys)
print(np.array_equal(rows[2], random.normal(keys[2], (3,))))
print(np.array_equal(jit(random.bits)(keys[1]), random.bits(keys[1])))
print(random.normal(random.fold_in(key, 17)))  # of step 17, without sixteen splits

# %% [markdown]
# The classical mistake is to use a key twice: what should be independent is not.

# %%
spread = lambda a, b: float(
    np.corrcoef(random.normal(a, (1000,)), random.uniform(b, (1000,)))[0, 1]
)
print("correlation with one key:", round(spread(key, key), 3))
print("with two:", round(spread(*random.split(key)), 3))

# %% [markdown]
# The usual distributions are there, and choices and permutations:

# %%
draws = {
    "uniform": random.uniform(a, (100_000,)),
    "gamma(3)": random.gamma(a, 3.0, (100_000,)),
    "poisson(4)": random.poisson(a, 4.0, (100_000,)),
    "beta(2, 5)": random.beta(a, 2.0, 5.0, (100_000,)),
}
for name, x in draws.items():
    print(f"{name:10s} mean {float(x.mean()):.3f} variance {float(x.astype('float32').var()):.3f}")
print(random.permutation(a, 8), random.choice(b, 8, (4,), replace=False))
print(random.categorical(a, np.log(np.array([0.1, 0.2, 0.7])), shape=(12,)))

# %% [markdown]
# ## Monte Carlo
#
# The mean over many points is an integral, with an error that falls like 1/√n. Under `jit` the
# points are never stored: they are made, used and summed in the same kernels, as the memory of the
# compiled program tells.


# %%
def quarter(key, n):
    x, y = random.uniform(key, (2, n))
    return 4.0 * np.mean(x**2 + y**2 < 1.0)


estimate = jit(vmap(quarter, (0, None)), static_argnums=1)
for n in (100, 10_000, 1_000_000):
    found = estimate(random.split(key, 16), n)
    print(f"{n:9d} mean {float(found.mean()):.5f} spread {float(found.std()):.5f} "
          f"expected {float(np.sqrt(np.pi * (4 - np.pi) / n)):.5f}")  # fmt: skip
print(jit(lambda key: quarter(key, 1_000_000)).lower(key).compile().memory_analysis())

# %% [markdown]
# ### Gradients through samples
#
# Numbers that a formula makes from a key are a differentiable function of the formula's parameters.
# The price of a European option is a mean over final prices; its sensitivities, the Greeks, are its
# gradient. Black and Scholes' formula, differentiated in the same way, says whether they are right.


# %%
def simulated(p, key):
    z = random.normal(key, (400_000,))
    z = np.concatenate([z, -z])  # antithetic: halves of the error cancel
    final = p["spot"] * np.exp(
        (p["rate"] - p["vol"] ** 2 / 2) * p["time"] + p["vol"] * np.sqrt(p["time"]) * z
    )
    return np.exp(-p["rate"] * p["time"]) * np.mean(np.maximum(final - 100.0, 0.0))


def exact(p):
    cdf = fx.scipy.stats.norm.cdf
    spread = p["vol"] * np.sqrt(p["time"])
    d = (np.log(p["spot"] / 100.0) + (p["rate"] + p["vol"] ** 2 / 2) * p["time"]) / spread
    return p["spot"] * cdf(d) - 100.0 * np.exp(-p["rate"] * p["time"]) * cdf(d - spread)


option = {"spot": 105.0, "rate": 0.03, "vol": 0.2, "time": 0.5}
price, greeks = jit(fx.value_and_grad(simulated))(option, key)
formula = fx.value_and_grad(exact)(option)
print(f"price {float(price):8.4f} {float(formula[0]):8.4f}")
for name in option:
    print(f"{name:5s} {float(greeks[name]):8.4f} {float(formula[1][name]):8.4f}")

# %% [markdown]
# ### Markov chains
#
# A step of Metropolis' algorithm for one chain; `scan` makes the chain, `vmap` makes two thousand,
# `jit` puts all steps of all of them into a few launches. The density is known by its logarithm
# alone, without a constant: here a ring with a
# hill on it.


# %%
def log_density(q):
    return np.logaddexp(-20 * (q[0] ** 2 + q[1] ** 2 - 1) ** 2, -8 * np.sum((q - 1.0) ** 2))


def chain(key):
    def step(q, key):
        move, accept = random.split(key)
        trial = q + 0.4 * random.normal(move, (2,))
        take = np.log(random.uniform(accept)) < log_density(trial) - log_density(q)
        return np.where(take, trial, q), take

    start, key = np.zeros(2), random.split(key, 300)
    q, taken = lax.scan(step, start, key)
    return q, taken.mean()


sample = jit(vmap(chain))
points, rate = sample(random.split(random.key(5), 2000))
before = fx.debug.counters()
points, rate = sample(random.split(random.key(6), 2000))
points.block_until_ready()
print("600,000 steps,", (fx.debug.counters() - before).launches, "launches")
radius = np.linalg.norm(points, axis=1)
print(f"accepted {float(rate.mean()):.2f}, mean radius {float(radius.mean()):.3f}")
plt.figure(figsize=(3.2, 3))
plt.plot(*onp.asarray(points).T, ".", ms=2)
plt.axis("equal")
plt.show()
