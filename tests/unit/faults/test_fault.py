"""How faults are written, and what they promise."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.fault import ALL, Fault, Place, Promise, example
from harness.faults.table import FAULTS, fault_of, promise_of


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("no-sdias", {}),
        ("sdias-no-data:request=5", {Place.REQUEST: 5}),
        (" sdias-no-data : request = 5".replace(" :", ":"), {Place.REQUEST: 5}),
        ("sdias-no-data:address=0x2000,count=3", {Place.ADDRESS: 0x2000, Place.COUNT: 3}),
        ("sdias-no-data:request=1,count=all", {Place.REQUEST: 1, Place.COUNT: ALL}),
        ("hsa-told-smaller:size=32M", {Place.SIZE: 32 << 20}),
        ("sigp-check-stop:cpu=0", {Place.CPU: 0}),
    ],
)
def test_what_is_written(text: str, places: dict[Place, int]):
    assert dict(fault_of(text).places) == places


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "there is no fault ''"),
        ("sdias-lazy", "there is no fault 'sdias-lazy'"),
        ("no-sdias:request=1", "no-sdias has no place 'request'; its places: none"),
        ("sdias-no-data", "sdias-no-data needs request or address: sdias-no-data:request=1"),
        ("sdias-no-data:count=2", "needs request or address"),
        ("sdias-no-data:request=1,address=0", "happens at one place: request or address"),
        ("sdias-no-data:cpu=1", "has no place 'cpu'; its places: request, address, count"),
        ("sdias-no-data:request=all", "request: 'all' is no number"),
        ("sdias-no-data:request=-1", "request: '-1' is no number"),
        ("sdias-no-data:request=0", "the first one has number 1"),
        ("sdias-no-data:request=1,count=0", "the first one has number 1"),
        ("sdias-no-data:request", "request: '' is no number"),
        ("sdias-no-data:request=1\n", "there is no fault"),
    ],
)
def test_what_is_no_fault(text: str, what: str):
    if text.endswith("\n"):
        assert fault_of(text) == fault_of(text.strip()), "an end of line does not matter"
        return
    with pytest.raises(ValueError, match="fault") as refused:
        fault_of(text)
    assert what in str(refused.value)


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_the_example_of_each_kind_is_one(kind):
    assert fault_of(example(kind)).kind is kind


@given(st.data())
def test_every_fault_is_read_as_it_is_written(data: st.DataObject):
    kind = data.draw(st.sampled_from(list(FAULTS.values())))
    places = {}
    if kind.when:
        places[data.draw(st.sampled_from(kind.when))] = data.draw(st.integers(1, 2**40))
    for place in kind.may:
        if data.draw(st.booleans()):
            places[place] = data.draw(st.one_of(st.just(ALL), st.integers(1, 2**33)))
    fault = Fault(kind, places)
    assert fault_of(str(fault)) == fault


@given(st.text(max_size=40))
def test_any_other_text_is_refused_in_words(text: str):
    with suppress(ValueError):
        assert str(fault_of(text))


def test_the_least_that_is_promised_counts():
    assert promise_of(()) is Promise.SURVIVES
    survives, refused = fault_of("sdias-not-accepted:request=1"), fault_of("no-sdias")
    partial = fault_of("sigp-check-stop:cpu=1")
    assert promise_of((survives, partial)) is Promise.PARTIAL
    assert promise_of((refused, partial)) is Promise.REFUSED


def test_what_is_partial_says_what_is_missing():
    for kind in FAULTS.values():
        assert bool(kind.findings) is (kind.promise is Promise.PARTIAL)
