"""# Derivatives

Every way to a derivative, the checks that it is right, and what they are good for: at the end a
curve is fitted by Gauss and Newton, with error bars. The [quick start](01_quickstart.ipynb) comes
first.
"""

# %%
import matplotlib.pyplot as plt
import numpy as onp

import fx
import fx.numpy as np
from fx import grad, jit, lax, random, value_and_grad, vmap

plt.rcParams["figure.dpi"] = 60  # small pictures

# %% [markdown]
# ## grad and value_and_grad
#
# `grad(f)` is a function of the same arguments. It differentiates by the first of them, or by those
# that `argnums` names. The result has the form of the argument: a tree for a tree.


# %%
def loss(weights, x, y):
    return np.mean((x @ weights["w"] + weights["b"] - y) ** 2)


weights = {"w": np.array([1.0, -1.0]), "b": 0.5}
x, y = random.normal(random.key(0), (8, 2)), np.ones(8)
print(grad(loss)(weights, x, y))
print(grad(loss, argnums=(0, 2))(weights, x, y)[1])  # by y, too

# %% [markdown]
# `value_and_grad` gives both and computes the value once. What else a function knows goes out by
# `has_aux`.


# %%
def loss_and_residual(weights, x, y):
    residual = x @ weights["w"] + weights["b"] - y
    return np.mean(residual**2), residual


(value, residual), gradient = value_and_grad(loss_and_residual, has_aux=True)(weights, x, y)
print(float(value), residual.shape, gradient["b"])

# %% [markdown]
# ## Forward: jvp. Reverse: vjp
#
# At a point x, a function has a linear map J. `jvp` applies J to a tangent, while it computes the
# value. `vjp` gives a function that applies the transpose of J to a cotangent. Neither forms J, and
# ⟨c, J t⟩ = ⟨Jᵀ c, t⟩.


# %%
def f(x):
    return np.stack([x[0] * np.sin(x[1]), x[1] * x[2], np.exp(-x[0]), x.sum()])


x = np.array([0.5, 1.0, -2.0])
t, c = np.array([1.0, 0.0, 2.0]), np.array([1.0, -1.0, 3.0, 0.5])
value, tangent = fx.jvp(f, (x,), (t,))
value, pull = fx.vjp(f, x)
print(tangent)
print((f(x + 1e-3 * t) - f(x - 1e-3 * t)) / 2e-3)  # a difference says the same
print(float(c @ tangent), float(pull(c)[0] @ t))

# %% [markdown]
# `linearize` is `jvp` in two parts: the value now, tangents as often as you like, without computing
# the value again. The second part is a linear program; sine and exponential have been computed when
# it begins:

# %%
value, push = fx.linearize(lambda x: np.sin(x) * np.exp(x), x)
print(push(t))
print(fx.make_jaxpr(push)(t))

# %% [markdown]
# ## Jacobians and Hessians
#
# `jacfwd` pushes a tangent for each input, `jacrev` pulls a cotangent for each output; they agree.
# The first is for many outputs, as the operations of both tell; the second is for many inputs.
# (`jacobian` is another name of `jacrev`.)

# %%
print(fx.jacfwd(f)(x))
print(float(abs(fx.jacfwd(f)(x) - fx.jacrev(f)(x)).max()))

tall = lambda p: np.sin(p[0] * np.arange(1000.0) + p[1])  # two inputs, a thousand outputs
for jacobian in (fx.jacfwd, fx.jacrev):
    cost = jit(jacobian(tall)).lower(np.ones(2)).compile().cost_analysis()
    print(jacobian.__name__, cost["flops"])

# %% [markdown]
# A Hessian is a Jacobian of a gradient. A product with it needs no Hessian: the gradient's `jvp`
# (`fx.hvp`) costs a few times what the function costs, in any dimension.


# %%
def energy(x):
    return np.sum(np.cos(x)) + np.prod(x)


print(fx.hessian(energy)(x))
print(fx.hessian(energy)(x) @ t, fx.hvp(energy, (x,), (t,)))
many = np.linspace(0.5, 1.5, 1_000_000)  # its Hessian would have 10^12 entries
print(jit(lambda v: fx.hvp(lambda x: np.sum(np.cos(x)) ** 2, (many,), (v,)))(many).shape)

