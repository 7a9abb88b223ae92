"""The pytest plugin in real sessions of pytest, with a fake engine instead of QEMU."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import HarnessError, HostError, UsageError
from harness.run import engine
from harness.testing.crashed_system import CrashedSystem
from tests.support.runs.fake_engine import FakeEngine

pytest_plugins = ["pytester"]

DOCUMENT = Path(__file__).parents[3] / "docs/pytest.md"
MATRIX = """
description = "a matrix"
[crashed]
memory = "256M"
[matrix]
smp = [1, 2]
"""
ONE = 'description = "one"\n'


@pytest.fixture
def fake(monkeypatch, tmp_path) -> FakeEngine:
    fake = FakeEngine(tmp_path / "snapshots")
    for name in ("run", "dump_snapshot", "create_snapshot"):
        monkeypatch.setattr(engine, name, getattr(fake, name))
    monkeypatch.setenv("ZHARNESS_STORE", str(tmp_path / "store"))
    return fake


@pytest.fixture
def scenarios(pytester) -> Path:
    path = pytester.mkdir("scenarios")
    (path / "m.toml").write_text(MATRIX)
    return path


@pytest.fixture
def kept(pytester) -> Path:
    return pytester.path / "evidence"


# hypothesis would be imported anew at the end of each of these sessions
OPTIONS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")


def run(pytester, *options):
    return pytester.runpytest_inprocess(*OPTIONS, *options)


def text(result) -> str:
    return result.stdout.str()


class TestOff:
    def test_without_the_option_scenarios_are_no_tests(self, pytester, scenarios):
        assert run(pytester).ret == pytest.ExitCode.NO_TESTS_COLLECTED

    def test_a_session_that_does_not_use_it_does_not_import_the_harness(self, pytester, scenarios):
        pytester.makepyfile("def test_nothing(): pass")
        pytester.makeconftest("""
            import sys
            def pytest_sessionfinish():
                print("ours:", *sorted(name for name in sys.modules if name.startswith("harness")))
                print("pydantic" in sys.modules)
        """)
        result = pytester.runpytest_subprocess("-s", *OPTIONS)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            [
                "*ours: harness harness.errors harness.evidence harness.evidence.directory "
                "harness.evidence.names "
                "harness.files harness.files.atomic harness.files.json_text harness.printable "
                "harness.pytest_plugin harness.testing harness.testing.evidence "
                "harness.testing.report",
                "False",
            ]
        )

    def test_errors_outside_of_scenarios_are_unchanged(self, pytester):
        pytester.makepyfile("""
            from harness.errors import HostError
            def test_other(): raise HostError("no")
        """)
        result = run(pytester)
        result.assert_outcomes(failed=1)
        assert "raise HostError" in text(result)


class TestCollection:
    @pytest.mark.parametrize("how", ["option", "ini"])
    def test_a_matrix_is_a_file_of_tests(self, pytester, scenarios, fake, how):
        if how == "ini":
            pytester.makeini("[pytest]\nzharness = true\n")
        result = run(pytester, "-v", *(["--zharness"] if how == "option" else []))
        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["*scenarios/m.toml::m*smp=1* PASSED*"])
        assert [plan.name for plan in fake.plans] == ["m[smp=1]", "m[smp=2]"]
        assert [plan.scenario.crashed.smp for plan in fake.plans] == [1, 2]

    def test_other_toml_files_are_left_alone(self, pytester, fake):
        for name in ("pyproject.toml", "tox.toml", "data.toml"):
            (pytester.path / name).write_text(ONE if name == "data.toml" else "")
        assert run(pytester, "--zharness").ret == pytest.ExitCode.NO_TESTS_COLLECTED
        run(pytester, "--zharness", "data.toml").assert_outcomes(passed=1)

    def test_one_cell_can_be_named(self, pytester, scenarios, fake):
        run(pytester, "--zharness", "scenarios/m.toml::m[smp=2]").assert_outcomes(passed=1)
        assert fake.plans[0].scenario.crashed.smp == 2

    def test_the_mark_selects(self, pytester, scenarios, fake):
        pytester.makepyfile("def test_nothing(): pass")
        result = run(pytester, "--zharness", "--strict-markers", "-m", "zharness")
        result.assert_outcomes(passed=2, deselected=1)

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ('description = "x"\n[crashed]\nsmp = 0\n', "m.toml:3: crashed.smp: "),
            ('description = "x"\n[crashed]\nwings = 2\n', "m.toml:3: crashed.wings: "),
            ("description = \n", "m.toml:1:15: not TOML: Invalid value"),
            ('extends = "panik"\n', "no scenario 'panik'"),
        ],
    )
    def test_a_bad_file_is_one_clear_line(self, pytester, scenarios, fake, content, line):
        (scenarios / "m.toml").write_text(content)
        result = run(pytester, "--zharness")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*ERROR collecting scenarios/m.toml*", f"*{line}*"])
        assert "Traceback" not in text(result)
        assert "load.py" not in text(result)
        assert fake.plans == []


class TestScenario:
    def test_evidence_of_a_pass_is_removed(self, pytester, scenarios, fake, kept):
        result = run(pytester, "--zharness", "--zharness-evidence", "evidence", "-rA")
        result.assert_outcomes(passed=2)
        assert list(kept.iterdir()) == []
        assert "evidence removed" in text(result)
        assert {"keep": False, "fresh": False}.items() <= fake.options[0].items()

    def test_options_reach_the_engine(self, pytester, scenarios, fake, kept):
        run(
            pytester,
            "--zharness",
            "--zharness-evidence",
            "evidence",
            "--zharness-keep",
            "--zharness-fresh",
            "--zharness-store",
            "mine",
        ).assert_outcomes(passed=2)
        store = pytester.path / "mine"
        assert fake.options[0] == {"keep": True, "fresh": True, "store": store}
        assert len(list(kept.iterdir())) == 2

    def test_a_wrong_dump_fails_with_all_that_is_needed(self, pytester, scenarios, fake):
        fake.result = "FAIL"
        result = run(pytester, "--zharness", "--zharness-store", "mine store")
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines(
            [
                "FAIL in phase verify: pages: page 0x3000 differs",
                "also: pages: page 0x3000 differs",
                "evidence: *",
                "verify again: zharness verify *",
                "run again: zharness replay * --store '*mine store'",
                "*zharness console*",
                "crash | the last words",
                "FAILED scenarios/m.toml::m*",
            ]
        )
        evidence = re.search(r"^evidence: (.*)$", text(result), re.MULTILINE)[1]
        assert Path(evidence, "dump").is_dir()
        assert "Traceback" not in text(result)
        assert "scenarios.py" not in text(result)

    def test_a_fault_of_the_harness_is_an_error_not_a_failure(self, pytester, scenarios, fake):
        fake.result = "ERROR"
        result = run(pytester, "--zharness")
        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines(
            ["*ERROR at setup of m*", "phase boot: it is broken", "hint: mend it", "evidence: *"]
        )
        assert "engine.run" not in text(result)

    @pytest.mark.parametrize("error", [UsageError("makes no sense"), HostError("no space")])
    def test_a_run_without_a_verdict_is_an_error(self, pytester, scenarios, fake, error):
        fake.result = error
        result = run(pytester, "--zharness", "--junitxml=report.xml")
        result.assert_outcomes(errors=2)
        assert error.message in text(result)
        assert "Traceback" not in text(result)
        named = [each.get("value") for each in properties(pytester, "zharness_evidence")]
        assert all(Path(name).is_dir() for name in named)
        assert bool(named) is not isinstance(error, UsageError)

    def test_a_traceback_can_be_had(self, pytester, scenarios, fake):
        fake.result = "ERROR"
        assert "scenarios.py" in text(run(pytester, "--zharness", "--full-trace"))

    @pytest.mark.parametrize("result", ["PASS", "FAIL", "ERROR"])
    def test_junit_xml_has_verdict_and_evidence(self, pytester, scenarios, fake, result):
        fake.result = result
        run(pytester, "--zharness", "--zharness-keep", "--junitxml=report.xml")
        assert [each.get("value") for each in properties(pytester, "zharness_verdict")] == (
            [result] * 2
        )
        for each in properties(pytester, "zharness_evidence"):
            assert Path(each.get("value")).is_dir()

    def test_evidence_that_was_removed_is_not_named_in_junit_xml(self, pytester, scenarios, fake):
        run(pytester, "--zharness", "--junitxml=report.xml")
        assert properties(pytester, "zharness_evidence") == []

    def test_an_interrupt_leaves_nothing(self, pytester, scenarios, fake, kept):
        fake.result = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            run(pytester, "--zharness", "--zharness-evidence", "evidence")
        assert len(fake.plans) == 1
        assert list(kept.iterdir()) == []

    def test_no_place_for_evidence_is_one_line(self, pytester, scenarios, fake):
        result = run(pytester, "--zharness", "-p", "no:tmpdir")
        result.assert_outcomes(errors=2)
        assert "hint: name one: --zharness-evidence" in text(result)


class TestFixtures:
    def test_the_example(self, pytester, fake, kept):
        pytester.makepyfile("""
            import pytest
            from harness.testing.dump_run import Dump

            @pytest.mark.zharness(trigger="lkdtm-bug", smp=1, hsa_size="32M")
            def test_bug(crash_snapshot, dump):
                assert isinstance(dump, Dump)
                assert "kernel BUG at" in crash_snapshot.console
                assert dump.verdict == "PASS"
                assert dump.findings == []
                assert dump.console == "dumping\\n"
                assert dump.path == dump.directory / "dump/dump"
        """)
        result = run(pytester, "--zharness-evidence", "evidence", "--strict-markers")
        result.assert_outcomes(passed=1)
        crash, dump = fake.plans
        assert crash.name == dump.name == "test_bug"
        assert crash.scenario.crashed.trigger == dump.scenario.crashed.trigger == "lkdtm-bug"
        assert dump.scenario.dump.hsa_size == 32 << 20
        assert list(kept.iterdir()) == []

    def test_marks_add_up_and_the_closest_wins(self, pytester, fake):
        directory = pytester.mkdir("sub").joinpath("set[1]")
        directory.mkdir()
        directory.joinpath("mine.toml").write_text(
            'extends = "panic"\n[crashed]\nparmline = "quiet"\n'
        )
        pytester.path.joinpath("sub/test_it.py").write_text("""
