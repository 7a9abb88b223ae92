"""The parts of the pytest plugin, without a session of pytest."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.app import app
from harness.errors import HarnessError, HostError, UsageError
from harness.images.kernel.build import Kernel
from harness.images.store import Store, sha256
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import system as run_system
from harness.run.plan import Plan
from harness.scenario.load import load
from harness.scenario.model import SECTIONS, Dump, section_of
from harness.testing import crashed_system, report
from harness.testing.crashed_system import CrashedSystem
from harness.testing.evidence import new_directory
from harness.testing.marks import DEFAULT_SCENARIO, Marked
from harness.testing.scenarios import is_scenario
from harness.testing.settings import Settings
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from tests.support.cpus import make_cpu
from tests.support.runs.running_system import FakeShell

MANY = 200


def mark(**keywords) -> pytest.Mark:
    return pytest.mark.zharness(**keywords).mark


def field_names():
    full = [f"{name}.{field}" for name, model in SECTIONS.items() for field in model.model_fields]
    bare = {name.partition(".")[2] for name in full}
    return [name for name in bare if sum(each.endswith(f".{name}") for each in full) == 1]


KEYWORDS = st.dictionaries(st.sampled_from(field_names()), st.integers(), max_size=4)


class TestMarks:
    @given(st.lists(KEYWORDS, max_size=4))
    def test_the_last_mark_wins_field_by_field(self, keywords):
        merged = Marked.merged(mark(**each) for each in keywords)
        flat = {name: value for each in keywords for name, value in each.items()}
        assert merged.scenario == DEFAULT_SCENARIO
        assert {
            (section, field): value
            for section, fields in merged.fields.items()
            for field, value in fields.items()
        } == {section_of(name): value for name, value in flat.items()}

    @given(KEYWORDS)
    def test_bare_names_and_sections_mean_the_same(self, keywords):
        by_section: dict[str, dict[str, int]] = {}
        for name, value in keywords.items():
            section, field = section_of(name)
            by_section.setdefault(section, {})[field] = value
        assert Marked.merged([mark(**keywords)]) == Marked.merged([mark(**by_section)])

    def test_a_section_adds_to_what_a_farther_mark_says(self):
        marks = [mark(dump={"kernel": "a", "parmline": "b"}), mark(dump={"kernel": "c"})]
        assert Marked.merged(marks).fields == {"dump": {"kernel": "c", "parmline": "b"}}

    def test_no_marks_are_the_default_scenario(self):
        assert Marked.merged([]) == Marked(DEFAULT_SCENARIO, {})


class TestEvidence:
    def test_nobody_gets_the_same_directory(self, tmp_path):
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _: new_directory(tmp_path / "a/b", "x/y"), range(MANY)))
        assert len(set(made)) == MANY
        assert {path.name for path in made} == {"x-y"} | {f"x-y-{n}" for n in range(2, MANY + 1)}

    def test_a_place_that_cannot_be_written_is_the_hosts_fault(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(HostError, match=r"file/x: Not a directory"):
            new_directory(tmp_path / "file/x", "name")

    def test_a_store_that_cannot_be_made_is_the_hosts_fault(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(HostError, match=r"image store .*Not a directory"):
            Settings(tmp_path / "file/x", keep=False, fresh=False).open_store()


@pytest.mark.parametrize(
    ("path", "named", "expected"),
    [
        ("scenarios/a.toml", False, True),
        ("x/scenarios/y/a.toml", False, True),
        ("a.toml", False, False),
        ("a.toml", True, True),
        ("scenarios/a.tml", True, False),
        ("scenarios.toml", False, False),
        ("/elsewhere/scenarios/a.toml", False, True),
    ],
)
def test_what_counts_as_a_scenario(path, named, expected):
    # that the root itself lies below a directory of that name says nothing
    root = Path("/home/scenarios/project")
    assert is_scenario(root / path, root, named=named) is expected


def test_pytests_root_may_itself_hold_the_scenarios():
    root = Path("/home/project/scenarios")
    assert is_scenario(root / "a.toml", root, named=False)


class TestReport:
    def verdict(self, count: int, **context) -> Verdict:
        kind = FindingKind.UNREADABLE
        findings = tuple(Finding("c", kind, f"m{number}") for number in range(count))
        check = CheckResult("c", count, "things", findings)
        return Verdict(Result.FAIL, Path("/e v"), checks=(check,), **context)

    def test_the_first_line_says_the_most_and_the_others_are_counted(self):
        lines = report.verdict(self.verdict(12, phase="verify"), "zharness again").splitlines()
        assert lines[:2] == ["FAIL in phase verify: c: m0", "also: c: m1"]
        assert lines[report.MAX_FINDINGS :] == [
            "and 2 more, in verdict.json",
            "evidence: /e v",
            "verify again: zharness verify '/e v'",
            "run again: zharness again",
        ]

    def test_a_wrong_dump_that_was_expected_is_no_finding(self):
        wrong = Verdict(
            Result.PASS,
            Path("/e"),
            expected_wrong=True,
            checks=(CheckResult.failed("c", "things", FindingKind.UNREADABLE, "m"),),
        )
        assert report.verdict(wrong, "x").startswith("PASS (a wrong dump was expected)\nevidence")

    @pytest.mark.parametrize(
        ("phase", "error", "message"),
        [
            ("dump", "it hangs", "phase dump: it hangs"),
            ("dump", "phase dump: waited", "phase dump: waited"),
            (None, "no space", "no space"),
        ],
    )
    def test_the_phase_is_named_once(self, phase, error, message):
        verdict = Verdict(Result.ERROR, Path("/e"), phase=phase, error=error, hint="h")
        trouble = report.trouble_of(verdict)
        assert (trouble.message, trouble.hint) == (message, "h")

    def test_a_dump_can_be_repeated_by_its_command(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("k").touch()
        dump = Dump(
            hsa_size="32M", layout="ext4", disk_size="1G", kernel="k", parmline="dump_mode=a b"
        )
        again = report.dump_again(Path("/e v/crash"), dump, Path("/store"))
        words = shlex.split(again)
        group: Any = typer.main.get_group(app).commands["dump"]
        command = group.commands[group.default]
        context = command.make_context("dump", words[2:])
        given = context.params
        assert words[:3] == ["zharness", "dump", "/e v/crash/"]
        assert (given["hsa_size"], given["disk_size"]) == (32 << 20, 1 << 30)
        assert given["disk_layout"] == "ext4"
        assert given["dump_kernel"] == tmp_path / "k"
        assert (given["dump_parmline"], given["store"]) == ("dump_mode=a b", Path("/store"))

    def test_changes_to_a_kernel_can_be_repeated(self):
        dump = Dump(source="~/linux@v6.9", patches=["one", "two"], config=["CONFIG_X=y"])
        again = report.dump_again(Path("crash"), dump, None)
        assert again == (
            "zharness dump crash/ --dump-source '~/linux@v6.9' --dump-patch one --dump-patch two "
            "--dump-config CONFIG_X=y"
        )

    def test_a_kernel_in_the_store_keeps_its_name(self):
        again = report.dump_again(Path("crash"), Dump(kernel="kernel-dump-12"), None)
        assert again == "zharness dump crash/ --dump-kernel kernel-dump-12"


class TestCrashedSystem:
    @pytest.fixture
    def power(self):
        return []

    @pytest.fixture
    def system(self, tmp_path, monkeypatch, power):
        """A booted one in which nothing is real but the facade."""

        class FakeBooter:
            def __init__(self, binary, phases, on_line, keeper) -> None:
                pass

            @contextmanager
            def booted(self, system, directory):
                directory.mkdir()
                (directory / "console.log").write_text("booting\n")
                power.append("on")
                yield SimpleNamespace(shell=FakeShell(output="one\r\ntwo\r\n"))
                power.append("off")

        image = tmp_path / "bzImage"
        image.write_bytes(b"kernel")

        class FakeInputs:
            kernel = Kernel(image, "6.12", sha256(image), "given")

            @classmethod
            def prepare(cls, images, plan):
                return cls()

            def bootable(self, plan):
                return SimpleNamespace(spec=None)

            def crash(self, plan):
                return plan.crash

        def crash_booted(booter, system, spec, how, directory, kernel, boot_seconds):
            (directory / "ram.img").write_bytes(b"memory")
            facts = {"memory": 6, "created": "2026", "cpu_model": "max", "kernel": kernel}
            return (make_cpu(1),), {**facts, "trigger": how.trigger.name}

        monkeypatch.setattr(run_system, "Booter", FakeBooter)
        monkeypatch.setattr(run_system, "CrashInputs", FakeInputs)
        monkeypatch.setattr(run_system, "find_qemu", lambda: None)
        monkeypatch.setattr(crashed_system, "crash_booted", crash_booted)
        store = Store(tmp_path / "store", NoProgress())
        plan = Plan("test", load("panic"))
        with CrashedSystem.booted(plan, tmp_path / "system", store) as system:
            yield system
        assert power == ["on", "off"]

    def test_output_is_as_from_the_shell(self, system, tmp_path):
        assert system.run("ls") == "one\ntwo"
        assert '"command": "ls"' in (tmp_path / "system/journal.jsonl").read_text()
        assert system.console == "booting\n"

    def test_a_crash_is_a_snapshot_and_the_end(self, system, power):
        snapshot = system.crash()
        assert power == ["on", "off"], "QEMU must have ended, or the console is not complete"
        assert (snapshot.trigger, snapshot.memory) == ("sysrq-c", 6)
        assert snapshot.machine["kernel"]["origin"] == "given"
        assert snapshot.console == system.console == "booting\n"
        for again in (system.crash, lambda: system.run("ls")):
            with pytest.raises(UsageError, match="has crashed already"):
                again()

    def test_a_crash_of_a_kernel_that_changed_is_none(self, system, tmp_path):
        (tmp_path / "bzImage").write_bytes(b"built again")
        with pytest.raises(HostError, match="bzImage changed while it was used"):
            system.crash()

    def test_a_crash_that_fails_leaves_the_system_to_its_owner(self, system, monkeypatch, power):
        def fail(*arguments):
            raise HarnessError("another death")

        monkeypatch.setattr(crashed_system, "crash_booted", fail)
        with pytest.raises(HarnessError, match="another death"):
            system.crash()
        assert power == ["on"]
