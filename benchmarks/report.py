"""Results -> a markdown table, a plot, and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.roofline import Roofline
from benchmarks.rows import Row
from benchmarks.runner import Measurement, Results, agree, paired_ratio


def number(value: float | None) -> str:
    """Three significant digits, or a dash."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def ratios(results: Results, peer: str) -> dict[str, float]:
    """Times of the peer by times of fx, for the rows that both ran."""
    found = {}
    for row, by_library in results.items():
        if peer in by_library:
            ratio = paired_ratio(by_library["fx"], by_library[peer])
            if ratio is not None:
                found[row] = ratio
    return found


def geometric_mean(values: list[float]) -> float:
    """exp of the mean of logarithms."""
    return math.exp(sum(map(math.log, values)) / len(values))


def verdict(row: Row, by_library: dict[str, Measurement]) -> str:
    """Whether fx and JAX computed the same numbers; without JAX, fx and the first of its peers."""
    mine = by_library["fx"]
    name = "jax" if "jax" in by_library else next((n for n in by_library if n != "fx"), "")
    peer = by_library.get(name)
    if mine.error:
        return "fx: " + mine.error.splitlines()[0][:60]
    if peer is None or peer.skipped:
        return ""
    if peer.error:
        return f"{name}: " + peer.error.splitlines()[0][:60]
    return "yes" if agree(mine.checksums, peer.checksums, row.tolerance) else "**differs**"


def table(rows: dict[str, Row], results: Results, roofline: Roofline, peers: list[str]) -> str:
    """The markdown table of all rows."""
    head = ["row", "what", "fx"]
    for peer in peers:
        head += [peer, f"{peer} / fx"]
    head += ["limit", "fx first", "fx first, 2nd process"]
    head += [f"{peer} first" for peer in peers if peer == "jax"]
    head += ["not waited for", "launches", "peak / bound", "GB/s", "GF/s", "agrees"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, by_library in results.items():
        row, mine = rows[name], by_library["fx"]
        cells = [name, row.what, number(mine.ms)]
        for peer in peers:
            m = by_library[peer]
            ratio = paired_ratio(mine, m)
            cells += [number(m.ms), "–" if ratio is None else f"{ratio:.2f}"]
        limit = roofline.limit_ms(row.nbytes, row.flops)
        cells += [number(limit or None), number(mine.first), number(mine.second_process)]
        cells += [number(by_library[peer].first) for peer in peers if peer == "jax"]
        cells += [number(mine.async_ms)]
        cells += [str(mine.cost.get("launches", "–")), number(mine.cost.get("peak_over_bound"))]
        seconds = mine.ms / 1e3 if mine.ms else None
        cells += [number(row.nbytes / seconds / 1e9 if seconds and row.nbytes else None)]
        cells += [number(row.flops / seconds / 1e9 if seconds and row.flops else None)]
        lines.append("| " + " | ".join([*cells, verdict(row, by_library)]) + " |")
    return "\n".join(lines)


def summary(results: Results, roofline: Roofline, peers: list[str]) -> str:
    """Geometric mean and worst row against each peer, and the machine's figures."""
    lines = [f"Copy {number(roofline.copy)} GB/s, product {number(roofline.product)} GF/s."]
    for peer in peers:
        found = ratios(results, peer)
        if found:
            worst = min(found, key=found.__getitem__)
            behind = sorted(name for name, ratio in found.items() if ratio < 1)
            lines.append(
                f"Against {peer}: geometric mean {geometric_mean(list(found.values())):.2f}x over "
                f"{len(found)} rows, worst {worst} {found[worst]:.2f}x, "
                f"behind on {', '.join(behind) or 'none'}."
            )
    return "\n".join(lines)


def plot(results: Results, peers: list[str], path: Path) -> None:
    """Bars of the ratio for each row, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    charts = [(peer, found) for peer in peers if (found := ratios(results, peer))]
    if not charts:
        return
    count = max(len(found) for _, found in charts)
    figure, axes = plt.subplots(
        1, len(charts), figsize=(6.5 * len(charts), 1.6 + 0.25 * count), squeeze=False
    )
    for axis, (peer, found) in zip(axes[0], charts):
        names = sorted(found, key=found.__getitem__)
        values = [found[name] for name in names]
        colours = ["#c0392b" if v < 1 else "#2e86c1" for v in values]
        axis.barh(names, [v - 1 for v in values], left=1, color=colours)
        axis.set_xscale("log")
        axis.axvline(1, color="black", linewidth=0.8)
        mean = geometric_mean(values)
        axis.axvline(mean, color="#7d6608", linestyle="--", linewidth=0.8)
        axis.set_title(f"{peer} time / fx time; geometric mean {mean:.2f}")
        for place, value in enumerate(values):
            axis.annotate(f" {value:.2f}", (max(value, 1), place), va="center", fontsize=7)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write(folder: Path, rows: dict[str, Row], results: Results, roofline: Roofline,
          peers: list[str], facts: dict[str, Any]) -> str:  # fmt: skip
    """Writes table.md, ratios.png and results.json into the folder; returns the text."""
    folder.mkdir(parents=True, exist_ok=True)
    about = ", ".join(f"{key} {value}" for key, value in facts.items())
    parts = [about + ".", summary(results, roofline, peers), "Times in milliseconds."]
    text = "\n\n".join([*parts, table(rows, results, roofline, peers)]) + "\n"
    (folder / "table.md").write_text(text)
    plot(results, peers, folder / "ratios.png")
    data = {row: {lib: asdict(m) for lib, m in by.items()} for row, by in results.items()}
    record = {"facts": facts, "roofline": asdict(roofline), "rows": data}
    (folder / "results.json").write_text(json.dumps(record, indent=1))
    return text


def publish(folder: Path, page: Path, device: str | None = None) -> None:
    """Puts the folder's table between the marks of the page that name the device (none: of the
    default one), and its plot beside the page.
    """
    named = f" {device}" if device else ""
    begin, end = (f"<!-- table{named}: {where} -->" for where in ("begin", "end"))
    before, rest = page.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    table_text = (folder / "table.md").read_text().strip()
    page.write_text(f"{before}{begin}\n\n{table_text}\n\n{end}{after}")
    plot = page.with_name(f"{page.stem}-{device}.png" if device else f"{page.stem}.png")
    plot.write_bytes((folder / "ratios.png").read_bytes())
