"""The large files of runs are packed: equal pages once, and nothing is ever lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import EvidenceError, HostError, LimitError
from harness.evidence.pack import pack as packing
from harness.evidence.pack import store as storing
from harness.evidence.pack.pack import pack, packable, sweep
from harness.evidence.pack.recipe import Packed, Runs
from harness.evidence.pack.store import PAGE, PAGES_OF_PACK, PageStore
from harness.evidence.pack.use import NAMES, restored, unpack, unpack_into
from harness.files import sparse
from tests.unit.evidence.pack.made import QUIET, content_of, damage, noise, packs, run_with

SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_a_run_is_packed_and_read_again(run, store):
    before = content_of(run)
    assert pack(run, store, QUIET) >= 2 * len(noise(1))
    assert set(content_of(run)) == {"run.json"}
    assert pack(run, store, QUIET) == 0
    with restored(run):
        assert content_of(run) == before
        with restored(run):
            assert content_of(run) == before
        assert content_of(run) == before, "somebody else still uses it"
        assert pack(run, store, QUIET) == 0
        assert content_of(run) == before, "it is used"
    assert set(content_of(run)) == {"run.json"}
    unpack_into(run, run.parent / "elsewhere", QUIET)
    assert content_of(run.parent / "elsewhere") | {"run.json": b"{}"} == before
    assert unpack(run, QUIET) == 2
    assert content_of(run) == before
    assert not (run / "packed.json").exists()
    assert unpack(run, QUIET) == 0


def test_equal_pages_are_stored_once(run, series, store):
    other = run_with(series / "0002/again-2/two", crash__ram_img=noise(2) + noise(3) + noise(1))
    pack(run, store, QUIET)
    used = sum(store.sizes().values())
    assert used < 1.1 * 2 * len(noise(1)) + PAGE
    pack(other, store, QUIET)
    assert sum(store.sizes().values()) - used < 1.1 * len(noise(3))


def test_more_pages_than_a_pack_takes(series, store):
    size = PAGE * (PAGES_OF_PACK * 2 + 5)
    run = run_with(series / "0001/runs/one", crash__ram_img=noise(9, size) + noise(9, size))
    before = content_of(run)
    pack(run, store, QUIET)
    assert len(packs(store)) == 3
    with restored(run):
        assert content_of(run) == before


@SLOW
@given(
    pieces=st.lists(
        st.tuples(st.sampled_from((0, 0, 1, 2, 3)), st.integers(0, 40_000)), max_size=12
    ),
    other=st.binary(max_size=9000),
)
def test_whatever_a_file_contains_it_comes_back(tmp_path, pieces, other):
    place = tmp_path / "any"
    shutil.rmtree(place, ignore_errors=True)
    content = b"".join(noise(kind, size) if kind else bytes(size) for kind, size in pieces)
    run = run_with(place / "1/runs/one", crash__ram_img=noise(5), dump__dump=content + other)
    hole = (run / "crash/ram.img").stat().st_size
    os.truncate(run / "crash/ram.img", hole + (3 << 20) + 17)
    before, store = content_of(run), PageStore.of_series(place)
    pack(run, store, QUIET)
    with restored(run):
        assert content_of(run) == before
        assert (run / "crash/ram.img").stat().st_blocks * 512 <= hole + (64 << 10)


def test_holes_stay_holes(series, store):
    run = run_with(series / "0001/runs/one", crash__ram_img=noise(1))
    os.truncate(run / "crash/ram.img", 1 << 33)
    digest = sparse.digest(run / "crash/ram.img")
    pack(run, store, QUIET)
    with restored(run):
        found = (run / "crash/ram.img").stat()
        assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (1 << 33, True)
        assert sparse.digest(run / "crash/ram.img") == digest


def test_small_files_and_links_stay(series, store, tmp_path):
    run = run_with(series / "0001/runs/one", dump__dump=b"x" * 5000)
    (tmp_path / "other").write_bytes(noise(1))
    (run / "disk.img").symlink_to(tmp_path / "other")
    assert pack(run, store, QUIET) == 0
    assert not store.exists
    assert (run / "dump/dump").exists()
    assert (tmp_path / "other").exists()


def test_each_file_that_is_packed_may_be_restored(series):
    run = series / "0001/runs/one"
    for name in NAMES:
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(1))
    assert {path.relative_to(run).as_posix() for path in packable(run)} == NAMES


class Killed(BaseException):
    """In place of SIGKILL: no handler of errors sees it, and the file system stays as it was."""


def dying_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], bool]:
    """Make the ``step``-th change of a file end everything; returns whether that came."""
    counter, died = count(), [False]

    def dying(original):
        def call(*arguments, **keywords):
            if died[0]:
                raise Killed  # a killed process does nothing more, in no handler either
            if next(counter) == step:
                died[0] = True
                raise Killed
            return original(*arguments, **keywords)

        return call

    monkeypatch.setattr(os, "fsync", dying(os.fsync))
    for name in ("unlink", "replace", "rename", "open"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    return lambda: died[0]


@pytest.mark.parametrize("what", ["pack", "restore", "unpack"])
def test_a_kill_at_any_moment_loses_nothing(series, what):
    for step in count():
        place = series / f"{what}-{step}"
        store = PageStore.of_series(place)
        run = run_with(place / "1/runs/one", crash__ram_img=noise(1), dump__dump=noise(2))
        before = content_of(run)
        if what != "pack":
            pack(run, store, QUIET)
        with pytest.MonkeyPatch.context() as patched:
            died = dying_at(patched, step)
            try:
                if what == "pack":
                    pack(run, store, QUIET)
                elif what == "unpack":
                    unpack(run, QUIET)
                else:
                    with restored(run):
                        pass
            except Killed:
                pass
        sweep(store)
        with restored(run):
            assert content_of(run) == before
        pack(run, store, QUIET)
        assert set(content_of(run)) == {"run.json"}
        sweep(store)
        with restored(run):
            assert content_of(run) == before
        if not died():
            assert step > 3
            return


def _pack_many(series: Path, first: int) -> None:
    for number in range(first, first + 8):
        run = series / f"0001/runs/run-{number}"
        pack(run, PageStore.of_series(series), QUIET)
        sweep(PageStore.of_series(series))


def test_two_processes_at_once(series):
    before = {}
    for number in range(16):
        shared = noise(number % 8) + noise(100) + noise(number + 1000)
        run = run_with(series / f"0001/runs/run-{number}", crash__ram_img=shared)
        before[run] = content_of(run)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_pack_many, args=(series, first)) for first in (0, 8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for run, content in before.items():
        with restored(run):
            assert content_of(run) == content


def _use_often(run: Path, digest: str) -> None:
    for _ in range(30):
        with restored(run):
            assert sparse.digest(run / "crash/ram.img") == digest


def test_two_processes_use_one_run(run, store):
    digest = sparse.digest(run / "crash/ram.img")
    pack(run, store, QUIET)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_use_often, args=(run, digest)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_sweep_removes_only_what_no_run_needs(run, series, store):
    other = run_with(series / "0002/runs/two", crash__ram_img=noise(7) + noise(1))
    before = content_of(run)
    pack(run, store, QUIET)
    alone = sum(store.sizes().values())
    pack(other, store, QUIET)
    assert sweep(store) == 0
    both = sum(store.sizes().values())
    assert sweep(store, dry_run=True, without=[series / "0002"]) == both - alone
    assert sum(store.sizes().values()) == both
    shutil.rmtree(series / "0002")
    (store.root / "packs/left.zst.new").write_bytes(b"of a killed process")
    assert sweep(store) >= both - alone
    assert len(packs(store)) == len(store.sizes())
    with restored(run):
        assert content_of(run) == before
    again = run_with(series / "0003/runs/two", crash__ram_img=noise(7) + noise(1))
    expected = content_of(again)
    pack(again, store, QUIET)
    with restored(again):
        assert content_of(again) == expected
    shutil.rmtree(series / "0001")
    shutil.rmtree(series / "0003")
    sweep(store)
    assert packs(store) == []
    assert sweep(PageStore(series / "none")) == 0


def test_nothing_is_swept_while_a_run_cannot_be_read(run, store):
    pack(run, store, QUIET)
    (run / "packed.json").write_text("{")
    with pytest.raises(EvidenceError, match=r"packed\.json"):
        sweep(store)
    assert packs(store)


@pytest.mark.parametrize("lost", ["removed", "damaged", "of a pack that is gone"])
def test_an_index_that_is_lost_costs_only_space(run, series, store, lost):
    pack(run, store, QUIET)
    index = store.root / "index.sqlite"
    if lost == "removed":
        index.unlink()
    elif lost == "damaged":
        index.write_bytes(b"no database at all" * 100)
    else:
        for path in packs(store):
            path.unlink()
    other = run_with(series / "0002/runs/two", crash__ram_img=noise(1) + noise(8))
    before = content_of(other)
    pack(other, store, QUIET)
    with restored(other):
        assert content_of(other) == before


def test_a_damaged_pack_is_not_used_again(run, series, store):
    pack(run, store, QUIET)
    for path in packs(store):
        damage(path)
    other = run_with(series / "0002/runs/two", crash__ram_img=noise(1) + noise(8))
    before = content_of(other)
    pack(other, store, QUIET)
    with restored(other):
        assert content_of(other) == before


def test_a_disk_that_is_full_can_be_swept(run, store, monkeypatch):
    pack(run, store, QUIET)
    (run / "packed.json").unlink()

    def full(path):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(storing, "_opened", full)
    assert sweep(store) > 0
    assert packs(store) == []
    assert not (store.root / "index.sqlite").exists()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 40))
def test_runs_of_others_are_in_order_or_refused(data, packs_, pages):
    try:
        runs = Runs.decode(data)
        runs.check(packs_, pages)
    except ValueError:
        return
    assert Runs.decode(runs.encode()) == runs
    written = [
        page + each
        for page, number in zip(runs.pages, runs.counts, strict=True)
        for each in range(number)
    ]
    assert written == sorted(set(written))
    assert all(page < pages for page in written)
    assert all(number < packs_ for number in runs.packs)


def test_a_file_that_changes_meanwhile_is_not_packed(run, store, monkeypatch):
    before = content_of(run)
    original = packing._place

    def changing(*arguments):
        with (run / "crash/ram.img").open("ab") as file:
            file.write(b"more")
        original(*arguments)

    monkeypatch.setattr(packing, "_place", changing)
    with pytest.raises(EvidenceError, match="changed while it was packed"):
        pack(run, store, QUIET)
    assert set(content_of(run)) == set(before)


def test_what_could_not_be_read_again_is_not_packed(run, store, monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 100)
    with pytest.raises(LimitError, match="too large"):
        pack(run, store, QUIET)
    assert "crash/ram.img" in content_of(run)
    assert not (run / "packed.json").exists()


def test_no_space_is_said_before(run, store, monkeypatch):
    pack(run, store, QUIET)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(HostError, match="0 MB are free"), restored(run):
        pass


class Usage:
    free = 1000


def test_a_file_that_was_written_meanwhile_stays(run, store):
    pack(run, store, QUIET)
    with restored(run), (run / "crash/ram.img").open("ab") as file:
        file.write(b"a person's own")
    assert (run / "crash/ram.img").exists()
    assert not (run / "dump/dump").exists()


def test_names_of_packs_are_those_of_their_content(run, store):
    pack(run, store, QUIET)
    for name in Packed.read(run / "packed.json").packs:
        assert storing.hash_of(store.read(name)).hex() == name