import pytest
pytestmark = pytest.mark.zharness(memory="1G", smp=4, dump={"parmline": "a"})
WRONG = pytest.mark.zharness(verdict="FAIL", findings=["x"])

@pytest.mark.zharness(smp=8, scenario="set[1]/mine.toml")
class TestIt:
    @pytest.mark.zharness(layout="ext4", memory="2G")
    @pytest.mark.parametrize("x", [pytest.param(1, marks=WRONG)])
    def test_it(self, dump, x): pass
""")
        run(pytester).assert_outcomes(passed=1)
        made, dumped = (plan.scenario for plan in fake.plans)
        assert (made.crashed.memory, made.crashed.smp) == (2 << 30, 8)
        assert made.crashed.parmline == "quiet"
        assert (made.dump.layout, made.dump.parmline) == ("ext4", "a")
        assert dumped.dump == made.dump
        assert dumped.expect == made.expect
        assert dumped.expect.verdict == "FAIL"

    @pytest.mark.parametrize(
        ("mark", "line"),
        [
            ("wings=2", "wings: no such field"),
            ("kernel='bzImage'", "kernel: write crashed.kernel or dump.kernel"),
            ("dump='ext4'", "dump: is a dict: field -> value"),
            ("smp=1, crashed={'smp': 1}", "crashed.smp: is given twice"),
            ("'panic'", "'panic' is no keyword"),
            ("scenario=7", "scenario: names one scenario"),
            ("scenario='panik'", "no scenario 'panik'"),
            ("scenario='smp'", "'smp' is a matrix of 3 scenarios"),
            ("smp=0", "crashed.smp: "),
        ],
    )
    @pytest.mark.parametrize("fixture", ["crash_snapshot", "dump", "dump_machine"])
    def test_a_bad_mark_is_one_line(self, pytester, fake, mark, line, fixture):
        pytester.makepyfile(f"""
            import pytest
            @pytest.mark.zharness({mark})
            def test_it({fixture}): pass
        """)
        result = run(pytester)
        result.assert_outcomes(errors=1)
        what = "test_a_bad_mark_is_one_line.py::test_it: @pytest.mark.zharness: "
        assert any(each.startswith(what) and line in each for each in result.outlines)
        assert "Traceback" not in text(result)
        assert "marks.py" not in text(result)
        assert fake.plans == []

    def test_a_failing_assertion_shows_the_findings(self, pytester, fake, kept):
        fake.result = "FAIL"
        pytester.makepyfile("def test_it(dump): assert dump.verdict == 'PASS'")
        result = run(pytester, "--zharness-evidence", "evidence")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "dump = <dump: FAIL, 2 findings, *evidence*>",
                "E *assert 'FAIL' == 'PASS'",
                "FAIL in phase verify: pages: page 0x3000 differs",
                "evidence: *",
                "run again: zharness dump */crash/",
            ]
        )
        assert [each.name for each in kept.rglob("console.log")] == ["console.log"]

    def test_trouble_in_a_fixture_is_an_error(self, pytester, fake):
        fake.result = "ERROR"
        pytester.makepyfile("def test_it(dump): pass")
        result = run(pytester)
        result.assert_outcomes(errors=1)
        assert "phase boot: it is broken" in text(result)

    def test_trouble_in_the_test_itself_is_an_error_with_its_line(self, pytester, fake):
        fake.result = "ERROR"
        pytester.makepyfile(
            test_it="""
            def test_it(dump_machine, crash_snapshot):
                dump_machine.dump(crash_snapshot)
        """
        )
        result = run(pytester, "--junitxml=report.xml")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["*ERROR at call of test_it*", "test_it.py:2: phase boot: it is broken"]
        )
        assert [each.get("value") for each in properties(pytester, "zharness_verdict")] == ["ERROR"]

    @pytest.mark.parametrize(
        ("raises", "result", "outcomes"),
        [
            ("", "FAIL", {"xfailed": 1}),
            ("", "ERROR", {"errors": 1}),
            ("raises=HarnessError", "ERROR", {"xfailed": 1}),
        ],
    )
    def test_xfail_means_the_dump_and_not_us(self, pytester, fake, kept, raises, result, outcomes):
        fake.result = result
        pytester.makepyfile(f"""
            import pytest
            from harness.errors import HarnessError
            @pytest.mark.xfail({raises})
            def test_it(dump): assert dump.verdict == "PASS"
        """)
        run(pytester, "--zharness-evidence", "evidence").assert_outcomes(**outcomes)
        assert len(list(kept.iterdir())) == 1

    def test_several_dumps_have_a_directory_each(self, pytester, fake, kept):
        pytester.makepyfile("""
            def test_it(dump, dump_machine, crash_snapshot):
                assert dump_machine.dump(crash_snapshot).directory != dump.directory
        """)
        run(pytester, "--zharness-evidence", "evidence", "--zharness-keep").assert_outcomes(
            passed=1
        )
        assert sorted(each.name for each in kept.glob("*/*")) == ["dump", "dump-2"]

    def test_fresh_crashes_are_not_taken_from_the_store(self, pytester, fake, monkeypatch):
        asked = []

        def booted(plan, output, store, on_line):
            asked.append(plan)
            raise HarnessError("does not boot")

        monkeypatch.setattr(CrashedSystem, "booted", booted)
        pytester.makepyfile("def test_it(crash_snapshot): pass")
        result = run(pytester, "--zharness-fresh")
        result.assert_outcomes(errors=1)
        assert "does not boot" in text(result)
        assert len(asked) == 1
        assert fake.plans == []

    def test_trouble_at_the_end_of_a_test_keeps_the_evidence(
        self, pytester, fake, monkeypatch, kept
    ):
        @contextmanager
        def booted(plan, output, store, on_line):
            yield None
            raise HarnessError("QEMU died")

        monkeypatch.setattr(CrashedSystem, "booted", booted)
        pytester.makepyfile("def test_it(crashed_system): pass")
        result = run(pytester, "--zharness-evidence", "evidence")
        result.assert_outcomes(passed=1, errors=1)
        assert "QEMU died" in text(result)
        assert "Traceback" not in text(result)
        assert [each.name for each in kept.glob("*/*")] == ["system"]

    def test_they_are_documented(self, pytester):
        result = run(pytester, "--fixtures")
        for name in ("crashed_system", "crash_snapshot", "dump_machine", "dump"):
            assert re.search(rf"^{name} -- .*\n    [A-Z]", text(result), re.MULTILINE)
        assert "no docstring" not in text(result).partition("harness")[2]
        assert "@pytest.mark.zharness(" in text(run(pytester, "--markers"))


WORKER_CONFTEST = """
import threading
from pathlib import Path
from harness.errors import HarnessError
from harness.report.verdict import Result, Verdict
from harness.run import engine

