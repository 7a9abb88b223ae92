"""Foreign evidence, crashes and reports: they are read or refused, whatever they contain."""

from __future__ import annotations

import copy
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.options import output_path
from harness.errors import EvidenceError, HarnessError, UsageError
from harness.evidence.collected import Collected
from harness.evidence.names import DIGESTS
from harness.evidence.snapshot import Snapshot
from harness.files import sparse
from harness.files.json_file import MAX_BYTES, read_object
from harness.files.plain_file import read_plain
from harness.images.store import Store
from harness.lab.bisect import STATE, Memory
from harness.machine.snapshots import Snapshots
from harness.progress import NoProgress
from harness.report.verdict import Verdict
from harness.run import engine
from harness.run.plan import Plan, plan_of, plan_of_crash
from harness.scenario.load import load
from tests.support.command_line.zharness import zharness
from tests.support.evidence import SyntheticRun
from tests.support.runs.crashes import make_crash

JSON = (
    "run.json",
    "verdict.json",
    "crash/machine.json",
    "crash/cpus.json",
    "dump/outcome.json",
    "dump/collected.json",
    "reipl/outcome.json",
)
OTHERS = (
    "crash/ram.img",
    "crash/console.log",
    "dump/console.log",
    "dump/dump",
    "dump/superblock.bin",
)
NOT_JSON = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "invalid UTF-8": b'{"memory": "\xc3"}',
    "cut": b'{"memory": ',
    "NaN": b'{"memory": NaN}',
    "infinite": b'{"memory": -Infinity}',
    "beyond a float": b'{"memory": 1e999}',
    "5,000 digits": b'{"memory": ' + b"9" * 5000 + b"}",
    "more than 64 bits": b'{"memory": 18446744073709551616}',
    "a key twice": b'{"memory": 1, "memory": 2}',
    "lists in lists": b"[" * 100_000,
    "objects in objects": b'{"a":' * 100_000,
    "whole, but deep": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    "a list": b"[]",
    "a number": b"1",
    "too large": b" " * (MAX_BYTES + 1),
}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 1 << 63, (1 << 64) - 1, 0.5, -1e308, 1e308),
    *("", "x", "0", "-1", "\0", "\ud800", "../../x", "/dev/zero", "/" * 5000, "a" * 70000),
    *([], {}, [[]], [{}], {"": None}, [None] * 100, {"path": 1}, {"vmlinux": {"path": "\0"}}),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """All that evidence may hold."""
    synthetic = SyntheticRun(
        machine={"kernel": {"vmlinux": {"path": "/nowhere"}}, "trigger": "sysrq-c"},
        outcome={"reipl_block": "00"},
        expect={"reipl": True},
        reipl={"named": "x", "loaded": True},
        content_seed=1,
    )
    root = synthetic.write(tmp_path_factory.mktemp("run") / "evidence")
    described = json.loads((root / "run.json").read_bytes())
    kernel = {"release": "6.12", "vmlinux": {"path": "/nowhere", "sha256": "0" * 64}}
    described["inputs"] = {"crashed kernel": kernel, "dump kernel": kernel}
    (root / "run.json").write_text(json.dumps(described))
    verdict = verdict_of(root)
    (root / "verdict.json").write_text(json.dumps(verdict))
    return root


def verdict_of(root: Path) -> dict[str, Any]:
    (root / "verdict.json").write_text(json.dumps({"verdict": "PASS"}))
    told = engine.verify(root, progress=NoProgress()).to_json()
    return {**told, "timings": {"dump": 1.0}, "fidelity": [{"function": "HSA", "by": "harness"}]}


def message_of(work: Callable[[], object], *errors: type[HarnessError]) -> str | None:
    """The message of the only allowed error, None without an error."""
    try:
        work()
    except errors as error:
        return error.message
    return None


@pytest.fixture
def changed(run: Path) -> Iterator[Callable[[str], Path]]:
    """Gives the path of a file of the evidence to be changed, and puts the right one back."""
    kept: list[tuple[Path, Path]] = []

    def take(name: str) -> Path:
        path, aside = run / name, run.parent / "aside"
        path.rename(aside)
        kept.append((path, aside))
        return path

    yield take
    for path, aside in reversed(kept):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        aside.rename(path)


def verified(run: Path) -> Verdict:
    return engine.verify(run, progress=NoProgress())


