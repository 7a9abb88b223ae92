"""Nights with real machines: a bug that comes and goes, and a kill at any moment."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.deadline import Deadline
from tests.support.command_line.zharness import RUN_SECONDS, Zharness, command

pytestmark = pytest.mark.e2e

SCENARIOS = ("quick", "limited", "too-small", "luns")  # none is a matrix
BUG = ("--dump-patch", "todpreg-eight-bytes")
SECONDS = 3000
WIDTHS = (400, 900, 1400)


def test_a_bug_of_the_museum_comes_and_goes(zharness: Zharness, images: object, tmp_path: Path):
    place = ("--directory", tmp_path / "n", "--results", tmp_path / "results.sqlite", "--json")

    def night(*options: object) -> tuple[int, dict[str, str], Any]:
        ran = zharness("night", "run", *SCENARIOS, *options, *place, timeout=SECONDS)
        assert ran.out, ran.err
        changes = {change["name"]: change["kind"] for change in ran.json["changes"]}
        return ran.code, changes, ran.json

    assert night()[:2] == (0, {})
    code, changes, told = night(*BUG)
    assert code == 1
    assert changes["quick"] == "new failure"
    (quick,) = [change for change in told["changes"] if change["name"] == "quick"]
    assert quick["signature"].startswith("1:registers:")
    assert "dump kernel.sha256" in quick["inputs"]
    assert not any(name.startswith("crashed kernel") for name in quick["inputs"])
    code, changes, _ = night()
    assert (code, changes["quick"]) == (0, "fixed")
    runs = tmp_path / "n/night"
    assert not (runs / "0001/runs/quick/crash/ram.img").exists(), "it has passed"
    assert (runs / "0002/runs/quick/crash").is_dir(), "it has failed"
    assert zharness("verify", runs / "0002/runs/quick").code == 1
    assert zharness("verify", runs / "0001/runs/quick").code == 3
    report = tmp_path / "report.html"
    assert zharness("night", "report", report, *place[2:4]).code == 0
    _look(report, tmp_path)
    folder = tmp_path / "report"
    assert zharness("night", "report", folder, *place[2:4]).code == 0
    page = folder / "runs/2-1-quick.html"
    text = page.read_text()
    assert "registers-misfit" in text
    assert 'class="m-hsa"' in text
    assert "The evidence was removed" not in text
    for each in (folder / "index.html", page):
        _look(each, tmp_path)


def _look(report: Path, tmp_path: Path) -> None:
    """A real browser shows it at three widths."""
    browser = shutil.which("chromium")
    assert browser is not None, "install chromium"
    for width in WIDTHS:
        picture = tmp_path / f"{width}.png"
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
        subprocess.run(
            [
                browser,
                *options,
                *quiet,
                f"--user-data-dir={tmp_path / 'browser'}",
                f"--window-size={width},1200",
                f"--screenshot={picture}",
                report.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        assert picture.stat().st_size > 10_000


@pytest.mark.parametrize("results", [0, 1, 3])
def test_a_night_that_is_killed_loses_nothing_and_does_nothing_twice(
    zharness: Zharness, images: object, tmp_path: Path, results: int
):
    database = tmp_path / "results.sqlite"
    place = ("--directory", tmp_path / "n", "--results", database, "--json")
    night = command("night", "run", *SCENARIOS, *place, "-j", "2")

    def recorded() -> list[tuple[str, int]]:
        if not database.exists():
            return []
        with sqlite3.connect(database) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            if ("runs",) not in tables or ("batches",) not in tables:
                return []
            return connection.execute("SELECT name, attempt FROM runs").fetchall()

    with subprocess.Popen(night, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline, never = Deadline(RUN_SECONDS), threading.Event()
        runs = tmp_path / "n/night/0001/runs"
        while len(recorded()) < results or not any(runs.glob("*/run.json")):
            assert process.poll() is None
            assert not deadline.expired
            never.wait(0.1)
        process.send_signal(signal.SIGKILL)
    before = recorded()
    ran = zharness("night", "run", *SCENARIOS, *place, timeout=SECONDS)
    assert (ran.code, ran.json["night"], ran.json["state"]) == (0, 1, "ended"), ran.err
    after = recorded()
    assert sorted(after) == sorted((name, 1) for name in SCENARIOS)
    assert set(before) <= set(after)
