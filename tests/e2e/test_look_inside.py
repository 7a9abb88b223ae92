"""A machine that is kept for a person, and a run that is given to somebody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.support.command_line.zharness import RUN_SECONDS, Zharness
from tests.support.runs.held import kept

pytestmark = pytest.mark.e2e


def test_a_dump_system_is_kept_at_its_end_and_can_be_asked(
    zharness: Zharness, images: object, tmp_path: Path
):
    evidence = tmp_path / "evidence"
    with kept("run", "quick", "--hold", "end", "--output", evidence, "--json") as run:
        firmware = zharness("attach", evidence, "firmware").json
        assert firmware["HSA"] == {"size": 32 << 20, "released": True}
        assert firmware["SDIAS"]["sdias_requests"] > 1000
        assert len(firmware["SDIAS"]["last"]) == 16
        status = zharness("attach", evidence, "status").json
        assert status["system"] == "dump system"
        assert [cpu["cpu-index"] for cpu in status["cpus"]] == [0]
        assert "PSW=mask" in zharness("attach", evidence, "hmp", "info", "registers").out
        assert zharness("attach", evidence, "qmp", "query-status").json["running"] is False
        refused = zharness("attach", evidence, "qmp", "no-such-command")
        assert (refused.code, "no-such-command" in refused.err) == (2, True)
        with (evidence / "dump/dump-system.elf").open("rb") as file:
            memory = [part for part in ELFFile(file).iter_segments() if part["p_type"] == "PT_LOAD"]
        assert sum(part["p_filesz"] for part in memory) == 32 << 20
        assert zharness("attach", evidence, "release").code == 0
        out, err = run.communicate(timeout=RUN_SECONDS)
    assert f"the dump system is kept (powered off): zharness attach {evidence}" in err
    assert (run.returncode, json.loads(out)["verdict"]) == (0, "PASS")
    assert not (evidence / "held.json").exists()
    assert not (evidence / "dump/dump-system.elf").exists(), "nobody needs it after a PASS"


def test_a_crashed_system_is_kept(zharness: Zharness, images: object, tmp_path: Path):
    evidence = tmp_path / "evidence"
    with kept("run", "quick", "--hold", "crash", "--output", evidence) as run:
        status = zharness("attach", evidence, "status").json
        assert (status["system"], status["why"]) == ("crashed system", "sysrq-c, disabled wait")
        run.terminate()
        run.communicate(timeout=RUN_SECONDS)
    assert run.returncode == 143
    assert not (evidence / "held.json").exists()
