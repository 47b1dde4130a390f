"""# Science

Differential equations whose parameters are found by gradients: through an adaptive solver, through
a loop of one's own, through an implicit equation. A wave is traced back to where it began, and
large systems are solved without ever being stored densely.
"""

# %%
import matplotlib.pyplot as plt
import numpy as onp

import fx
import fx.numpy as np
from fx import grad, jit, lax, random, value_and_grad, vmap
from fx.experimental import sparse
from fx.experimental.colouring import colour_columns
from fx.experimental.ode import odeint
from fx.scipy.optimize import minimize
from fx.scipy.sparse.linalg import cg

plt.rcParams["figure.dpi"] = 60  # small pictures

# %% [markdown]
# ## An equation: odeint
#
# `odeint` integrates dy/dt = f(y, t, *args) with steps of its own choice (Dormand and Prince) and
# gives the solution at the times asked for. Hares and lynxes, and what they conserve; the error
# follows the tolerance:


# %%
def slope(y, t, rates):
    hares, lynxes = y
    a, b, c, d = rates
    return np.stack([a * hares - b * hares * lynxes, c * hares * lynxes - d * lynxes])


def conserved(y, rates):
    hares, lynxes = y[..., 0], y[..., 1]
    a, b, c, d = rates
    return c * hares - d * np.log(hares) + b * lynxes - a * np.log(lynxes)


rates, start = np.array([1.0, 0.6, 0.4, 0.9]), np.array([2.0, 1.0])
times = np.linspace(0.0, 12.0, 60)
for tolerance in (1e-3, 1e-5):
    path = jit(odeint, static_argnums=0)(slope, start, times, rates, rtol=tolerance, atol=tolerance)
    held = conserved(path, rates)
    print(f"rtol {tolerance:g}: drift {float(np.abs(held - held[0]).max()):.1e}")

# %% [markdown]
# Reverse mode integrates the adjoint equation backwards and keeps no step of the solver. Its
# gradient by rates and start agrees with differences.


# %%
def last_hares(rates, start):
    return odeint(slope, start, np.array([0.0, 6.0]), rates, rtol=1e-6, atol=1e-6)[-1, 0]


by_rates, by_start = jit(grad(last_hares, argnums=(0, 1)))(rates, start)
step = 1e-2 * np.eye(4)
run = jit(vmap(last_hares, (0, None)))
print(by_rates)
print((run(rates + step, start) - run(rates - step, start)) / 2e-2)

# %% [markdown]
# So a model is fitted to measurements: squares of the residuals, their gradient, and BFGS. The
# parameters are logarithms, which keeps rates positive.

# %%
measured = path * (1 + 0.05 * random.normal(random.key(0), path.shape))


@jit
def misfit(p):
    model = odeint(slope, np.exp(p[4:]), times, np.exp(p[:4]), rtol=1e-4, atol=1e-4)
    return np.mean((np.log(model) - np.log(measured)) ** 2)


guess = np.log(np.array([0.8, 0.8, 0.5, 0.7, 1.5, 1.5]))
found = minimize(misfit, guess, method="BFGS", options={"maxiter": 40})
print(f"misfit {float(misfit(guess)):.4f} -> {float(found.fun):.5f} (noise 0.05² = 0.0025)")
print("rates:", np.exp(found.x[:4]).round(3), "truth:", rates)

# %%
fitted = odeint(slope, np.exp(found.x[4:]), times, np.exp(found.x[:4]), rtol=1e-4, atol=1e-4)
plt.figure(figsize=(6, 2.5))
plt.plot(onp.asarray(times), onp.asarray(measured), ".", onp.asarray(times), onp.asarray(fitted))
plt.show()

# %% [markdown]
# ## A loop of one's own: scan
#
# With a fixed step one writes the solver oneself. Both modes go through `scan`, and `vmap` of it
# makes many trajectories, of which each stays in registers for all its steps: 4,096 times 500 steps
# of Runge and Kutta are one launch.


# %%
def rk4(f, y, h):
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(y + h * k3))


def oscillator(damping, y, steps=500):
    f = lambda y: np.stack([y[1], damping * (1 - y[0] ** 2) * y[1] - y[0]])  # van der Pol
    return lax.scan(lambda y, _: (rk4(f, y, 0.02), None), y, None, length=steps)[0]


lanes = np.linspace(0.1, 3.0, 4096)
ends = jit(vmap(oscillator, (0, None)))
ends(lanes, np.array([1.0, 0.0]))
before = fx.debug.counters()
ends(lanes, np.array([1.0, 0.0])).block_until_ready()
print("launches:", (fx.debug.counters() - before).launches)

y = np.array([1.0, 0.0])
forward = fx.jacfwd(oscillator)(1.5, y)
reverse = fx.jacrev(oscillator)(1.5, y)
print("d end / d damping:", forward, reverse)

# %% [markdown]
# Reverse mode through a loop keeps the state of each step. `scan(..., checkpoint=True)` keeps about
# the square root of that and runs steps twice. Temporary bytes of the gradient of 1,024 lanes:


# %%
def energy(y, checkpoint):
    f = lambda y: np.stack([y[1], -np.sin(y[0])])
    body = lambda y, _: (rk4(f, y, 0.02), None)
    return (lax.scan(body, y, None, length=400, checkpoint=checkpoint)[0] ** 2).sum()


for checkpoint in (False, True):
    gradient = jit(grad(energy), static_argnums=1).lower(np.ones((2, 1024)), checkpoint).compile()
    print(checkpoint, gradient.memory_analysis().temp_size_in_bytes)

