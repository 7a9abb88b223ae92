"""The types of declarative layouts are those of the layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.layout_stubs import ROOT, layouts, stub_of


@pytest.mark.parametrize("layout", layouts(), ids=lambda path: path.stem)
def test_stub_is_up_to_date(layout: Path):
    assert layout.with_suffix(".pyi").read_text() == stub_of(layout), (
        "write the stubs anew: python -m tests.support.layout_stubs"
    )


def test_each_layout_has_a_module_of_its_own():
    """Beside other code, a stub would hide that from the type checker."""
    declaring = {path for path in ROOT.rglob("*.py") if "import cstruct\n" in path.read_text()}
    assert declaring == set(layouts())
    assert {path.with_suffix(".py") for path in ROOT.rglob("*.pyi")} == declaring


def test_a_changed_layout_has_another_stub(tmp_path: Path):
    layout = next(path for path in layouts() if path.stem == "c_elf")
    text = layout.read_text()
    changed = tmp_path / layout.name
    for old, new in (("uint64 e_phoff", "char   e_phoff[8]"), ("PT_NOTE = 4", 'PT_NOTE = "4"')):
        changed.write_text(text)
        assert stub_of(changed, tmp_path) == stub_of(layout)
        changed.write_text(text.replace(old, new))
        assert stub_of(changed, tmp_path) != stub_of(layout)
