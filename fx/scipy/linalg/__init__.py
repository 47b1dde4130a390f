"""fx.scipy.linalg: solvers, factorisations and functions of matrices, and matrices of special
form.
"""

from __future__ import annotations

from fx.scipy.linalg.functions import *  # noqa: F403
from fx.scipy.linalg.solvers import *  # noqa: F403
from fx.scipy.linalg.special_matrices import *  # noqa: F403