def test_what_is_right_is_checked(run):
    verdict = verified(run)
    assert not [each for each in verdict.findings if each.check not in ("content", "reipl")]
    assert verdict.timings == {"dump": 1.0}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_invalid_json_is_an_error_that_names_the_file(run, changed, name, content):
    changed(name).write_bytes(content)
    with pytest.raises(EvidenceError, match=name) as error:
        engine.verify(run, progress=NoProgress())
    assert len(error.value.message) < len(str(run)) + 300


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def local_socket(path: Path, tmp_path: Path) -> None:
    short = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short))
    short.rename(path)


def link_to(target: str) -> Callable[[Path, Path], None]:
    return lambda path, _: path.symlink_to(target)


STRANGE = {
    "FIFO": fifo,
    "socket": local_socket,
    "directory": lambda path, _: path.mkdir(),
    "link to a device": link_to("/dev/zero"),
    "link to a secret": link_to("/etc/passwd"),
    "link to itself": lambda path, _: path.symlink_to(path.name),
    "link to nothing": link_to("/nowhere"),
    "link to the right one": lambda path, _: path.symlink_to(path.parents[2] / "aside"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", JSON + OTHERS)
@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_a_path_that_is_not_a_file_is_an_error_that_names_it(run, changed, tmp_path, name, make):
    make(changed(name), tmp_path)
    with pytest.raises(EvidenceError, match=name):
        engine.verify(run, progress=NoProgress())


@pytest.mark.parametrize("part", ["crash", "dump", "reipl"])
def test_a_part_that_leads_elsewhere_is_an_error(run, changed, part):
    changed(part).symlink_to(run.parent / "aside")
    with pytest.raises(EvidenceError, match=f"{part}: is not a directory of its own"):
        engine.verify(run, progress=NoProgress())


def places(document: Any) -> list[tuple[Any, ...]]:
    """The path of everything in a document, itself excepted."""
    keys = document if isinstance(document, dict) else range(len(document))
    found = []
    for key in keys:
        found.append((key,))
        if isinstance(document[key], dict | list):
            found += [(key, *rest) for rest in places(document[key])]
    return found


@st.composite
def mutations(draw: st.DrawFn, document: dict[str, Any]) -> Any:
    """A document with up to three things in it taken away or replaced."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(places(changed) or [()]))
        if not where:
            break
        parent = changed
        for key in where[:-1]:
            parent = parent[key]
        if draw(st.booleans()):
            parent[where[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        else:
            del parent[where[-1]]
    return changed


@pytest.mark.parametrize("name", JSON)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_evidence_that_says_anything_is_checked_or_refused(run, name, data):
    right = (run / name).read_bytes()
    try:
        (run / name).write_text(json.dumps(data.draw(mutations(json.loads(right)))))
        said = message_of(lambda: json.dumps(verified(run).to_json()), EvidenceError)
        assert said is None or (str(run) in said and "\n" not in said)
    finally:
        (run / name).write_bytes(right)


def with_digests(crash: Path) -> None:
    """As if what stands there now had been saved."""
    digests = json.loads((crash / DIGESTS).read_bytes())
    for name in digests:
        path = crash / name
        digests[name] = {"size": path.stat().st_size, "digest": sparse.digest(path)}
    (crash / DIGESTS).write_text(json.dumps(digests))


@pytest.mark.parametrize("name", ["machine.json", "cpus.json", DIGESTS])
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_random_crash_is_opened_or_refused(tmp_path_factory, name, data):
    crash = make_crash(tmp_path_factory.mktemp("crash") / "crash").directory
    path = crash / name
    path.write_text(json.dumps(data.draw(mutations(json.loads(path.read_bytes())))))
    if name != DIGESTS:
        with_digests(crash)
    said = message_of(lambda: use(Snapshot.open(crash)), EvidenceError, UsageError)
    assert said is None or str(crash) in said


def use(snapshot: Snapshot) -> None:
    """As a dump does."""
    snapshot.check_images()
    assert isinstance(snapshot.dump_block, bytes | None)
    assert isinstance(snapshot.created + snapshot.trigger + snapshot.console, str)
    plan = plan_of_crash(snapshot, {})
    assert plan.scenario.crashed.smp == len(snapshot.cpus)


OUTSIDE = [
    "../../evil.sh",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    "digests.json",
    "evil.sh",
    "ram.img/",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_crash_names_only_files_of_its_own(tmp_path, name):
    crash = make_crash(tmp_path / "a/b/crash").directory
    (tmp_path / "evil.sh").write_text("evil")
    (crash / "evil.sh").write_text("evil")
    digests = json.loads((crash / DIGESTS).read_bytes())
    evil = tmp_path / "evil.sh"
    digests[name] = {"size": evil.stat().st_size, "digest": sparse.digest(evil)}
    (crash / DIGESTS).write_text(json.dumps(digests))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(EvidenceError, match="is no file of a crash snapshot"):
        Snapshot.open(crash)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["ram.img", "system.img", "console.log", "machine.json", DIGESTS])
@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_a_crash_accepts_only_regular_files(tmp_path, name, make):
    snapshot = make_crash(tmp_path / "other/crash")
    path = snapshot.directory / name
    path.rename(tmp_path / "aside")
    make(path, tmp_path)
    store = Store(tmp_path / "store", NoProgress())
    with pytest.raises(EvidenceError, match=name):
        Snapshot.open(snapshot.directory)
    with pytest.raises(EvidenceError, match=name):  # changed after it was opened
        Snapshots(store).take(snapshot, tmp_path / "taken")
    assert not any(each.is_symlink() for each in (tmp_path / "taken").iterdir())


@pytest.mark.parametrize("name", ["../../x", "/abs", "a/../../b", "\x1b[31m", "..", "x" * 5000])
def test_a_plan_does_not_choose_where_its_evidence_goes(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    plan = plan_of("panic", load("panic")).to_json() | {"name": name}
    chosen = output_path(None, Plan.from_json(plan, tmp_path).name)
    runs = output_path(None, "x").parent
    assert chosen.parent == runs
    assert ".." not in chosen.parts
    assert len(chosen.name) < 255


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_random_plan_is_accepted_or_refused(data):
    right = json.loads(json.dumps(plan_of("panic", load("panic")).to_json()))
    try:
        plan = Plan.from_json(data.draw(mutations(right)), Path("run.json"))
    except EvidenceError:
        return
    assert plan.time_factor > 0
    json.dumps(plan.to_json())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_random_bisection_is_resumed_or_refused(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("bisection")
    step = {
        "commit": "0" * 40,
        "subject": "s",
        "answer": "good",
        "why": "",
        "seconds": 1.0,
        "evidence": None,
    }
    right = {"question": {"good": "a"}, "steps": [step]}
    (place / STATE).write_text(json.dumps(right))
    assert Memory.open(place, {"good": "a"}).steps
    (place / STATE).write_text(json.dumps(data.draw(mutations(right))))
    said = message_of(lambda: Memory.open(place, {"good": "a"}), EvidenceError, UsageError)
    assert said is None or STATE in said


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_one_reader_reads_all_json(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    (tmp_path / "collected.json").write_bytes(content)
    with pytest.raises(EvidenceError, match=r"x\.json"):
        read_object(tmp_path / "x.json")
    with pytest.raises(EvidenceError, match=r"collected\.json"):
        Collected.load(tmp_path)


def test_a_verdict_of_another_shape_is_refused(run):
    right = json.loads((run / "verdict.json").read_bytes())
    assert Verdict.from_json(right, run).to_json() == right
    for where in [("checks", 0, "findings"), ("timings", "dump"), ("fidelity", 0), ("inputs",)]:
        wrong = copy.deepcopy(right)
        parent = wrong
        for key in where[:-1]:
            parent = parent[key]
        parent[where[-1]] = "x"
        with pytest.raises(EvidenceError, match=f"not a verdict: {where[0]}"):
            Verdict.from_json(wrong, run)


def test_no_more_bytes_are_read_than_expected(tmp_path):
    (tmp_path / "large").write_bytes(bytes(11))
    assert read_plain(tmp_path / "large", 11) == bytes(11)
    with pytest.raises(EvidenceError, match="larger than 10 bytes"):
        read_plain(tmp_path / "large", 10)


COMMANDS = {
    "verify": ("verify", "{run}"),
    "replay": ("replay", "{run}"),
    "dump": ("dump", "{run}/crash/"),
    "snapshot show": ("snapshot", "show", "{run}/crash/"),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_does_not_wait_for_a_fifo(tmp_path, command):
    """It also prints only one line."""
    root = SyntheticRun().write(tmp_path / "run")
    for name in ("run.json", "crash/machine.json"):
        (root / name).unlink()
        os.mkfifo(root / name)
    done = zharness(
        *(word.format(run=root) for word in command), ZHARNESS_STORE=str(tmp_path / "store")
    )
    assert done.returncode == 3
    assert "is a FIFO, not a file" in done.stderr
    assert len(done.stderr.splitlines()) == 1
