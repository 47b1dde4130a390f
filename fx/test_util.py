"""`fx.test_util`: checks of derivatives (JAX's name for what stands in fx.testing)."""

from fx.testing import check_grads as check_grads
from fx.testing import check_jvp as check_jvp
from fx.testing import check_vjp as check_vjp
