"""Deal: the stage that lists the updates of a scatter by who owns the rows that they land in.

A part of the updates is gone along twice: its updates are counted by owners, then each is written
where its owner's list has room. Nothing branches on whose an update is.
"""

from __future__ import annotations

from lowering import graph as g
from lowering.emit.scope import OWN_PART, Stage
from lowering.nest import NestBuffer
from lowering.rewrite.deal import INT, Deal
from lowering.templates.scatter import place

TEXT = """\
  {own}
  int count[{owners}] = {{0}};
  for (long s = lo; s < hi; ++s) {{
{place}
    ++count[o >> {shift}];
  }}
  int next = (int)lo;
  for (int j = 0; j < {owners}; ++j) {{
    const int n = count[j];
    b2[item * {ends} + j] = count[j] = next;
    next += n;
  }}
  b2[item * {ends} + {owners}] = next;
  for (long s = lo; s < hi; ++s) {{
{place}
    const int to = count[o >> {shift}]++;
    b1[2 * to] = (int)s;
    b1[2 * to + 1] = (int)o;
  }}"""


def stage(node: g.Node) -> Stage:
    """The stage that writes both results of a Deal, from its indices."""
    f: Deal = node.form
    (indices,) = node.args
    (lists, _), (ends, _) = node.outs
    rows = g.Node(g.Input(-1), (), f.extents, INT)
    axes = tuple(range(len(f.extents)))
    form = g.Scatter("set", (), axes, axes, (), (), f.mode, False, f.wrap)
    lines = "\n".join(place(form, rows, indices, {}, None))
    words = {"own": OWN_PART, "owners": f.owners, "ends": f.owners + 1, "shift": f.shift}
    text = TEXT.format(place=lines, **words)
    count = lists[0]
    outs = [g.Node(g.Input(-1), (), shape, INT) for shape in (lists, ends)]
    buffers = [NestBuffer(indices, indices.dtype, indices.size)]
    buffers += [NestBuffer(n, INT, n.size, True) for n in outs]
    share = -(-count // f.parts)
    label = node.tag or "scatter: lists"
    return Stage(text, buffers, [count, share], f.parts, 1, label, cost=6.0 * count)
