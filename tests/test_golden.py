"""The kernels of forty functions are what tests/golden has; `python tests/golden_kernels.py`
writes them anew, and the diff is part of the change.
"""

from __future__ import annotations

import golden_kernels
import pytest


@pytest.mark.parametrize("name", golden_kernels.names())
def test_kernel_is_as_kept(name):
    kept = golden_kernels.FOLDER / f"{name}.cl"
    assert golden_kernels.text(name) == kept.read_text(), (
        f"the kernels of {name} changed; if that is meant: python tests/golden_kernels.py"
    )


def test_no_file_is_left_over():
    files = {p.name.removesuffix(".cl") for p in golden_kernels.FOLDER.glob("*.cl")}
    assert files == set(golden_kernels.names()) and len(golden_kernels.FUNCTIONS) >= 40
