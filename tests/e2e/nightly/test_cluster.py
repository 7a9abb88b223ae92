"""A cluster of hosts on this one, with real machines: each host has a store of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.host.paths import default_store
from tests.support.command_line.zharness import Zharness, command

pytestmark = pytest.mark.e2e

SECONDS = 3000
START_SECONDS = 120.0
SCENARIOS = "dump-matrix*"
# a file system of 64 MB, which only the worker sees
IN_SMALL_DISK = 'mount -t tmpfs -o size=64m none "$1" && shift && exec "$@"'


class Hosts:
    def __init__(self, root: Path, zharness: Zharness) -> None:
        self.root, self.zharness = root, zharness
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def file(self) -> Path:
        return self.root / "cluster/cluster.json"

    def spawn(self, name: str, argv: list[str], **environment: str) -> None:
        with (self.root / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                argv, stdout=log, stderr=log, env={**os.environ, **environment}
            )

    def host(self, name: str, *, small_disk: bool = False, **environment: str) -> None:
        """Its store has all images, and no crash."""
        place, store = self.root / name, self.root / f"{name}-store"
        place.mkdir()
        subprocess.run(["cp", "-al", default_store(), store], check=True)
        shutil.rmtree(store / "snapshots", ignore_errors=True)
        options = ("--name", name, "-j", 1, "--store", store, "--directory", place)
        argv = command("cluster", "worker", self.file, *options)
        if small_disk:
            unshare = ["unshare", "--map-root-user", "--mount"]
            argv = [*unshare, "sh", "-ec", IN_SMALL_DISK, "sh", str(place), *argv]
        self.spawn(name, argv, **environment)

    def shown(self) -> dict[str, Any]:
        ran = self.zharness("cluster", "show", self.file, "--json")
        return {host["name"]: host["trouble"] for host in json.loads(ran.out or "[]")}

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(START_SECONDS)


@pytest.fixture
def hosts(zharness: Zharness, images: object, tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, zharness)
    assert zharness("cluster", "init", tmp_path / "cluster").code == 0
    listen = ("--port", 0, "--certificates", tmp_path / "cluster")
    made.spawn("scheduler", command("cluster", "scheduler", *listen))
    assert Deadline(START_SECONDS).wait(lambda _: seen(made.file.exists()))
    yield made
    for name in list(made.running):
        made.kill(name)


def seen(found: object) -> object:
    """What was found; the next look comes a little later if that is nothing."""
    if not found:
        time.sleep(0.1)
    return found


@contextmanager
def running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_four_hosts_of_which_one_dies_one_is_full_and_one_has_no_qemu(hosts: Hosts, tmp_path: Path):
    hosts.host("good")
    hosts.host("dying")
    hosts.host("full", small_disk=True)
    hosts.host("without-qemu", ZHARNESS_QEMU="/bin/false")
    found = Deadline(START_SECONDS).wait(lambda _: len(hosts.shown()) == 4 and hosts.shown())
    assert found["good"] is found["dying"] is None
    assert "MB are free" in found["full"]
    assert "not a QEMU" in found["without-qemu"]
    output = tmp_path / "evidence"
    argv = command("run", SCENARIOS, "--cluster", hosts.file, "--output", output)
    with running(argv, tmp_path / "run.log") as process:
        in_dump = "dying/*/evidence/dump/console.log"
        assert Deadline(SECONDS).wait(lambda _: seen(list((tmp_path / "dying").glob(in_dump))))
        hosts.kill("dying")
        assert process.wait(SECONDS) == 0
    told = (tmp_path / "run.log").read_text()
    assert "dying is lost (its worker has died)" in told
    assert told.count("takes no runs") == 2
    report = json.loads((output / "report.json").read_bytes())
    assert len(report["runs"]) == 12
    assert {run["verdict"] for run in report["runs"]} == {"PASS"}
    tried = [json.loads(path.read_bytes()) for path in output.glob("*~1/verdict.json")]
    assert [each["error"] for each in tried] == ["dying is lost: its worker has died"]
    # the evidence is all here: it can be judged again, where the vmlinux is, too
    one = next(path for path in output.iterdir() if (path / "run.json").is_file())
    assert hosts.zharness("verify", one).code == 0
    # crashes are dumped where they were made: memory that runs share came once
    crashes = [path.stat().st_ino for path in output.glob("*/crash/ram.img")]
    assert len(crashes) == 12
    assert len(set(crashes)) < 12
