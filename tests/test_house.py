"""How the house is kept: import arrows, lengths, docstrings, documents that run and link.

Reads source as text or syntax tree; only the doctests and the README's code import the library.
"""

from __future__ import annotations

import ast
import doctest
import fnmatch
import importlib
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted([*(ROOT / "fx").rglob("*.py"), *(ROOT / "lowering").rglob("*.py")])
FOLDERS = ("fx", "lowering", "tests", "benchmarks", "examples", "docs")
SOURCES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))
MARKDOWN = sorted(
    p
    for p in [*ROOT.glob("*.md"), *(q for f in FOLDERS for q in (ROOT / f).rglob("*.md"))]
    if "out" not in p.parts
)

FILE_LINES, FUNCTION_LINES, COLUMNS = 600, 60, 100


def name_of(path: Path) -> str:
    """The path below the root, as test ids show it."""
    return path.relative_to(ROOT).as_posix()


@lru_cache(1)  # the rules of one file are asked about in turn
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- who imports whom

TRANSFORMATIONS = ("jvp", "linearize", "vmap", "custom", "remat", "trace", "core", "avals", "tree")
SURFACES = ("fx.numpy", "fx.lax", "fx.nn", "fx.scipy", "fx.random", "fx.optim", "fx.losses")

# (importing files, imported modules, files exempt): such an import is an error
FORBIDDEN = (
    ("lowering/**", "fx", ()),
    ("fx/**", "lowering.compile", ("fx/jit.py",)),
    ("fx/**", "lowering.runtime", ("fx/array.py",)),
    ("fx/**", "lowering.pocl", ()),
    *((f"fx/{name}.py", "fx.prims", ()) for name in TRANSFORMATIONS),
    *((f"fx/{name}.py", surface, ()) for name in TRANSFORMATIONS for surface in SURFACES),
    *(("fx/prims/*", surface, ()) for surface in SURFACES),
    ("fx/core.py", "lowering", ()),
    ("fx/avals.py", "fx", ("fx/avals.py",)),
    ("benchmarks/rows/*", "fx", ()),
    ("benchmarks/rows/*", "jax", ()),
)
PRIMS_MAY_IMPORT = ("lowering.graph", "lowering.host_sort", "lowering.scalar")


@lru_cache(1)
def imports_of(path: Path) -> list[tuple[str, int]]:
    """Absolute names of the modules (and of `from m import n` the name m.n) with their lines."""
    found = []
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


def below(name: str, module: str) -> bool:
    """Whether `name` is `module` or stands in it."""
    return name == module or name.startswith(module + ".")


def imports_against_the_arrows(path: Path) -> list[tuple[str, int]]:
    """What a file imports and may not."""
    name = name_of(path)
    wrong = []
    for files, module, exempt in FORBIDDEN:
        if fnmatch.fnmatch(name, files) and name not in exempt:
            wrong += [(n, line) for n, line in imports_of(path) if below(n, module)]
    if fnmatch.fnmatch(name, "fx/prims/*"):
        wrong += [
            (n, line)
            for n, line in imports_of(path)
            if below(n, "lowering") and not any(below(n, m) for m in PRIMS_MAY_IMPORT)
            and n not in [f"lowering.{m.split('.')[1]}" for m in PRIMS_MAY_IMPORT]
        ]  # fmt: skip
    return wrong


# ---------------------------------------------------------------- lengths and words


def long_functions(path: Path) -> dict[str, int]:
    """The lines of functions that have too many."""
    return {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    }


