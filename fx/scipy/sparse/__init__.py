"""fx.scipy.sparse: iterative solvers of linear systems."""

from fx.scipy.sparse import linalg as linalg
