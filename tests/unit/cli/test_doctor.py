"""doctor: everything that is missing, with the command that repairs it, and exit code 3."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import options
from harness.cli.commands import doctor
from harness.errors import ExitCode, HostError
from harness.images import needs
from harness.images.debian import mirror
from harness.images.provide import MAIN_JOB, Images
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support import NO_MIRROR
from tests.support.command_line.read_only import run_read_only
from tests.support.command_line.zharness import zharness
from tests.support.fake_apt import FakeApt, fake_apt


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return fake_apt(tmp_path / "bin", monkeypatch)


@pytest.fixture
def fit_host(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    """A complete host, independent of this host."""
    monkeypatch.setattr(needs, "find_tool", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(needs, "DISK_FOR_KERNELS", 0)
    monkeypatch.setattr(needs, "MEMORY", 0)
    for name in ("_qemu", "_header"):
        monkeypatch.setattr(needs, name, lambda name=name: needs.Item(name, True, "there", "why"))
    return apt


def examined(store: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = doctor.doctor(store=store, json=True)
    return status, {item["name"]: item for item in json.loads(capsys.readouterr().out)}


def test_a_host_that_is_fit(
    fit_host: FakeApt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, items = examined(tmp_path / "store", capsys)
    assert status == ExitCode.PASS
    assert items["Debian mirror"]["found"] == "http://mirror.example/debian/"
    assert "MB to fetch" in items["linux-source-6.12 of trixie"]["found"]


def no_tool(name: str) -> Any:
    def find(tool: str) -> str:
        if tool == name:
            raise HostError(f"{tool} is not installed")
        return f"/usr/bin/{tool}"

    return find


@pytest.mark.parametrize(
    ("tool", "fix"),
    [
        ("s390x-linux-gnu-gcc", "apt-get install gcc-s390x-linux-gnu"),
        ("setpriv", "apt-get install util-linux"),
        ("debugfs", "apt-get install e2fsprogs"),
        ("xz", "apt-get install xz-utils"),
    ],
)
def test_a_tool_that_is_missing(
    fit_host: FakeApt,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    fix: str,
) -> None:
    monkeypatch.setattr(needs, "find_tool", no_tool(tool))
    status, items = examined(tmp_path / "store", capsys)
    assert status == ExitCode.ERROR
    assert [name for name, item in items.items() if not item["ok"]] == [tool]
    assert items[tool]["fix"] == fix


def test_a_package_that_is_missing_is_seen_before_anything_is_built(
    fit_host: FakeApt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_host.says(absent="libext2fs2")
    assert doctor.doctor(store=tmp_path / "store") == ExitCode.ERROR
    said = capsys.readouterr().out
    assert "MISSING s390x packages of bookworm: Debian's suite bookworm has no" in said
    assert "name another one with --debian-mirror or ZHARNESS_DEBIAN_MIRROR" in said


def test_every_missing_thing_has_a_fix(tmp_path: Path) -> None:
    done = zharness("doctor", "--json", PATH=str(tmp_path), ZHARNESS_STORE=str(tmp_path))
    assert done.returncode == ExitCode.ERROR
    missing = {item["name"]: item for item in json.loads(done.stdout) if not item["ok"]}
    assert {"QEMU", "s390x-linux-gnu-gcc", "apt-get"} < missing.keys()
    assert [name for name, item in missing.items() if not item["fix"]] == []
    assert missing["s390x-linux-gnu-gcc"]["fix"] == (
        "install what Debian has as gcc-s390x-linux-gnu, or use a container: docs/hosts.md"
    )


def test_a_mirror_that_cannot_be_reached_is_told_by_images_build_alike(
    fit_host: FakeApt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_host.says(script="echo 'E: no route to it'; exit 100")
    store = tmp_path / "store"
    status, items = examined(store, capsys)
    assert status == ExitCode.ERROR
    assert "no route to it" in items["s390x packages of bookworm"]["found"]
    with pytest.raises(HostError, match=r"s390x packages of bookworm, .*, linux-source"):
        Images(Store(store, NoProgress()), NoProgress()).provide(MAIN_JOB)
    assert not list(store.glob("[a-z]*")), "nothing was built"


def test_the_option_counts_for_this_process_and_those_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(mirror.ENVIRONMENT, "http://set.example/debian")
    options.use_mirror(None)
    assert mirror.mirror() == "http://set.example/debian"
    options.use_mirror("http://given.example/debian")
    assert mirror.mirror() == "http://given.example/debian"


def disk_of(output: str) -> dict[str, Any]:
    item: dict[str, Any]
    (item,) = (item for item in json.loads(output) if item["name"] == "disk")
    return item


@pytest.mark.parametrize("kind", ["file", "below a file", "no name", "read-only"])
def test_a_store_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    command = ("doctor", "--json", "--debian-mirror", NO_MIRROR, "--store")
    if kind == "read-only":
        done = run_read_only(tmp_path, sys.executable, "-m", "harness", *command, str(place))
    else:
        place.write_text("")
        store = {"file": place, "below a file": place / "store", "no name": tmp_path / ("x" * 300)}
        done = zharness(*command, store[kind])
    assert done.returncode == ExitCode.ERROR
    item = disk_of(done.stdout)
    assert not item["ok"]
    assert str(tmp_path) in item["found"]
    assert "--store" in item["fix"]


def test_a_missing_store_is_no_fault(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "store"
    done = zharness("doctor", "--json", "--debian-mirror", NO_MIRROR, "--store", place)
    assert "GB free for" in disk_of(done.stdout)["found"]
