"""The rows where PyTorch is the faster peer, in its own words: name -> function of the tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def functions(torch: Any) -> dict[str, Callable[..., Any]]:
    """Functions by row name; the arguments are the row's own."""
    functional = torch.nn.functional

    def layernorm(x, g, b):
        return functional.layer_norm(x, (x.shape[-1],), g, b)

    def layernorm_grad(x, g, b):
        x, g, b = (a.detach().requires_grad_() for a in (x, g, b))
        return torch.autograd.grad((layernorm(x, g, b) ** 2).sum(), (x, g, b))

    return {
        "axpy": lambda x, y: torch.add(y, x, alpha=2.0),
        "gelu_bias": lambda x, b: functional.gelu(x + b, approximate="tanh"),
        "sum": torch.sum,
        "softmax": lambda x: torch.softmax(x, -1),
        "layernorm": layernorm,
        "layernorm_grad": layernorm_grad,
        "matmul": torch.matmul,
        "matmul_bias_gelu": lambda x, w, b: functional.gelu(x @ w + b, approximate="tanh"),
        "batched_matmul": torch.bmm,
        "sort": lambda x: torch.sort(x).values,
        "argsort_topk": lambda x: (torch.argsort(x, -1), *torch.topk(x, 8)),
    }