# %% [markdown]
# Derivatives nest as deeply as one likes. The fourth derivative of the sine is the sine:

# %%
fourth = grad(grad(grad(grad(np.sin))))
print(float(fourth(0.7)), float(np.sin(0.7)))

# %% [markdown]
# ## Where derivatives surprise
#
# A maximum that is shared is shared evenly. An input that is not used has the derivative zero, or
# `None` on request. `stop_gradient` makes a constant.

# %%
print(grad(np.max)(np.array([1.0, 3.0, 3.0])))
print(grad(lambda x, y: y * 2)(1.0, 1.0), grad(lambda x, y: y * 2, allow_unused=True)(1.0, 1.0))
print(grad(lambda x: x * lax.stop_gradient(x))(3.0))

# %% [markdown]
# `where` chooses between values, and both have been computed. If the one that is not chosen has no
# finite derivative, zero times infinity is the result. The mend is to choose the argument first.

# %%
risky = lambda x: np.where(x > 0, np.sqrt(x), 0.0)
safe = lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)
print(grad(risky)(0.0), grad(safe)(0.0), grad(safe)(4.0))

# %% [markdown]
# A function of whole numbers has no gradient, and a gradient needs a single number to start from.
# Both are refused, with the way out:

# %%
for wrong in (lambda: grad(np.sin)(1), lambda: grad(np.sin)(np.ones(3))):
    try:
        wrong()
    except TypeError as error:
        print(error)

# %% [markdown]
# ## Checks
#
# `check_grads` compares both modes with differences, to any order. It raises if they disagree, and
# says where. `numerical_grad` is the gradient by differences alone; differences are taken in double
# precision.

# %%
fx.check_grads(f, (x,), order=2)  # silence is agreement
print(fx.numerical_grad(energy, x), grad(energy)(x))


@fx.custom_jvp
def wrong_sine(x):
    return np.sin(x)


wrong_sine.defjvp(
    lambda primals, tangents: (np.sin(primals[0]), np.cos(primals[0] + 0.1) * tangents[0])
)
try:
    fx.check_grads(wrong_sine, (1.0,), order=1)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## Rules of your own
#
# `custom_jvp` says how tangents are pushed; reverse mode follows from it. It mends formulas whose
# derivative overflows, though the mathematics does not.

# %%
naive = lambda x: np.log(1 + np.exp(x))


@fx.custom_jvp
def log1pexp(x):
    return np.log(1 + np.exp(x))


@log1pexp.defjvp
def log1pexp_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log1pexp(x), (1 - 1 / (1 + np.exp(x))) * t


print(grad(naive)(100.0), grad(log1pexp)(100.0), grad(grad(log1pexp))(0.0))

# %% [markdown]
# `custom_vjp` says how cotangents are pulled: a forward part that returns what the backward part
# needs, and the backward part. Rounding has the derivative zero almost everywhere; for training one
# passes the cotangent straight through.


# %%
@fx.custom_vjp
def quantize(x, step):
    return np.round(x / step) * step


def quantize_forward(x, step):
    return quantize(x, step), None


def quantize_backward(residual, cotangent):
    return cotangent, None  # None: no derivative by step


quantize.defvjp(quantize_forward, quantize_backward)
print(quantize(0.77, 0.25), grad(quantize)(0.77, 0.25), grad(np.round)(0.77))
print(vmap(grad(lambda x: quantize(x, 0.25) ** 2))(np.array([0.3, 0.6])))  # rules are batched, too

# %% [markdown]
# ## Memory: checkpoint
#
# Reverse mode keeps what its derivatives need. `checkpoint` keeps the arguments instead, and
# computes the rest again on the way back. `print_saved_residuals` tells what is kept; the gradient
# is the same.


# %%
def layers(x):
    for _ in range(3):
        x = np.sin(x) * 1.1
    return x.sum()


point = np.ones(1000)
fx.ad_checkpoint.print_saved_residuals(layers, point)
print("with checkpoint:")
fx.ad_checkpoint.print_saved_residuals(fx.checkpoint(layers), point)
print(np.array_equal(grad(layers)(point), grad(fx.checkpoint(layers))(point)))