def left_for_later(path: Path) -> list[str]:
    """Words that say that something is to be done."""
    return re.findall(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b", path.read_text("utf-8"))


def names_without_docstrings(path: Path) -> list[str]:
    """Names that users reach and that nothing is said of."""
    return [
        node.name
        for node in tree_of(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and is_public_module(path)
    ]


def is_public_module(path: Path) -> bool:
    """Whether users reach the module's names: the surfaces."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] == "fx" and parts[1] in {s.split(".")[1] for s in SURFACES}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_keeps_the_rules(path):
    """Imports follow the arrows, files and functions are short, modules say what they are, nothing
    is left for later, public names have docstrings.
    """
    source = path.read_text("utf-8")
    assert imports_against_the_arrows(path) == []
    assert len(source.splitlines()) <= FILE_LINES
    assert long_functions(path) == {}
    assert not source.strip() or ast.get_docstring(tree_of(path))
    assert left_for_later(path) == []
    assert names_without_docstrings(path) == []


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_no_page_is_left_for_later(path):
    assert left_for_later(path) == []


# ---------------------------------------------------------------- import

IMPORT = """
import sys, time
start = time.process_time()
import numpy
middle = time.process_time()
import fx
print(middle - start, time.process_time() - start, int("pyopencl" in sys.modules))
"""


def test_import_is_quick_and_touches_no_driver(tmp_path):
    keep = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # OpenBLAS's threads spin when they start, which is NumPy's time and not the library's
    environment = keep | {"PYTHONPYCACHEPREFIX": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    times = []
    for _ in range(8):  # the first writes byte code
        out = subprocess.run(
            [sys.executable, "-c", IMPORT],
            capture_output=True, text=True, check=True, cwd=ROOT, env=environment,
        ).stdout  # fmt: skip
        numpys, seconds, loaded = out.split()
        times.append((float(seconds), float(seconds) / float(numpys)))
        assert loaded == "0", "import fx loads pyopencl"
    quickest, least = (min(column) for column in zip(*times, strict=True))
    # a slow or busy machine is told by NumPy, which takes 0.1 s of it on two cores of an EPYC
    assert quickest < 0.25 or least < 2.4


# ---------------------------------------------------------------- documents


def module_name(path: Path) -> str:
    """The dotted name of a library file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


# their examples show kernels
OF_KERNELS = ("fx/explanation.py", "fx/opencl.py", "fx/profiler.py")
WITH_EXAMPLES = [
    pytest.param(p, marks=pytest.mark.driver) if name_of(p) in OF_KERNELS else p
    for p in LIBRARY
    if ">>> " in p.read_text("utf-8")
]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_docstring_examples_run(path):
    if path.name == "__main__.py":
        pytest.skip("a command")
    module = importlib.import_module(module_name(path))
    names = {"fx": importlib.import_module("fx")}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    reports: list[str] = []
    for case in doctest.DocTestFinder(exclude_empty=True).find(
        module, module.__name__, extraglobs=names
    ):
        runner.run(case, out=reports.append)
    assert runner.failures == 0, "".join(reports)


def code_blocks(path: Path) -> list[tuple[int, str]]:
    """The python blocks of a markdown file with their first lines; `python no-run` is left out."""
    blocks, text = [], path.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        blocks.append((text.count("\n", 0, match.start()) + 1, match.group(1)))
    return blocks


@pytest.mark.parametrize("path", [p for p in MARKDOWN if code_blocks(p)], ids=name_of)
def test_code_of_documents_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "document"}
    for line, code in code_blocks(path):
        if ">>> " in code:
            case = doctest.DocTestParser().get_doctest(code, names, name_of(path), None, line)
            reports: list[str] = []
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            runner.run(case, out=reports.append, clear_globs=False)
            names |= case.globs
            assert runner.failures == 0, "".join(reports)
        else:
            exec(compile("\n" * line + code, str(path), "exec"), names)


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=name_of)
def test_pages_lead_nowhere_beside_the_site(path):
    """mkdocs is given the text that its hook makes, and has no two pages for one folder."""
    hook = importlib.import_module("docs.site_links")
    page = path.relative_to(ROOT / "docs").as_posix()
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    left = [target for _, target in hook.LINK.findall(hook.site_text(text, page))]
    assert [t for t in left if not hook.stays(t, page)] == []
    assert not (path.name == "index.md" and (path.parent / "README.md").exists())
    outside = hook.site_text("[a](../fx/README.md) [b](tiny.py) [c](https://d.e)", "index.md")
    assert outside == "a [b](tiny.py) [c](https://d.e)"


def test_variables_are_documented():
    page = (ROOT / "docs" / "environment.md").read_text("utf-8")
    read = {
        name
        for path in LIBRARY
        for name in re.findall(
            r'environ(?:\.get\(|\[)?.{0,3}"((?:FX|POCL)_\w+)"', path.read_text("utf-8")
        )
    }
    assert {"FX_DEVICE", "FX_CACHE_DIR", "FX_BUILDERS"} <= read
    internal = {"POCL_KERNEL_CACHE", "POCL_DEVICES"}  # of PoCL's own
    assert [name for name in sorted(read - internal) if f"`{name}`" not in page] == []


def anchors(path: Path) -> set[str]:
    """The anchors that headings of a markdown file get."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    clean = (re.sub(r"[^\w\- ]", "", h.lower()).strip() for h in headings)
    return {h.replace(" ", "-") for h in clean}


def test_readme_has_exactly_two_setup_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install .*$", text, re.MULTILINE)
    expected = [
        'pip install -e ".[examples]" && python examples/digits.py',
        'pip install -e ".[test]" && pytest',
    ]
    assert commands == expected
