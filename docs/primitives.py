"""`python -m docs.primitives --write`: the registry of primitives -> docs/primitives/*.md.

One page a family (the file that defines its primitives): parameters, dtypes, where each rule
stands, why a rule does not exist; README.md there is the table of primitives by rules. Without
--write it says which pages are out of date; line numbers do not count.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

import fx.experimental.checkify  # noqa: F401  its primitive has a page as well
from fx.avals import ShapedArray
from fx.config import enable_x64
from fx.core import PRIMITIVES, Primitive, no
from fx.jaxpr import ClosedJaxpr
from fx.prims import coverage

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "primitives"

RULES = {
    "abstract": "shapes and dtypes of the results",
    "numpy": "the meaning, on NumPy arrays",
    "jvp": "forward derivative",
    "transpose": "linear map backwards",
    "batch": "with a mapped axis",
    "lower": "to nodes of the Graph",
}
HIGHER = {
    "partial_eval": "known and unknown part",
    "dce": "without unused results",
    "effects": "side effects",
}
# traces that ask a primitive itself, where the general rule does not do
STANDS_FOR = {"numpy": "eval", "jvp": "jvp", "batch": "batch", "partial_eval": "partial"}

DTYPES = {
    "bool": [np.bool_],
    "int8 to int64": [np.int8, np.int16, np.int32, np.int64],
    "uint8 to uint64": [np.uint8, np.uint16, np.uint32, np.uint64],
    "float16, bfloat16, float32, float64": [np.float16, ml_dtypes.bfloat16, "f4", "f8"],
    "complex64, complex128": [np.complex64, np.complex128],
}

# ---------------------------------------------------------------- what the registry knows


def own_primitives() -> dict[str, Primitive]:
    """The library's primitives (a program may have registered others) by name."""
    for path in sorted((ROOT / "fx").rglob("*.py")):
        if path.stem != "__main__" and re.search(r"\b[Pp]rimitive\(", path.read_text("utf-8")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            importlib.import_module(".".join(p for p in parts if p != "__init__"))
    found = {name: p for name, p in PRIMITIVES.items() if source_of(p) is not None}
    return dict(sorted(found.items()))


def source_of(p: Primitive) -> Path | None:
    """The file that defines the primitive, below the library's folder."""
    where = p.where.get("entry") or p.where.get("abstract") or ""
    path = Path(where.rpartition(":")[0])
    return path if (ROOT / "fx") in path.parents else None


def rule_of(p: Primitive, rule: str) -> Any:
    """The rule, or what stands for it in the trace that asks; None where there is neither."""
    found = getattr(p, rule)
    special = p.trace_rules.get(STANDS_FOR.get(rule, ""))
    return special if special is not None and (found is None or isinstance(found, no)) else found


def place_of(p: Primitive, rule: str) -> str:
    """Where a rule is written: a link with file and line, or the NumPy function."""
    found = rule_of(p, rule)
    special = found is not getattr(p, rule)
    where = None if special else p.where.get(rule)
    code = getattr(inspect.unwrap(found), "__code__", None) if callable(found) else None
    if where is None and code is not None:
        where = f"{code.co_filename}:{code.co_firstlineno}"
    if where is not None and (ROOT / "fx") in Path(where).parents:
        file, _, line = where.rpartition(":")
        relative = Path(file).relative_to(ROOT).as_posix()
        name = "" if code is None or code.co_name == "<lambda>" else f" `{code.co_name}`"
        return f"[{relative}:{line}](../../{relative}){name}"
    return f"NumPy's `{getattr(found, '__name__', type(found).__name__)}`"


def parameters_of(p: Primitive) -> dict[str, str]:
    """Parameter names with an example value from the cases, where there is one."""
    found: dict[str, str] = {}
    for rule in ("abstract", "numpy", "lower"):
        for name, kind in _keywords(getattr(p, rule)):
            if kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(name, "")
    for case in p.cases() if p.cases else ():
        for name, value in case.params.items():
            found[name] = found.get(name) or shown(value)
    return found


def _keywords(rule: Any) -> list[tuple[str, Any]]:
    try:
        code = inspect.signature(rule) if hasattr(rule, "__code__") else None
    except (TypeError, ValueError):
        return []
    return [(n, q.kind) for n, q in code.parameters.items()] if code else []


def shown(value: Any) -> str:
    """A parameter's value in one short line that is the same in every process."""
    if isinstance(value, ClosedJaxpr):
        return "a jaxpr"
    if isinstance(value, tuple) and any(isinstance(v, ClosedJaxpr) for v in value):
        return "jaxprs"
    if isinstance(value, np.dtype):
        return value.name
    text = str(value)
    if callable(value) or " at 0x" in text or "lambda" in text or "\n" in text:
        return f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


def dtypes_of(p: Primitive) -> str:
    """The dtypes that abstract evaluation admits, tried on the first case with operands of one
    dtype; operands of several dtypes as the cases have them.
    """
    case = next(iter(p.cases()), None) if p.cases else None
    if case is None or not case.shapes:
        return ""
    given = case.dtypes or (np.float32,) * len(case.shapes)
    if len({np.dtype(d) for d in given}) > 1 or "a jaxpr" in parameters_of(p).values():
        sets = {tuple(np.dtype(d).name for d in (c.dtypes or given)) for c in p.cases()}
        return "; ".join(sorted(" x ".join(s) for s in sets))
    admitted = []
    for group, members in DTYPES.items():
        taken = [np.dtype(d) for d in members if _admits(p, case, np.dtype(d))]
        if len(taken) == len(members):
            admitted.append(group)
        else:
            admitted += [d.name for d in taken]
    return ", ".join(admitted)


def _admits(p: Primitive, case: Any, dtype: np.dtype) -> bool:
    avals = [ShapedArray(s, dtype) for s in case.shapes]
    try:
        with enable_x64(True):
            p.rule("abstract")(*avals, **case.params)
    except Exception:  # each rule refuses in its own way
        return False
    return True


# ---------------------------------------------------------------- pages


def section(p: Primitive) -> list[str]:
    """The lines of one primitive."""
    lines = [f"## {p.name}", "", p.doc, ""]
    given = parameters_of(p)
    if given:
        text = ", ".join(f"`{k}`" + (f" (such as `{v}`)" if v else "") for k, v in given.items())
        lines += [f"Parameters: {text}.", ""]
    dtypes = dtypes_of(p)
    if dtypes:
        lines += [f"Dtypes: {dtypes}.", ""]
    for aspects, why in reasons_of(p).items():
        lines += [f"Not tested, {aspects}: {why}.", ""]
    lines += ["| rule | where |", "|---|---|"]
    for rule in (*RULES, *HIGHER):
        found = rule_of(p, rule)
        if isinstance(found, no):
            lines.append(f"| {rule} | none: {found.reason} |")
        elif found is not None:
            lines.append(f"| {rule} | {place_of(p, rule)} |")
    return [*lines, ""]


def family_page(source: Path, members: list[Primitive]) -> str:
    """The page of one file's primitives."""
    relative = source.relative_to(ROOT).as_posix()
    head = [
        f"# {source.stem.strip('_')}",
        "",
        f"Primitives of [{relative}](../../{relative}), written by",
        "`python -m docs.primitives --write`.",
        "`python -m fx.prims NAME --kernel` prints a card with the cases and the OpenCL source.",
        "",
    ]
    return "\n".join([*head, *(line for p in members for line in section(p))]).rstrip() + "\n"


def table(families: dict[Path, list[Primitive]]) -> str:
    """README.md: every primitive, its rules, and why one does not exist."""
    rows = []
    for source, members in families.items():
        for p in members:
            cells, reasons = [f"[{p.name}]({page_name(source)}#{anchor(p.name)})"], {}
            for rule in RULES:
                found = rule_of(p, rule)
                cells.append(
                    "missing" if found is None else "–" if isinstance(found, no) else "yes"
                )
                if isinstance(found, no):
                    reasons.setdefault(found.reason.rstrip("."), []).append(rule)
            why = "; ".join(f"{', '.join(rules)}: {reason}" for reason, rules in reasons.items())
            rows.append((p.name, f"| {' | '.join(cells)} | {why} |"))
    head = [
        "# Primitives",
        "",
        "Primitives and their rules, written by `python -m docs.primitives --write`. A rule that",
        "does not exist has its reason in the last column. [What the cases reach](reached.md):",
        "second order, vmap, jit, dtypes, empty and 0-d.",
        "",
        *(f"- {rule}: {meaning}." for rule, meaning in RULES.items()),
        "",
        f"| primitive | {' | '.join(RULES)} | why not |",
        "|---" * (len(RULES) + 2) + "|",
    ]
    return "\n".join([*head, *(r for _, r in sorted(rows))]) + "\n"


def reached() -> str:
    """reached.md: every primitive, what the tests' cases of it reach, and why not more."""
    head = [
        "# What the cases reach",
        "",
        "Primitives and what `tests/test_registry.py` checks on the cases of their entries,",
        "written by `python -m docs.primitives --write`. Cells come from",
        "[fx/prims/coverage.py](../../fx/prims/coverage.py); a test fails on one without a reason.",
        "",
        *(f"- {aspect}: {meaning}." for aspect, meaning in coverage.ASPECTS.items()),
        "",
        f"| primitive | {' | '.join(coverage.ASPECTS)} | why not |",
        "|---" * (len(coverage.ASPECTS) + 2) + "|",
    ]
    rows = []
    for name, p in own_primitives().items():
        source = source_of(p)
        assert source is not None
        found = [coverage.cell(p, aspect) for aspect in coverage.ASPECTS]
        cells = ["missing" if c is None else "–" if isinstance(c, no) else c for c in found]
        why = "; ".join(f"{aspects}: {reason}" for aspects, reason in reasons_of(p).items())
        rows.append(
            f"| [{name}]({page_name(source)}#{anchor(name)}) | {' | '.join(cells)} | {why} |"
        )
    return "\n".join([*head, *rows]) + "\n"


def reasons_of(p: Primitive) -> dict[str, str]:
    """Aspects that the cases do not reach, wholly or in part -> why."""
    grouped: dict[str, list[str]] = {}
    for aspect in coverage.ASPECTS:
        found = coverage.cell(p, aspect)
        why = found.reason if isinstance(found, no) else p.limits.get(aspect)
        if why is not None:
            grouped.setdefault(why.rstrip("."), []).append(aspect)
    return {", ".join(aspects): why for why, aspects in grouped.items()}


def anchor(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def page_name(source: Path) -> str:
    """The file name of a family's page; index.md would be the folder's own on the site."""
    stem = source.stem.strip("_")
    return "indexing.md" if stem == "index" else f"{stem}.md"


def pages() -> dict[str, str]:
    """File name -> text, of all pages."""
    families: dict[Path, list[Primitive]] = {}
    for p in own_primitives().values():
        families.setdefault(source_of(p), []).append(p)  # type: ignore[arg-type]
    families = dict(sorted(families.items()))
    found = {page_name(source): family_page(source, ps) for source, ps in families.items()}
    return {"README.md": table(families), "reached.md": reached(), **found}


def without_lines(text: str) -> str:
    """The text without line numbers, which change with every edit above."""
    return re.sub(r"(\.py):\d+\]", r"\1]", text)


def stale(compare: Callable[[str], str] = without_lines) -> list[str]:
    """The names of pages that differ from what would be written, are missing, or are left over."""
    wanted = pages()
    there = {p.name: p.read_text("utf-8") for p in FOLDER.glob("*.md")}
    names = {*wanted, *there}
    return sorted(n for n in names if compare(wanted.get(n, "")) != compare(there.get(n, "")))


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or say which are out of date (and return 1)."""
    parser = argparse.ArgumentParser(prog="python -m docs.primitives", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/primitives/*.md")
    if parser.parse_args(argv).write:
        FOLDER.mkdir(exist_ok=True)
        for name in stale(str):
            (FOLDER / name).unlink(missing_ok=True)
        for name, text in pages().items():
            (FOLDER / name).write_text(text, "utf-8")
        return 0
    names = stale()
    print("\n".join(f"out of date: docs/primitives/{n}" for n in names) or "up to date")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