# %% [markdown]
# ## An implicit equation: the adjoint of a solution
#
# What an iteration converges to does not depend on its steps, and neither should the derivative.
# `fixed_point` differentiates x = f(x, a) by the implicit function theorem: one linear system,
# whatever the number of steps. Kepler's equation, E = M + e sin E, and its derivative by hand:


# %%
def anomaly(mean, eccentricity):
    f = lambda x, m, e: m + e * np.sin(x)
    return fx.fixed_point(f, mean, mean, eccentricity)


x = anomaly(1.0, 0.3)
print("residual:", float(x - 0.3 * np.sin(x) - 1.0))
print(grad(anomaly, 1)(1.0, 0.3), np.sin(x) / (1 - 0.3 * np.cos(x)))

# %% [markdown]
# ## A field in time: the wave equation
#
# A stencil on a grid, a thousand steps in `fori_loop`. The whole loop is one launch, and the energy
# of the wave stays the same within a percent.

# %%
n, dt = 96, 0.5


def laplacian(u):
    return sum(np.roll(u, s, axis) for s in (1, -1) for axis in (0, 1)) - 4 * u


def wave_step(state):
    u, v = state
    v = v + dt * laplacian(u)
    return u + dt * v, v


@jit
def travel(u, v):
    return lax.fori_loop(0, 1000, lambda _, state: wave_step(state), (u, v))


def wave_energy(u, v):
    middle = v + dt / 2 * laplacian(u)  # the velocity at the time of u
    return 0.5 * np.sum(middle**2 - u * laplacian(u))


axis = np.arange(n) - n / 2
bump = np.exp(-((axis[:, None] + 10) ** 2 + axis[None] ** 2) / 20)
u, v = travel(bump, np.zeros((n, n)))
print(wave_energy(bump, np.zeros((n, n))), wave_energy(u, v))
print(fx.explain(travel)(bump, bump).launches, "launch for the whole loop")

# %% [markdown]
# And backwards: sensors at the rim record the wave for 150 steps. Which initial field explains the
# record? The gradient of the misfit is the adjoint wave, which reverse mode makes of the loop;
# descent with momentum does the rest.

# %%
rim = np.arange(0, n, 2)


def record(u):
    def step(state, _):
        u, v = wave_step(state)
        return (u, v), np.concatenate([u[2, rim], u[-3, rim], u[rim, 2], u[rim, -3]])

    return lax.scan(step, (u, np.zeros_like(u)), None, length=150)[1]


heard = jit(record)(bump)
unlike = lambda u: 0.5 * np.sum((record(u) - heard) ** 2)


@jit
def descend(u):
    def step(state, _):
        u, speed = state
        value, gradient = value_and_grad(unlike)(u)
        speed = 0.9 * speed - 0.02 * gradient
        return (u + speed, speed), value

    (u, _), values = lax.scan(step, (u, np.zeros_like(u)), None, length=60)
    return u, values


guess, values = descend(np.zeros((n, n)))
print("misfit:", values[0], "->", values[-1])
print("correlation with the truth:", np.corrcoef(guess.ravel(), bump.ravel())[0, 1])
figure, axes = plt.subplots(1, 3, figsize=(7, 2.3))
for panel, (title, field) in zip(axes, {"truth": bump, "later": u, "found": guess}.items()):
    panel.imshow(onp.asarray(field))
    panel.set_title(title, fontsize=9)
    panel.axis("off")
plt.show()

# %% [markdown]
# ## Large systems
#
# A sparse matrix (BCOO) holds places and values. Poisson's equation on a square has five entries a
# row; conjugate gradients need products alone. The solution is differentiable, by the right side
# as by the matrix.

# %%
m = 40
grid = onp.arange(m * m).reshape(m, m)
pairs = onp.concatenate([onp.stack([grid[:-1].ravel(), grid[1:].ravel()], 1),
                         onp.stack([grid[:, :-1].ravel(), grid[:, 1:].ravel()], 1)])  # fmt: skip
places = onp.concatenate([pairs, pairs[:, ::-1], onp.stack([grid.ravel()] * 2, 1)])
entries = onp.where(places[:, 0] == places[:, 1], 4.0, -1.0)
matrix = sparse.BCOO((np.array(entries), np.array(places)), shape=(m * m, m * m))
print(matrix)


@jit
def solve(strength, source):
    return cg(lambda x: strength * (matrix @ x), source, tol=1e-5)[0]


source = np.zeros(m * m).at[m * m // 2 + m // 2].set(1.0)
solution = solve(2.0, source)
print("residual:", float(np.linalg.norm(2.0 * (matrix @ solution) - source)))
peak = lambda strength: solve(strength, source).max()
print(grad(peak)(2.0), -peak(2.0) / 2.0)  # it falls like 1/strength

# %% [markdown]
# A Jacobian that is mostly zero is found by colouring: columns that share no row are pushed
# together. Newton's method for a nonlinear problem of 1,600 unknowns then needs a product for each
# colour instead of 1,600, and a sparse solve.


# %%
def reaction(u):
    return matrix @ u + 0.1 * np.exp(u) - 0.2


u = np.zeros(m * m)
print("colours:", colour_columns(fx.jacobian_pattern(reaction)(u)).max() + 1)
jacobian_of = fx.sparse_jacobian(reaction)
for _ in range(4):
    jacobian = jacobian_of(u)
    u = u - cg(lambda x, j=jacobian: j @ x, reaction(u), tol=1e-6)[0]
    print("residual:", float(np.abs(reaction(u)).max()))
print(jacobian)
