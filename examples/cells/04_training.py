"""# Training a network

Handwritten digits of 8 by 8 pixels: parameters are a tree, a model is a function, a step of
training is a jitted function of parameters and data. An epoch becomes one call, five networks train
at once, and a trained one is saved and loaded.
"""

# %%
import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as onp
from sklearn.datasets import load_digits

import fx
import fx.numpy as np
from fx import jit, lax, losses, nn, optim, random, value_and_grad, vmap

plt.rcParams["figure.dpi"] = 60  # small pictures

images, labels = load_digits(return_X_y=True)
order = onp.random.default_rng(0).permutation(len(images))
images, labels = np.array(images[order] / 16.0, np.float32), np.array(labels[order])
train, test = (images[:1408], labels[:1408]), (images[1408:], labels[1408:])
print(train[0].shape, train[0].dtype, train[1].dtype, test[0].shape)

# %% [markdown]
# ## A model is a function
#
# Its parameters are a tree: here a list of dictionaries. `nn.initializers` has the usual
# distributions. There is no class to derive from.


# %%
def init(key, sizes=(64, 128, 64, 10)):
    draw = nn.initializers.he_normal()
    keys = random.split(key, len(sizes) - 1)
    return [
        {"w": draw(k, (n, m)), "b": np.zeros(m)} for k, n, m in zip(keys, sizes[:-1], sizes[1:])
    ]


def mlp(params, x):
    for layer in params[:-1]:
        x = nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def loss(params, x, y):
    return losses.softmax_cross_entropy_with_integer_labels(mlp(params, x), y).mean()


params = init(random.key(0))
print(fx.tree.map(np.shape, params))
print(float(loss(params, *train)), float(np.log(10.0)))  # about what guessing gives

# %% [markdown]
# ## A step
#
# `fx.optim` has optax's names: an optimizer is a pair of `init` and `update`, made of parts by
# `chain`. Learning rates may be schedules. Loss, gradient and update are compiled together.
# `donate_argnums` gives the memory of parameters and state to the results; the old ones are gone.

# %%
schedule = optim.warmup_cosine_decay_schedule(0.0, 3e-3, 40, 660)
optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(schedule, weight_decay=1e-3))


def update(params, state, x, y):
    value, gradient = value_and_grad(loss)(params, x, y)
    updates, state = optimizer.update(gradient, state, params)
    return optim.apply_updates(params, updates), state, value


step = jit(update, donate_argnums=(0, 1))
state, old = optimizer.init(params), params
params, state, value = step(params, state, train[0][:64], train[1][:64])
print(float(value), old[0]["w"].is_deleted(), params[0]["w"].shape)

before = fx.debug.counters()
params, state, value = step(params, state, train[0][64:128], train[1][64:128])
value.block_until_ready()
used = fx.debug.counters() - before
print("launches:", used.launches, "new arrays:", used.alloc_count)

# %% [markdown]
# ## Many steps in one call
#
# `scan` runs the steps of an epoch: the carry is what a step changes, and each step is given the
# indices of its batch. Python is entered once an epoch. The step is the function from above.


# %%
def epoch(params, state, key):
    def body(carry, rows):
        *carry, value = update(*carry, train[0][rows], train[1][rows])
        return tuple(carry), value

    batches = random.permutation(key, len(train[0])).reshape(-1, 64)
    (params, state), values = lax.scan(body, (params, state), batches)
    return params, state, values


def accuracy(params, x, y):
    return np.mean(np.argmax(mlp(params, x), -1) == y)


run, measure = jit(epoch, donate_argnums=(0, 1)), jit(accuracy)
history = []
for number in range(30):
    params, state, values = run(params, state, random.fold_in(random.key(1), number))
    history.append(values)
    if number % 6 == 5:
        print(
            number + 1, f"loss {float(values.mean()):.4f} test {float(measure(params, *test)):.3f}"
        )

# %%
curve = onp.concatenate(history)
plt.figure(figsize=(6, 2.5))
plt.semilogy(curve, lw=0.7)
plt.xlabel("step")
plt.ylabel("loss")
plt.show()

# %% [markdown]
# ## Saving and loading
#
# A tree is leaves and a structure. The leaves go into any format that NumPy writes, named by their
# paths; the structure comes from a tree of the same kind. An `Array` can be pickled, too.


