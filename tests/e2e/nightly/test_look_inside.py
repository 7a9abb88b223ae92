"""docs/howto.md, "Look inside a dump system": a bug of the museum is followed to its line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.support.command_line.zharness import RUN_SECONDS, Ran, Zharness
from tests.support.runs.held import kept

pytestmark = pytest.mark.e2e

BUILD_SECONDS = 3000
HOWTO = Path(__file__).parents[3] / "docs/howto.md"
STALLS = "system-hang:request=100"
DEBUG_INFO = ("--dump-config", "CONFIG_DEBUG_INFO_DWARF5=y")


def shown() -> list[list[str]]:
    """The commands of the how-to, without ``zharness``."""
    section = HOWTO.read_text().partition("## Look inside a dump system\n")[2].partition("\n## ")[0]
    return [shlex.split(line)[1:] for line in re.findall(r"(?m)^ {4}(zharness .*)$", section)]


def test_a_bug_of_the_museum_is_followed_to_its_line(
    zharness: Zharness, images: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    first, *commands = shown()
    answers: dict[str, Ran] = {}
    with kept(*first, seconds=BUILD_SECONDS) as run:
        for words in commands:
            if words[0] == "explain":
                run.communicate(timeout=RUN_SECONDS)
                assert run.returncode == 1
            answers[" ".join(words)] = zharness(*words)
    said = {words: ran.out for words, ran in answers.items()}
    assert [words for words, ran in answers.items() if ran.code] == [], answers
    assert '"released": true' in said["attach bug firmware"]
    (about,) = [out for words, out in said.items() if "info line" in words]
    assert "$1 = 8" in about
    assert re.search(r'Line \d+ of ".*arch/s390/kernel/crash_dump\.c"', about)
    (stack,) = [out for words, out in said.items() if "backtrace" in words]
    assert "machine_power_off" in stack or "smp_stop_cpu" in stack or "do_reset_calls" in stack
    assert "0x303" in said["explain bug"]
    (size,) = [out for words, out in said.items() if words.startswith("drgn")]
    assert size.strip() == "8"


def test_a_dump_system_that_hangs_tells_where(zharness: Zharness, images: object, tmp_path: Path):
    evidence = tmp_path / "evidence"
    ran = zharness(
        *("run", "quick", "--fault", STALLS, *DEBUG_INFO, "--json", "--output", evidence),
        timeout=BUILD_SECONDS,
    )
    assert ran.code == 0, ran.err
    (outcome,) = [check for check in ran.json["checks"] if check["check"] == "outcome"]
    notes = [note for note in outcome["notes"] if note.startswith("dump system at its end")]
    assert any("CPU 0, " in note and "sclp" in note for note in notes), notes
    assert any(": log: [" in note for note in notes)


def test_a_run_in_a_bundle_has_the_same_verdict_with_another_store(
    zharness: Zharness, images: object, tmp_path: Path
):
    evidence, bundle = tmp_path / "evidence", tmp_path / "run.tar.zst"
    fault = ("--fault", "sdias-part-stored:request=100")
    assert zharness("run", "quick", *fault, "--output", evidence).code == 1
    assert (evidence / "dump/dump-system.elf").exists()
    packed = zharness("bundle", evidence, bundle, "--json")
    assert packed.code == 0, packed.err
    again = zharness(
        "replay", bundle, "--store", tmp_path / "store", "--json", "--output", tmp_path / "again"
    )
    assert again.code == 1, again.err
    assert again.json["differs from the bundle"] == []
    differing = [
        next(check for check in verdict["checks"] if check["check"] == "pages")["findings"]
        for verdict in (json.loads((evidence / "verdict.json").read_text()), again.json)
    ]
    assert differing[0] == differing[1] != [], "the same page, with the same content"
    names = {path.name.rpartition("-")[0] for path in (tmp_path / "store").glob("*-*")}
    assert names == {"bundle", "plugin"}, "nothing is built but what the harness has for QEMU"
