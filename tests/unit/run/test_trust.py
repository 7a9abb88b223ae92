"""Foreign evidence builds nothing on this host without a question."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pexpect
import pytest

from harness.errors import UsageError
from harness.run.plan import Plan, plan_of
from harness.run.trust import executed
from harness.scenario.load import load
from tests.support.command_line.zharness import zharness


def plan(**dump) -> Plan:
    given = {
        name: list(value) if isinstance(value, tuple) else value for name, value in dump.items()
    }
    return plan_of("panic", load("panic", {"dump": given}))


@pytest.mark.parametrize(
    "dump",
    [
        {},
        {"source": "linux-source-6.1"},
        {"source": "linux-source-5.10@bullseye", "patches": ("hsa-kept",)},
        {"config": ("CONFIG_NR_CPUS=4", "# CONFIG_KASAN is not set", 'CONFIG_CMDLINE="quiet a=b"')},
        {"kernel": "/somewhere/bzImage"},
    ],
)
def test_sources_of_the_distribution_or_the_project_need_no_trust(tmp_path, dump):
    assert executed(plan(**dump), tmp_path) == []


@pytest.mark.parametrize(
    ("dump", "what"),
    [
        ({"source": "/elsewhere/linux"}, "/elsewhere/linux"),
        ({"source": "/elsewhere/linux@v6.9"}, "/elsewhere/linux@v6.9"),
        ({"source": "linux-source-6.1/../x"}, "linux-source-6.1/../x"),
        ({"source": "linux-source-6.1", "patches": ("/elsewhere/x.patch",)}, "x.patch"),
        ({"config": ('CONFIG_CMDLINE="$(shell touch x)"',)}, "$(shell touch x)"),
        ({"config": ("CONFIG_X=`touch`",)}, "`touch`"),
    ],
)
def test_foreign_build_scripts_are_named(tmp_path, dump, what):
    (line,) = executed(plan(**dump), tmp_path)
    assert line.startswith("dump kernel: builds ")
    assert what in line


@pytest.mark.parametrize("name", ["linux", "linux@v6", "a/../linux", "x.patch"])
def test_nothing_inside_the_evidence_is_built(tmp_path, name):
    (tmp_path / "linux").mkdir()
    path = f"{tmp_path}/{name}"
    dump = {"patches": (path,)} if name.endswith(".patch") else {"source": path}
    with pytest.raises(UsageError, match="lies in the evidence"):
        executed(plan(**dump), tmp_path)


def test_a_link_into_the_evidence_is_inside(tmp_path):
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (tmp_path / "linux").symlink_to(evidence)
    with pytest.raises(UsageError, match="lies in the evidence"):
        executed(plan(source=str(tmp_path / "linux")), evidence)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """Of a run whose dump kernel's source leaves a mark when anything of it runs."""
    source, root = tmp_path / "linux.tar", tmp_path / "evidence"
    source.write_bytes(b"")
    root.mkdir()
    document = {"plan": plan(source=str(source)).to_json(), "inputs": {"crashed kernel": {}}}
    (root / "run.json").write_text(json.dumps(document))
    return root


def test_without_a_terminal_nothing_is_built(evidence, tmp_path):
    store = tmp_path / "store"
    done = zharness("replay", evidence, "--output", tmp_path / "out", ZHARNESS_STORE=str(store))
    assert done.returncode == 2
    assert f"builds the source {tmp_path}/linux.tar" in done.stderr
    assert "--trust" in done.stderr
    assert not store.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("answer", ["", "n", "\x04"])
def test_on_a_terminal_only_yes_is_yes(evidence, tmp_path, answer):
    argv = ["-m", "harness", "replay", str(evidence), "--store", str(tmp_path / "store")]
    with pexpect.spawn(sys.executable, argv, encoding="utf-8", timeout=60) as terminal:
        terminal.expect("Build that on this host")
        terminal.send(answer if answer == "\x04" else f"{answer}\n")
        terminal.expect("nobody confirmed")
        terminal.expect(pexpect.EOF)
        terminal.close()
    assert terminal.exitstatus == 2
    assert not (tmp_path / "store").exists()