# %%
def save(path, tree):
    leaves = fx.tree.leaves_with_path(tree)
    onp.savez(path, **{fx.tree_util.keystr(p): onp.asarray(x) for p, x in leaves})


def load(path, like):
    held = onp.load(path)
    return fx.tree.map_with_path(lambda p, _: np.array(held[fx.tree_util.keystr(p)]), like)


folder = Path(tempfile.mkdtemp())
save(folder / "digits.npz", params)
print(onp.load(folder / "digits.npz").files)
again = load(folder / "digits.npz", like=init(random.key(9)))
print(np.array_equal(mlp(again, test[0]), mlp(params, test[0])))

(folder / "state.pickle").write_bytes(pickle.dumps((params, state)))
params, state = pickle.loads((folder / "state.pickle").read_bytes())  # the optimizer's state, too
params, state, values = run(params, state, random.key(2))  # and training goes on

# %% [markdown]
# ## A convolutional network
#
# Another function, the same training. Images are [batch, channel, height, width] for `nn.conv2d`.


# %%
def init_convolutions(key):
    k = random.split(key, 3)
    draw = nn.initializers.he_normal(in_axis=1, out_axis=0)
    return {
        "c1": draw(k[0], (16, 1, 3, 3)),
        "c2": draw(k[1], (32, 16, 3, 3)),
        "w": nn.initializers.lecun_normal()(k[2], (128, 10)),
        "b": np.zeros(10),
    }


def cnn(params, x):
    x = x.reshape(-1, 1, 8, 8)
    x = nn.max_pool2d(nn.relu(nn.conv2d(x, params["c1"], padding=1)), 2)
    x = nn.max_pool2d(nn.relu(nn.conv2d(x, params["c2"], padding=1)), 2)
    return x.reshape(len(x), -1) @ params["w"] + params["b"]


def train_step(params, state, x, y):
    def loss(params):
        return losses.softmax_cross_entropy_with_integer_labels(cnn(params, x), y).mean()

    value, gradient = value_and_grad(loss)(params)
    updates, state = adam.update(gradient, state, params)
    return optim.apply_updates(params, updates), state, value


adam = optim.adam(3e-3)
weights = init_convolutions(random.key(3))
moments = adam.init(weights)
convolve = jit(train_step, donate_argnums=(0, 1))
for i in range(200):
    rows = slice(64 * (i % 22), 64 * (i % 22) + 64)
    weights, moments, value = convolve(weights, moments, train[0][rows], train[1][rows])
right = np.argmax(jit(cnn)(weights, test[0]), -1) == test[1]
print(f"loss {float(value):.4f} test {float(right.mean()):.3f}")

# %% [markdown]
# ## Five networks at once
#
# Training is a function of a key, so `vmap` trains an ensemble: parameters of five networks stand
# in arrays with one more axis, and products are batched. Their mean opinion is their common one;
# these are the digits that it gets wrong.


# %%
def learn(key):
    params = init(key, (64, 32, 10))
    state = optimizer.init(params)

    def several(carry, k):
        params, state, values = epoch(*carry, k)
        return (params, state), values[-1]

    return lax.scan(several, (params, state), random.split(key, 20))[0][0]


ensemble = jit(vmap(learn))(random.split(random.key(4), 5))
print(ensemble[0]["w"].shape)
opinions = vmap(mlp, (0, None))(ensemble, test[0])
print("each:", vmap(accuracy, (0, None, None))(ensemble, *test).round(4))
votes = nn.softmax(opinions).mean(0)
print("together:", float(np.mean(np.argmax(votes, -1) == test[1])))

# %%
wrong = onp.flatnonzero(onp.argmax(votes, -1) != onp.asarray(test[1]))[:6]
figure, axes = plt.subplots(1, 6, figsize=(7, 1.6))
for axis, i in zip(axes, wrong):
    axis.imshow(onp.asarray(test[0][int(i)]).reshape(8, 8), cmap="gray_r")
    axis.set_title(f"{int(test[1][int(i)])}, not {int(votes[int(i)].argmax())}", fontsize=9)
    axis.axis("off")
plt.show()
