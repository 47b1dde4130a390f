"""Every example runs, and does what it says it does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name: str):
    """The example as a module."""
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that what it defines can be pickled
    spec.loader.exec_module(module)
    return module


def is_png(path: Path) -> bool:
    """Whether the file is a PNG of some size."""
    return path.stat().st_size > 2000 and path.read_bytes()[:4] == b"\x89PNG"


def test_digits_reach_97_percent_in_few_launches(tmp_path, capsys, counted):
    pytest.importorskip("sklearn")
    accuracy = example("digits").main(["--epochs", "40", "--out", str(tmp_path)])
    assert accuracy >= 0.97
    assert is_png(tmp_path / "loss.png")
    assert is_png(tmp_path / "predictions.png")
    printed = capsys.readouterr().out
    per_step = next(line for line in printed.splitlines() if line.startswith("kernels per step"))
    assert int(per_step.split()[-1]) <= 12


def test_lorenz_agrees_with_numpy(tmp_path, capsys):
    module = example("lorenz")
    final = module.main(["--lanes", "64", "--out", str(tmp_path)])
    assert is_png(tmp_path / "lorenz.png")
    start = np.array([1.0, 1.0, 20.0]) + 0.1 * np.random.default_rng(0).standard_normal((64, 3))

    def slope(s):
        x, y, z = s.T
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=1)

    s = start
    for _ in range(module.STEPS):
        s = module.rk4(slope, s, module.STEP)
    assert np.median(np.abs(final - s)) < 1e-2  # float32 errors grow; most lanes stay together


def test_lorenz_lanes_do_not_depend_on_their_number(tmp_path, capsys):
    module = example("lorenz")
    few = module.main(["--lanes", "5", "--out", str(tmp_path)])
    many = module.main(["--lanes", "40", "--out", str(tmp_path)])
    np.testing.assert_array_equal(few, many[:5])


def test_mandelbrot_has_its_inside_and_its_symmetry(tmp_path, capsys):
    module = example("mandelbrot")
    counts = module.main(["--size", "70", "--out", str(tmp_path)])
    assert is_png(tmp_path / "mandelbrot.png")
    assert counts.shape == (60, 70)
    inside = counts >= module.LIMIT
    assert 0.15 < inside.mean() < 0.25  # its area is 1.506 of 2.8 by 2.4
    assert (inside == inside[::-1]).mean() > 0.99


def test_gradient_of_energy_keeps_energy(tmp_path, capsys):
    options = ["--bodies", "32", "--steps", "100", "--out", str(tmp_path)]
    assert example("nbody").main(options) < 1e-3
    assert is_png(tmp_path / "nbody.png")


@pytest.mark.driver
def test_own_kernel_is_differentiated_through(tmp_path, capsys):
    pytest.importorskip("sklearn")
    before, after = example("deblur").main(["--steps", "60", "--out", str(tmp_path)])
    assert after < 0.85 * before
    assert is_png(tmp_path / "deblur.png")


def test_text_model_learns(capsys):
    first, last = example("text").main(["--steps", "60", "--length", "20"])
    assert first > 4.0
    assert last < 3.2  # 3.0: about the frequencies of single letters
    assert len(capsys.readouterr().out.splitlines()[-1]) == 21


NOTEBOOKS = [
    pytest.param(p.stem, marks=pytest.mark.driver) if p.stem[:2] in ("01", "05", "06") else p.stem
    for p in sorted((EXAMPLES / "cells").glob("*.py"))
]  # these show a kernel, or launches are their subject


def kinds_of(cell) -> set[str]:
    """What a cell has put out: text, pictures, errors, warnings."""
    return {out.get("name", out.output_type) for out in cell.get("outputs", ())}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_what_its_script_makes_and_runs(name):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("sklearn")
    kept = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    made = example("make_notebooks").executed(name)
    assert [(c.cell_type, c.source) for c in kept.cells] == [
        (c.cell_type, c.source) for c in made.cells
    ]
    assert set().union(*map(kinds_of, made.cells)) <= {"stdout"}  # tests draw no pictures
    pictures = {"display_data"}
    assert [kinds_of(c) - pictures for c in kept.cells] == [kinds_of(c) for c in made.cells]
    assert any(pictures <= kinds_of(c) for c in kept.cells) == any(
        "plt.show()" in c.source for c in made.cells
    )


def test_every_notebook_has_its_script():
    scripts = {p.stem for p in (EXAMPLES / "cells").glob("*.py")}
    assert {p.stem for p in EXAMPLES.glob("*.ipynb")} == scripts
