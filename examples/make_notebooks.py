"""Writes the notebooks from the scripts in cells/: `python examples/make_notebooks.py [NAME ..]`.

A script's docstring is its first cell, as text. `# %%` begins a cell of code, `# %% [markdown]` one
of text, whose lines are comments. Notebooks are executed, so that they hold their results; a test
checks that their cells are the scripts', and executes them.
"""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILE_OF_A_CELL = re.compile(r"\S*/ipykernel_\d+/\d+\.py|\b\d{6,}\.py")
"""Where the kernel keeps a cell's text: a file of that process."""
NAMES = sorted(path.stem for path in (HERE / "cells").glob("*.py"))


def cells(name: str) -> list[tuple[str, str]]:
    """(kind, text) of each cell of a script; a kind is "markdown" or "code"."""
    source = (HERE / "cells" / f"{name}.py").read_text(encoding="utf-8")
    found = [("markdown", ast.get_docstring(ast.parse(source)) or "")]
    parts = re.split(r"^# %%(.*)\n", source, flags=re.MULTILINE)
    for mark, text in zip(parts[1::2], parts[2::2], strict=True):
        if mark.strip() == "[markdown]":
            found.append(("markdown", re.sub(r"^# ?", "", text, flags=re.MULTILINE).strip()))
        else:
            found.append(("code", text.strip()))
    return found


def notebook(name: str) -> Any:
    """The notebook without results; cell ids are their places, so that it is the same each time."""
    import nbformat.v4 as v4

    make = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    made = [make[kind](text, id=f"cell-{i}") for i, (kind, text) in enumerate(cells(name))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return v4.new_notebook(cells=made, metadata=metadata)


def executed(name: str) -> Any:
    """The notebook with its results; raises nbclient's CellExecutionError where a cell does."""
    from nbclient import NotebookClient

    book = notebook(name)
    NotebookClient(book, timeout=300, kernel_name="python3").execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # the times of execution
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = FILE_OF_A_CELL.sub("cell.py", output.text)
    book.metadata["language_info"] = {"name": "python"}
    return book


def main(arguments: list[str] | None = None) -> None:
    """Makes and writes the notebooks, all of them if none is named."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}")
    for name in parser.parse_args(arguments).names or NAMES:
        nbformat.write(executed(name), HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