def run(plan, *, output, **_):
    assert threading.current_thread() is threading.main_thread()
    (output / "mine").touch(exist_ok=False)
    if plan.scenario.crashed.smp == 2:
        raise HarnessError("broken")
    return Verdict(Result.PASS, output)

engine.run = run
engine.create_snapshot = lambda plan, **_: None
"""


class TestXdist:
    """QEMU dies with the thread that starts it, so that must be a worker's main thread."""

    @pytest.fixture
    def workers(self, pytester, scenarios):
        pytester.makeconftest(WORKER_CONFTEST)

        def run(*options):
            return pytester.runpytest_subprocess("-n", "2", "--zharness", *OPTIONS, *options)

        return run

    def test_workers_run_in_their_main_thread_and_errors_stay_errors(self, workers, scenarios):
        (scenarios / "n.toml").write_text(MATRIX.replace("[1, 2]", "[1, 3, 4, 5, 6, 7]"))
        result = workers()
        result.assert_outcomes(passed=7, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at setup of m*", "broken", "evidence: *popen-gw*"])

    def test_they_do_not_collide_in_one_evidence_directory(self, workers, pytester, scenarios):
        for name in "nopq":
            other = scenarios.parent / name / "scenarios"
            other.mkdir(parents=True)
            (other / "m.toml").write_text(MATRIX)  # tests of the same name
        result = workers("--zharness-evidence", "evidence", "--zharness-keep")
        result.assert_outcomes(passed=5, errors=5)
        assert len(list((pytester.path / "evidence").glob("*/mine"))) == 10

    def test_trouble_in_a_call_is_an_error_too(self, workers, pytester):
        pytester.makepyfile("""
            from harness.errors import HarnessError
            def test_it(dump_machine): raise HarnessError("broken")
        """)
        result = workers("-k", "test_it")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*ERROR at call of test_it*"])


def test_the_options_in_the_documentation_exist(pytester):
    shown = set(re.findall(r"--zharness[a-z-]*", DOCUMENT.read_text()))
    assert len(shown) == 5
    assert shown == set(re.findall(r"--zharness[a-z-]*", text(run(pytester, "--help"))))


def properties(pytester, name: str) -> list[ET.Element]:
    report = ET.parse(pytester.path / "report.xml")
    return report.findall(f".//testcase/properties/property[@name='{name}']")