# %% [markdown]
# Under `jit` the difference shows in the memory of the compiled program. Thirty steps of a loop
# keep thirty states; with a checkpoint every five steps, they keep six and five.


# %%
def chain(x, every):
    def step(x, _):
        return np.tanh(x @ matrix), None

    def block(x, _):
        return lax.scan(step, x, None, length=every)

    block = fx.checkpoint(block) if every > 1 else block
    return lax.scan(block, x, None, length=30 // every)[0].sum()


matrix = random.normal(random.key(1), (64, 64)) / 8
for every in (1, 5):
    gradient = jit(grad(chain), static_argnums=1)
    memory = gradient.lower(np.ones((256, 64)), every).compile().memory_analysis()
    print(every, memory.temp_size_in_bytes)

# %% [markdown]
# ## Dual numbers
#
# For a program that is a sequence of statements rather than a function, `fx.Dual` carries a value
# and its tangent through operators and methods. It is what `jvp` does.

# %%
u = fx.Dual(2.0, 1.0)  # a variable: its derivative by itself is one
v = u.sin() * u + 3.0
print(v.value, v.tangent, fx.jvp(lambda x: np.sin(x) * x + 3.0, (2.0,), (1.0,)))

# %% [markdown]
# ## All of it: a fit by Gauss and Newton
#
# An oscillation that dies out, measured with noise: amplitude, decay, frequency and phase are to be
# found. Around a guess the residual is linear, r(p + d) ≈ r(p) + J d, and least squares give the
# step d. A damping λ that falls with success (Levenberg, Marquardt) makes it robust. Residuals are
# many and parameters few, so J is made by `jacfwd`; loop and linear algebra are in one jitted
# function.

# %%
times = np.linspace(0, 4, 200)
truth = np.array([2.0, 0.7, 6.0, 0.4])


def model(p, t):
    amplitude, decay, frequency, phase = p
    return amplitude * np.exp(-decay * t) * np.cos(frequency * t + phase)


noise = 0.1
data = model(truth, times) + noise * random.normal(random.key(2), times.shape)
residuals = lambda p: model(p, times) - data


@jit
def fit(p):
    def step(state, _):
        p, damping = state
        r, jacobian = residuals(p), fx.jacfwd(residuals)(p)
        normal = jacobian.T @ jacobian
        trial = p - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), jacobian.T @ r)
        better = np.sum(residuals(trial) ** 2) < np.sum(r**2)
        p = np.where(better, trial, p)
        return (p, np.where(better, damping / 3, damping * 5)), np.sum(residuals(p) ** 2)

    (p, _), history = lax.scan(step, (p, 1e-2), None, length=20)
    jacobian = fx.jacfwd(residuals)(p)
    covariance = noise**2 * np.linalg.inv(jacobian.T @ jacobian)
    return p, np.sqrt(np.diag(covariance)), history


start = np.array([1.0, 0.3, 5.0, 0.0])
found, error, history = fit(start)
for name, a, e, b in zip(("amplitude", "decay", "frequency", "phase"), found, error, truth):
    print(f"{name:10s} {float(a):7.4f} ± {float(e):.4f}   truth {float(b):.1f}")
print("squares:", [round(float(h), 3) for h in history[:8]])

# %%
plt.figure(figsize=(7, 2.5))
plt.plot(*map(onp.asarray, (times, data)), ".", ms=3, label="data")
plt.plot(*map(onp.asarray, (times, model(start, times))), ":", label="guess")
plt.plot(*map(onp.asarray, (times, model(found, times))), label="fit")
plt.legend()
plt.show()

# %% [markdown]
# A fit of many data sets is `vmap` of it: here 500 draws of the noise. The spread of their results
# is what the error bars said.


# %%
def refit(key):
    measured = model(truth, times) + noise * random.normal(key, times.shape)
    return gauss_newton(measured)


def gauss_newton(measured):
    def step(p, _):
        r = lambda p: model(p, times) - measured
        return p - np.linalg.lstsq(fx.jacfwd(r)(p), r(p))[0], None

    return lax.scan(step, truth, None, length=6)[0]  # from near by: no damping


many = jit(vmap(refit))(random.split(random.key(3), 500))
print("spread    ", many.std(0))
print("error bars", error)
