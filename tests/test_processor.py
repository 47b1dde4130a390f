"""A processor that PoCL's LLVM has no name for: told a common one, and kernels are built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowering.pocl import builders, processor

UNKNOWN = """
import ctypes
import sys
import numpy as np
import fx
from lowering.pocl import patches, processor

pocl, name = sys.argv[1], ctypes.create_string_buffer(b"generic")
ctypes.CDLL(pocl)
(place,) = patches.addresses(pocl, (processor.NAME,))
assert patches.overwrite(place, processor._returning(name))
processor.familiar = lambda: sys.argv[2] == "familiar"
x = np.linspace(0, 1, 1000, dtype=np.float32)
y = fx.jit(lambda x: fx.numpy.sqrt(fx.numpy.sin(x)) % 0.3 + x.astype(int))(x)
np.testing.assert_allclose(y, np.sqrt(np.sin(x)) % np.float32(0.3) + x.astype(int), atol=1e-6)
print("built")
"""


def of(monkeypatch, **said):
    names = {"maker": "vendor_id", "family": "cpu family"}
    monkeypatch.setattr(processor, "_said", lambda: {names.get(k, k): v for k, v in said.items()})


@pytest.mark.parametrize(
    "maker, family, known",
    [
        ("AuthenticAMD", "25", True),
        ("AuthenticAMD", "26", False),
        ("GenuineIntel", "6", True),
        ("GenuineIntel", "19", False),
        ("HygonGenuine", "24", False),
    ],
)
def test_which_processors_are_familiar(monkeypatch, maker, family, known):
    of(monkeypatch, maker=maker, family=family)
    assert processor.familiar() == known and processor.maker() == maker


@pytest.mark.parametrize(
    "maker, family, flags, quickly",
    [
        ("AuthenticAMD", "25", "avx2 avx512f", False),
        ("AuthenticAMD", "26", "avx2 avx512f", True),
        ("AuthenticAMD", "25", "avx2", True),
        ("GenuineIntel", "6", "avx512f", True),
    ],
)
def test_which_processors_compress_quickly(monkeypatch, maker, family, flags, quickly):
    of(monkeypatch, maker=maker, family=family, flags=flags)
    assert processor.compresses_quickly() == quickly


def test_processors_that_are_not_x86s(monkeypatch):
    of(monkeypatch, Features="fp asimd sve")
    assert processor.familiar() and processor.features() == {"fp", "asimd", "sve"}
    assert processor.described() == "unknown (NEON)"
    of(monkeypatch)
    assert processor.familiar() and not processor.features() and not processor.maker()


@pytest.mark.driver
@pytest.mark.parametrize("familiar", [False, True])
def test_kernels_for_a_processor_without_a_name(tmp_path, familiar):
    """Were it taken for familiar, PoCL could build nothing."""
    library = builders.library()
    found = [*Path(library).parent.glob("libpocl*")] if library else []
    if not found:
        pytest.skip("needs the PoCL of pyopencl's wheel")
    command = [sys.executable, "-c", UNKNOWN, str(found[0]), "familiar" if familiar else "not"]
    environment = os.environ | {
        "FX_DEVICE": "pocl",
        "FX_BUILDERS": "0",
        "FX_CACHE_DIR": str(tmp_path),
        "POCL_CACHE_DIR": str(tmp_path / "pocl"),
        "PYTHONPATH": str(builders._ROOT),
    }
    asked = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert ("built" in asked.stdout) != familiar, asked.stderr
    assert ("unknown target CPU 'generic'" in asked.stderr) == familiar
