"""Checks in branches and loops under vmap: those of an example are made where it comes to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from fx.experimental.checkify import check, checkify

pytestmark = pytest.mark.lowering


def branching(take: Any, x: Any) -> Any:
    """log x of what is taken, and must be positive; 2 x of the others."""

    def log(x: Any) -> Any:
        check(x > 0, "{} is not positive", x)
        return fnp.log(x)

    return lax.cond(take, log, lambda x: 2 * x, x)


def doubling(n: Any, x: Any) -> Any:
    """x doubled n times, each time from below 10."""

    def body(carry: Any) -> Any:
        i, x = carry
        check(x < 10, "{} is too large", x)
        return i + 1, 2 * x

    return lax.while_loop(lambda carry: carry[0] < n, body, (0, x))[1]


def ways(f: Any) -> list[Any]:
    """The checked batch, jitted, and the batch of the checked."""
    return [checkify(fx.vmap(f)), fx.jit(checkify(fx.vmap(f))), fx.vmap(checkify(f))]


@pytest.mark.parametrize("way", range(3))
def test_a_branch_that_is_not_taken_is_not_checked(way: int) -> None:
    checked = ways(branching)[way]
    take = np.array([True, False, True])
    error, out = checked(take, np.array([1.0, -1.0, 2.0], np.float32))
    assert error.get() is None
    np.testing.assert_allclose(out, [0.0, -2.0, np.log(2.0)], 1e-6)
    error, _ = checked(take, np.array([1.0, -1.0, -3.0], np.float32))
    assert "-3.0 is not positive" in error.get()


@pytest.mark.parametrize("way", range(3))
def test_an_example_whose_loop_has_ended_is_not_checked(way: int) -> None:
    checked = ways(doubling)[way]
    error, out = checked(np.array([1, 5]), np.array([9.0, 0.1], np.float32))
    assert error.get() is None
    np.testing.assert_allclose(out, [18.0, 3.2], 1e-6)
    error, _ = checked(np.array([2, 5]), np.array([9.0, 0.1], np.float32))
    assert "18.0 is too large" in error.get()


def test_operands_that_are_not_mapped_and_batches_of_batches() -> None:
    one = np.float32(2.0)
    error, out = checkify(fx.vmap(branching, in_axes=(0, None)))(np.array([True, False]), one)
    assert error.get() is None
    np.testing.assert_allclose(out, [np.log(2.0), 4.0], 1e-6)
    take = np.array([[True, False], [False, True]])
    x = np.array([[1.0, -1.0], [-1.0, -3.0]], np.float32)
    error, out = checkify(fx.vmap(fx.vmap(branching)))(take, x)
    assert "-3.0 is not positive" in error.get()
    np.testing.assert_allclose(out, [[0.0, -2.0], [-2.0, np.nan]], 1e-6)


def test_derivatives_through_checked_branches() -> None:
    take = np.array([True, False])
    grad = fx.grad(lambda x: checkify(fx.vmap(branching))(take, x)[1].sum())
    np.testing.assert_allclose(grad(np.array([2.0, -3.0], np.float32)), [0.5, 2.0], 1e-6)


def test_a_failed_check_raises_a_value_error_of_checkify():
    from fx.experimental.checkify import JaxRuntimeError

    assert issubclass(JaxRuntimeError, ValueError)
    with pytest.raises(JaxRuntimeError, match="never"):
        check(False, "never")
    error, _ = checkify(lambda x: check(x > 0, "{} is not positive", x))(fnp.float32(-1))
    with pytest.raises(JaxRuntimeError, match=r"-1\.0 is not positive"):
        error.throw()
