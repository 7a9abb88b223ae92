"""A cluster of real processes on this host, with TLS; its runs are fake ones, without QEMU."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.cluster.access import FILE, Access
from harness.cluster.certificates import make
from harness.cluster.cluster import Cluster
from harness.deadline import Deadline
from harness.errors import HostError
from harness.files.json_text import to_text
from harness.report.runs import Report
from harness.run.batch.items import Item
from harness.run.batch.job import RunJob
from harness.run.batch.loop import run_batch
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.schedule import Tokens
from harness.run.options import RunOptions
from harness.run.plan import Plan
from harness.scenario.model import Scenario

SECONDS = 60.0
SCHEDULER = ("-m", "harness", "cluster", "scheduler", "--port", "0", "--certificates")


@dataclass
class Processes:
    """The scheduler and the hosts; each host has a directory."""

    root: Path
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / "cluster" / FILE

    def start(self, name: str, *arguments: str) -> None:
        self.running[name] = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=(self.root / f"{name}.log").open("w"),
        )

    def start_host(self, name: str, cpus: int = 1) -> None:
        directory = self.root / name
        directory.mkdir()
        where = (str(self.file), name, str(directory), str(cpus))
        self.start(name, "-m", "tests.support.cluster.fake_host", *where)

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(SECONDS)


@contextmanager
def started(root: Path, *hosts: str) -> Iterator[Processes]:
    """A scheduler with these hosts."""
    made = Processes(root)
    make(root / "cluster", days=1)
    try:
        made.start("scheduler", *SCHEDULER, str(root / "cluster"))
        assert Deadline(SECONDS).wait(lambda _: seen(made.file.exists))
        for host in hosts:
            made.start_host(host)
        with Cluster.open(Access.of(str(made.file))) as opened:
            wait_for_hosts(opened, *hosts)
        yield made
    finally:
        for name in list(made.running):
            made.end(name, signal.SIGKILL)


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[Processes]:
    with started(tmp_path_factory.mktemp("cluster"), "a", "b") as made:
        yield made


@pytest.fixture
def cluster(processes) -> Iterator[Cluster]:
    with Cluster.open(Access.of(str(processes.file))) as opened:
        yield opened


def seen(what) -> bool:
    """Whether it holds; look again a little later if not."""
    if found := what():
        return found
    time.sleep(0.05)
    return False


def wait_for_hosts(cluster: Cluster, *names: str) -> None:
    found = Deadline(SECONDS).wait(
        lambda _: seen(lambda: {state.name for state in cluster.hosts()} == set(names))
    )
    assert found


class Watched:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.lost_hosts: list[str] = []
        self.tasks: list[str] = []
        self.lines: list[str] = []
        self.at_tick = lambda: None

    def started(self, number: int, item: Item) -> None:
        pass

    def at(self, number: int, task: AtTask) -> None:
        self.tasks.append(task.what)

    def console(self, number: int, line: ConsoleLine) -> None:
        self.lines.append(line.line)

    def lost(self, number: int, host: str, why: str) -> None:
        self.lost_hosts.append(f"{host}: {why}")

    def ended(self, number: int, run: object) -> None:
        pass

    def tick(self) -> None:
        self.at_tick()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def item_of(what: str, output: Path) -> Item:
    plan = Plan(what, Scenario(description="x"))
    job = RunJob(plan, output, Path("elsewhere"), RunOptions(), consoles=True)
    return Item(what, Path("x.toml"), job, Tokens(1 << 20, 1), "from the evidence", "anew")


@pytest.fixture
def run(cluster, watched, tmp_path):
    def go(*whats: str, **options) -> Report:
        items = [item_of(what, tmp_path / "out" / str(number)) for number, what in enumerate(whats)]
        rooms = options.pop("rooms", None) or cluster.rooms(watched.lost_hosts.append)
        return run_batch(items, rooms, watched, cluster.starter())

    return go


def results(report: Report) -> list[str]:
    return [str(run.result) for run in report.runs]


def none_is_left(processes: Processes, *hosts: str) -> bool:
    """Whether nothing of a run is on these hosts, soon."""

    def nothing() -> bool:
        there = [path for host in hosts for path in (processes.root / host / "work").iterdir()]
        return {path.name for path in there} <= {"dask", "there"}

    return Deadline(SECONDS).wait(lambda _: seen(nothing))


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_runs_go_to_all_hosts_and_their_evidence_comes_back(processes, run, watched, tmp_path):
    report = run("passing", "failing", "erring", "refusing", "passing")
    assert results(report) == ["PASS", "FAIL", "ERROR", "USAGE", "PASS"]
    assert report.runs[1].verdict.findings[0].message == "page 0x1000 differs"
    assert (report.runs[2].verdict.error, report.runs[2].verdict.hint) == ("no prompt", "look")
    assert report.runs[3].refused.message == "no such kernel"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1", "2", "4"]
    kept = json.loads((tmp_path / "out/1/verdict.json").read_bytes())
    assert kept["verdict"] == "FAIL"
    assert "boot it, in other words" in watched.tasks
    assert "hello" in watched.lines
    assert none_is_left(processes, "a", "b")


def test_all_hosts_are_shown(processes, cluster):
    assert [(state.name, state.cpus) for state in cluster.hosts()] == [("a", 1), ("b", 1)]
    assert all(state.memory > 0 and state.trouble is None for state in cluster.hosts())


def test_a_killed_worker_takes_its_run_along_which_goes_elsewhere(
    processes, cluster, run, watched, tmp_path
):
    processes.start_host("c")
    wait_for_hosts(cluster, "a", "b", "c")
    (processes.root / "a/work/there").touch()  # each run waits for a file that only "a" has
    children: list[int] = []

    def strike() -> None:
        begun = list((processes.root / "c/work").glob("*/started-evidence"))
        if begun and "c" in processes.running:
            children.extend(children_of(processes.running["c"].pid))
            processes.end("c", signal.SIGKILL)

    watched.at_tick = strike
    rooms = {name: Tokens(1 << 30, 1) for name in ("a", "c")}
    report = run("waiting:../there", "waiting:../there", rooms=rooms)
    (processes.root / "a/work/there").unlink()
    assert results(report) == ["PASS", "PASS"]
    assert watched.lost_hosts == ["c: its worker has died"]
    assert children
    assert Deadline(SECONDS).wait(lambda _: seen(lambda: not any(map(is_alive, children))))
    (tried,) = (tmp_path / "out").glob("*~1/verdict.json")
    assert json.loads(tried.read_bytes())["error"] == "c is lost: its worker has died"
    wait_for_hosts(cluster, "a", "b")


def test_a_host_with_a_full_disk_takes_no_run(processes, run, watched, full):
    full("b")
    assert results(run("passing", "passing", "passing")) == ["PASS"] * 3
    assert watched.lost_hosts == ["the host b takes no runs: the disk is full"]


def test_a_host_whose_disk_fills_up_gives_its_run_to_another(cluster, run, watched, full):
    rooms = cluster.rooms(print)
    full("b")
    assert results(run("passing", "passing", "passing", rooms=rooms)) == ["PASS"] * 3
    assert watched.lost_hosts == ["b: the disk is full"]


def test_without_a_host_that_is_fit_there_is_nothing_to_run_on(cluster, full):
    full("a")
    full("b")
    with pytest.raises(HostError, match="no host of the cluster can take runs"):
        cluster.rooms(print)


@pytest.fixture
def full(processes) -> Iterator[Callable[[str], None]]:
    files: list[Path] = []

    def fill(host: str) -> None:
        files.append(processes.root / host / "unfit")
        files[-1].touch()

    yield fill
    for file in files:
        file.unlink()


def test_an_interrupt_reaches_the_runs(processes, run, watched):
    def strike() -> None:
        if watched.lines:
            watched.at_tick = lambda: None
            os.kill(os.getpid(), signal.SIGINT)

    watched.at_tick = strike
    report = run("hanging", "hanging", "passing")
    assert report.interrupted == signal.SIGINT
    assert results(report) == ["INTERRUPTED", "INTERRUPTED", "SKIPPED"]
    assert none_is_left(processes, "a", "b")


def test_a_client_that_goes_away_leaves_no_run(processes, run, watched):
    def strike() -> None:
        if watched.lines:
            raise RuntimeError("the client has died")

    watched.at_tick = strike
    with pytest.raises(RuntimeError):
        run("hanging")
    assert none_is_left(processes, "a", "b")


def test_the_signal_to_end_ends_a_host(processes, cluster):
    processes.start_host("d")
    wait_for_hosts(cluster, "a", "b", "d")
    assert processes.end("d") == 0
    assert not (processes.root / "d/work").exists()
    wait_for_hosts(cluster, "a", "b")


def test_a_run_of_a_host_that_is_asked_to_end_goes_elsewhere_and_that_is_no_death(
    processes, cluster, run, watched, tmp_path
):
    processes.start_host("e")
    wait_for_hosts(cluster, "a", "b", "e")
    (processes.root / "a/work/there").touch()

    def strike() -> None:
        if (
            list((processes.root / "e/work").glob("*/started-evidence"))
            and "e" in processes.running
        ):
            processes.running["e"].send_signal(signal.SIGTERM)

    watched.at_tick = strike
    rooms = {name: Tokens(1 << 30, 1) for name in ("a", "e")}
    report = run("waiting:../there", "waiting:../there", rooms=rooms)
    (processes.root / "a/work/there").unlink()
    assert results(report) == ["PASS", "PASS"]
    assert watched.lost_hosts == ["e: its worker was asked to end"]
    assert processes.running.pop("e").wait(SECONDS) == 0
    wait_for_hosts(cluster, "a", "b")


def test_a_disk_of_ours_that_is_full_loses_no_host(cluster, run, watched, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full")

    monkeypatch.setattr(cluster._fetch, "bring", full)
    report = run("passing", "passing", "passing")
    assert results(report) == ["ERROR"] * 3
    assert "/full: No space left on device" in report.runs[0].verdict.error
    assert watched.lost_hosts == []


def test_two_users_share_a_host(processes, run, tmp_path):
    """Each has all of its room, so one waits for the other on the host itself."""
    with Cluster.open(Access.of(str(processes.file))) as other:
        rooms = {"a": Tokens(1 << 30, 1)}
        other.rooms(print)
        job = item_of("waiting:../there", tmp_path / "other").job
        with closing(other.starter()(job, "a")):
            begun = (processes.root / "a/work").glob
            assert Deadline(SECONDS).wait(lambda _: seen(lambda: list(begun("*/started-*"))))
            watch = Watched()
            watch.at_tick = (processes.root / "a/work/there").touch
            report = run_batch(
                [item_of("passing", tmp_path / "mine")],
                rooms,
                watch,
                other.starter(),
            )
    (processes.root / "a/work/there").unlink()
    assert results(report) == ["PASS"]


def test_another_certificate_gets_nobody_in(processes, tmp_path):
    make(tmp_path / "other", days=1)
    (tmp_path / "other" / FILE).write_text(to_text(json.loads(processes.file.read_bytes())))
    with pytest.raises(HostError, match="does not answer"):
        Cluster.open(Access.of(str(tmp_path / "other" / FILE)))


def test_a_name_is_taken_only_once(processes, tmp_path):
    where = (str(processes.file), "a", str(tmp_path / "second"), "1")
    second = subprocess.run(
        [sys.executable, "-m", "tests.support.cluster.fake_host", *where],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert second.returncode != 0
    assert "does not take this host" in second.stderr


def test_when_the_scheduler_is_gone_all_runs_are_errors(tmp_path_factory, watched, tmp_path):
    with started(tmp_path_factory.mktemp("cluster"), "a") as processes:

        def strike() -> None:
            if "scheduler" in processes.running and watched.lines:
                processes.end("scheduler", signal.SIGKILL)

        watched.at_tick = strike
        with Cluster.open(Access.of(str(processes.file))) as cluster:
            items = [item_of(what, tmp_path / what) for what in ("hanging", "passing")]
            report = run_batch(items, cluster.rooms(print), watched, cluster.starter())
        assert results(report) == ["ERROR", "ERROR"]
        assert "a is lost" in report.runs[1].verdict.error
        # nobody listens any more, so the host's process ends, too
        assert processes.running["a"].wait(SECONDS) is not None
