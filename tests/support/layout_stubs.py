"""Types of the declarative layouts: dissect's own generator makes a ``.pyi`` for each ``c_*.py``.

``python -m tests.support.layout_stubs`` writes these files again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dissect.cstruct.tools.stubgen import generate_file_stub, load_module

import harness

ROOT = Path(harness.__file__).parent
# dissect's types are also types of Python, so a field may be set to a plain number
PLAIN = (
    (r"_c_\w+\.u?int\d+", "int"),
    (r"_c_\w+\.char\b", "bytes"),
    (r"__cs__\.CharArray", "bytes"),
    (r"__cs__\.Array\[", "list["),
)


def layouts() -> list[Path]:
    """Every module that declares a layout."""
    return sorted(ROOT.rglob("c_*.py"))


def stub_of(layout: Path, base: Path = ROOT.parent) -> str:
    """The text of the stub of a module: dissect's output, and the module's own constants.

    ``base`` is the directory from which the module is imported.
    """
    stub = generate_file_stub(layout, base)
    for pattern, plain in PLAIN:
        stub = re.sub(pattern, plain, stub)
    return "\n".join([stub.rstrip(), "", *_constants(layout, base), ""])


def _constants(layout: Path, base: Path) -> Iterator[str]:
    for constant, value in vars(load_module(layout, base)).items():
        if constant.isupper():
            kind = "tuple[int, ...]" if isinstance(value, tuple) else type(value).__name__
            yield f"{constant}: {kind}"


if __name__ == "__main__":
    for each in layouts():
        each.with_suffix(".pyi").write_text(stub_of(each))
