"""Headers: what a builder's PoCL reads before each text, in place of 1,200 lines of its own.

Our texts use vectors of OpenCL's types, their bits as other types, infinity and NaN; whatever else
they call they bring along (lean.py). A text that asks for more is refused, and built without.
"""

from __future__ import annotations

TYPES = ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "float", "double")
WIDTHS = 2, 4, 8, 16


def headers() -> dict[str, str]:
    """The texts of headers, by their names: those that hold only what our texts do not use are
    empty.
    """
    lines = [f"typedef unsigned {t[1:]} {t};" for t in TYPES if t.startswith("u")]
    lines += ["typedef ulong size_t;", "#define INFINITY (__builtin_inff())"]
    lines += ["#define NAN as_float(0x7fffffff)"]
    for t in TYPES:
        lines.append(f"#define as_{t}(x) __builtin_astype((x), {t})")
        for n in WIDTHS:
            lines.append(f"typedef {t} {t}{n} __attribute__((ext_vector_type({n})));")
            lines.append(f"#define as_{t}{n}(x) __builtin_astype((x), {t}{n})")
    unread = "opencl-c.h", "_builtin_renames.h", "_kernel.h", "pocl_types.h"
    return dict.fromkeys(unread, "") | {"opencl-c-base.h": "\n".join([*lines, ""])}
