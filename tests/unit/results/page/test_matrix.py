"""Cells of a matrix with two fields are a table; anything else is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.results.page.matrix import matrices


def test_two_fields_make_a_table():
    names = [f"dump[hsa={hsa},layout={layout}]" for hsa in ("32M", "64M") for layout in ("a", "b")]
    (found,) = matrices([*names, "quick", "one[smp=2]", "one[smp=4]", "three[a=1,b=2,c=3]"])
    assert (found.name, found.down, found.across) == ("dump", "hsa", "layout")
    assert (found.rows, found.columns) == (("32M", "64M"), ("a", "b"))
    assert found.cells["64M", "a"] == "dump[hsa=64M,layout=a]"


def test_what_is_no_matrix_of_two_fields():
    assert not list(matrices(["x[inject=['sdias-no-data:request=1,count=2']]", "y[a=1,b=1]"]))


@given(st.lists(st.text()))
def test_any_names_do(names):
    for matrix in matrices(names):
        assert set(matrix.cells.values()) <= set(names)
