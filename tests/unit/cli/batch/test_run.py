"""Several scenarios on the command line, run by fake workers."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from junitparser import JUnitXml

from harness.cli.app import app
from harness.cli.batch import run as cli_batch
from harness.errors import HarnessError, HostError, UsageError
from harness.report.verdict import Verdict
from harness.run import engine
from harness.run.batch.items import Item
from harness.run.batch.schedule import Tokens
from harness.run.plan import Plan, plan_of
from harness.scenario.load import load
from harness.scenario.model import OPTIONS

Zharness = Callable[..., int]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Item]]:
    """The items of a batch; the batch is then refused, so that nothing runs."""
    found: list[Item] = []

    def run_batch(items: list[Item], *others: object, **options: Any) -> None:
        found.extend(items)
        raise HostError("enough")

    monkeypatch.setattr(cli_batch, "run_batch", run_batch)
    return found


def items_of(zharness: Zharness, asked: list[Item], *arguments: object) -> list[Item]:
    with pytest.raises(HostError, match="enough"):
        zharness("run", *arguments)
    return asked


def test_one_scenario_runs_in_this_process(zharness, engine_runs, here, capsys):
    assert zharness("run", "passing.toml", "passing.toml", "--output", "out", "--keep") == 0
    (call,) = engine_runs
    assert call["plan"] == Plan("passing", load("passing.toml"))
    assert (call["output"], call["keep"], call["fresh"]) == (Path("out"), True, False)
    assert "evidence: out" in capsys.readouterr().out


def test_memory_that_does_not_fit_lies_on_the_disk_if_that_is_asked_for(
    zharness, engine_runs, here
):
    run = ("run", "passing.toml", "--memory", "9000G", "--output", "out")
    with pytest.raises(HostError, match="takes 9216512 MiB") as refused:
        zharness(*run)
    assert "--memory-on-disk" in refused.value.hint
    assert zharness(*run, "--memory-on-disk") == 0
    (call,) = engine_runs
    assert call["plan"].scenario.crashed.memory == 9000 << 30
    assert call["memory_on_disk"]


def test_the_default_is_the_main_job(zharness, engine_runs):
    assert zharness("run") == 0
    assert engine_runs[0]["plan"] == plan_of("panic", load("panic"))
    assert engine_runs[0]["output"].name.startswith("panic-")


def test_one_cell_of_a_matrix_is_one_scenario(zharness, engine_runs):
    assert zharness("run", "m.toml[hsa_size=32M]", "--fresh") == 0
    assert engine_runs[0]["plan"].name == "m[hsa_size=32M]"
    assert engine_runs[0]["fresh"]


def test_one_scenario_can_have_junit_too(zharness, engine_runs):
    assert zharness("run", "passing.toml", "--junit", "junit.xml") == 0
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert [case.name for case in suite] == ["passing"]


def spoil_the_disk(monkeypatch, path: Path) -> None:
    """It becomes unwritable while the run works, so no check could find it before."""
    real = engine.run

    def run(plan: Plan, **options: Any) -> Verdict:
        path.mkdir()
        return real(plan, **options)

    monkeypatch.setattr(engine, "run", run)


def test_a_verdict_is_told_before_junit_fails(zharness, engine_runs, here, capsys, monkeypatch):
    spoil_the_disk(monkeypatch, here / "junit.xml")
    with pytest.raises(HostError, match=r"junit\.xml cannot be written"):
        zharness("run", "passing.toml", "--junit", "junit.xml")
    assert "PASS" in capsys.readouterr().out


def test_junit_is_written_even_if_nobody_reads_the_verdict(zharness, engine_runs, monkeypatch):
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("harness.cli.show.verdict.show_verdict", gone)
    with pytest.raises(BrokenPipeError):
        zharness("run", "passing.toml", "--junit", "junit.xml")
    assert len(list(JUnitXml.fromfile("junit.xml"))) == 1


def test_nothing_runs_if_junit_cannot_be_written(zharness, engine_runs):
    with pytest.raises(UsageError, match="cannot be written"):
        zharness("run", "passing.toml", "--junit", "/proc/junit.xml")
    assert engine_runs == []


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("passing.toml", "-j", "1"), ["passing"]),
        (("passing.toml", "-j", "auto"), ["passing"]),
        (("m.toml",), ["m[hsa_size=32M]", "m[hsa_size=64M]"]),
        (
            ("*ing.toml", "failing.toml"),
            ["dying", "erring", "failing", "hanging", "passing", "refusing"],
        ),
        (("passing.toml", "--repeat", 2), ["passing#1", "passing#2"]),
        (
            ("m.toml", "passing.toml", "--repeat", 2, "--hsa-size", "128M"),
            ["m#1", "passing#1", "m#2", "passing#2"],
        ),
    ],
)
def test_these_arguments_make_a_batch(zharness, asked, engine_runs, arguments, names):
    assert [item.name for item in items_of(zharness, asked, *arguments)] == names
    assert engine_runs == []


def test_each_has_its_evidence_in_the_output(zharness, asked, here):
    items = items_of(zharness, asked, "m.toml", "--output", "out")
    directories = [item.job.output for item in items]
    assert directories == [here / "out/m-hsa_size=32M", here / "out/m-hsa_size=64M"]
    assert not (here / "out").exists(), "nothing ran"


def test_without_an_output_it_is_among_the_users_runs(zharness, asked, here):
    (item,) = items_of(zharness, asked, "passing.toml", "-j", "1")
    assert item.job.output.parent.parent == here / "state/zharness/runs"
    assert item.job.output.parent.name.startswith("batch-")


def test_cells_that_differ_in_the_dump_share_their_crash(zharness, asked):
    one, other = items_of(zharness, asked, "m.toml")
    assert one.crash == other.crash
    assert one.crash is not None


@pytest.mark.parametrize("option", [("--fresh",), ("--repeat", "2")])
def test_fresh_crashes_are_not_shared(zharness, asked, option):
    items = items_of(zharness, asked, "m.toml", *option)
    assert all(item.job.options.fresh and item.crash is None for item in items)


def test_a_time_limit_needs_a_crash_of_its_own(zharness, asked, here):
    matrix = (here / "m.toml").read_text()
    (here / "timed.toml").write_text(f"{matrix}[expect]\ntime_limit = 9\n")
    assert [item.crash for item in items_of(zharness, asked, "timed.toml")] == [None, None]


def test_different_crashes_are_not_shared(zharness, asked, here):
    (here / "other.toml").write_text("description = 'x'\n[matrix]\nsmp = [2, 3]\n")
    same, more = items_of(zharness, asked, "other.toml")
    assert same.crash != more.crash


def test_a_run_takes_its_memory_and_some(zharness, asked, here):
    (here / "busy.toml").write_text("description = 'x'\n[crashed]\nworkload = 'busy'\nsmp = 64\n")
    idle, busy = items_of(zharness, asked, "passing.toml", "busy.toml", "-j", "3")
    assert idle.tokens == Tokens(1024 << 20, 1)
    assert busy.tokens == Tokens(1024 << 20, 3)


def test_options_reach_every_run(zharness, asked):
    arguments = ("m.toml", "--smp", "4", "--time-factor", "2", "--keep", "--judges", "-v")
    for item in items_of(zharness, asked, *arguments):
        assert item.job.plan.scenario.crashed.smp == 4
        assert item.job.plan.time_factor == 2.0
        assert item.job.options.keep
        assert item.job.options.judges
        assert item.job.consoles


@pytest.mark.parametrize(
    ("scenarios", "code"),
    [
        (("passing.toml", "m.toml"), 3),  # there is no fake for m
        (("passing.toml", "telling_much.toml"), 0),
        (("passing.toml", "failing.toml"), 1),
        (("dying.toml", "failing.toml", "passing.toml"), 3),
        (("refusing.toml", "failing.toml", "passing.toml"), 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(zharness, capsys, scenarios, code):
    assert zharness("run", *scenarios, "-j", "2") == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err.replace("in worker.log", "")
    assert out.splitlines()[-1].endswith("a minute)")


def test_people_see_the_failed_runs_and_the_replay_command(zharness, capsys, here):
    zharness("run", "passing.toml", "failing.toml", "-j", "2", "--output", "out")
    out, err = capsys.readouterr()
    assert "FAIL failing in phase verify" in out
    assert f"evidence: {here}/out/failing" in out
    # the fake wrote no run.json
    assert f"replay: zharness run {here}/failing.toml" in out
    assert "] passing: started" in err


def test_a_plan_that_makes_no_sense_is_an_error_without_evidence(zharness, capsys, here):
    assert zharness("run", "refusing.toml", "-j", "1", "--output", "out") == 2
    out, _ = capsys.readouterr()
    assert "USAGE refusing\n  no such kernel\n  hint: look\n" in out
    assert "evidence:" not in out
    assert out.splitlines()[-1].startswith("0 passed, 0 failed, 0 errors, 1 refused in")
    assert not (here / "out/refusing").exists()


def test_programs_get_one_document(zharness, capsys, here):
    assert zharness("run", "passing.toml", "failing.toml", "--json", "--output", "out") == 1
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["verdict"] == "FAIL"
    passing, failing = document["runs"]
    assert passing["replay"] == f"zharness replay {here}/out/passing"
    assert passing["directory"] == f"{here}/out/passing"
    assert (failing["name"], failing["verdict"], failing["phase"]) == ("failing", "FAIL", "verify")
    assert document["seconds"] > 0
    assert document["runs_per_minute"] > 0


def test_ci_systems_get_junit(zharness, here):
    assert zharness("run", "erring.toml", "failing.toml", "--junit", "junit.xml") == 3
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert (suite.tests, suite.failures, suite.errors) == (2, 1, 1)


def test_console_lines_begin_with_names(zharness, capsys):
    zharness("run", "passing.toml", "-j", "1", "-v")
    assert "passing crash | hello" in capsys.readouterr().err.splitlines()


def test_fail_fast_skips_the_rest(zharness, capsys):
    assert zharness("run", "failing.toml", "passing.toml", "-j", "1", "-x", "--json") == 1
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["verdict"] for run in runs] == ["FAIL", "SKIPPED"]


def test_an_interrupt_is_reported_after_the_finished_runs(zharness, capsys, here, monkeypatch):
    def strike(self: object) -> None:
        if (here / "out/started-hanging").exists():
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("harness.cli.batch.display.QuietDisplay.tick", strike)
    arguments = ("passing.toml", "hanging.toml", "-j", "1", "--json", "--output", "out")
    assert zharness("run", *arguments, "--junit", "junit.xml") == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("passing: PASS")
    assert "1 passed, 0 failed, 0 errors, 1 interrupted" in err
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert (suite.tests, suite.skipped) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        (("passing.toml", "nosuch*"), UsageError, "no scenario matches 'nosuch*'"),
        (("passing.toml", "-j", "0"), typer.TyperException, "neither a number of runs nor 'auto'"),
        (("passing.toml", "-j", "many"), typer.TyperException, "'many' is neither"),
        (("passing.toml", "-j", "-1"), typer.TyperException, "'-1' is neither"),
        (("passing.toml", "--repeat", "0"), typer.TyperException, "repeat"),
        (("m.toml", "--output", "full"), UsageError, "is not empty"),
        (("m.toml", "--junit", "none/junit.xml"), UsageError, "none/junit.xml cannot be written"),
        (("m.toml", "--memory", "9000G"), HostError, "m[hsa_size=32M] takes 9216512 MiB"),
        (("passing.toml", "--memory", "9000G"), HostError, "passing takes 9216512 MiB"),
        (("m.toml", "--memory-on-disk"), UsageError, "--memory-on-disk is for one run"),
        (("m.toml", "--repeat", "5001"), UsageError, "2 scenarios times 5001 are more than"),
        (("m.toml", "--repeat", "9" * 30), UsageError, "are more than the 10000 runs"),
    ],
)
def test_impossible_runs_are_refused_before_any_run(zharness, here, arguments, error, what):
    (here / "full").mkdir()
    (here / "full/precious").touch()
    before = sorted(here.rglob("*"))
    with pytest.raises(error) as caught:
        zharness("run", *arguments)
    mistake = caught.value
    told = mistake.message if isinstance(mistake, HarnessError) else mistake.format_message()
    assert what in told
    assert [path for path in sorted(here.rglob("*")) if path not in before] in (
        [],
        [here / "state", here / "state/zharness", here / "state/zharness/runs"],
    )


def run_parameters() -> dict[str, Any]:
    command = typer.main.get_group(app).commands["run"]
    return {option: each for each in command.params for option in each.opts}


def test_every_override_is_an_option_and_a_field():
    parameters = run_parameters()
    assert {option.name for option in OPTIONS} < set(parameters)


MACHINE = ["--memory=1G", "--smp=4", "--hsa-size=32M", "--kernel=k", "--vmlinux=v"]
FULL = [
    *(
        "--memory=1G",
        "--hsa-size=32M",
        "--load=scsi",
        "--system=debian",
        "--suite=trixie",
        "--debug-symbols",
        "--frozen",
        "--trigger=hung",
        "--workload=fork-storm",
    ),
    *("--package=stress", "--package=vim", "--file=a b => /etc/a", "--first-boot=x"),
]
PREPARED = [
    *("--dump-tool=s390-tools", "--dump-parmline=dump_debug=6 x"),
    *("--disk-layout=ext4", "--dump-format=s390", "--disk-size=2G", "--disk-sector-size=512"),
    *("--dump-partition=3", "--partition-table=gpt", "--zipl=sid"),
    *("--dump-lun=7", "--dump-wwpn=0x500507630300c562", "--other-lun=1", "--other-lun=2"),
    *("--bootprog=3", "--br-lba=8", "--scp-data=x y"),
    *("--disk-files=1", "--older-dumps=1", "--disk-damage=journal", "--dump-answer=a => b"),
]
BUILT = [
    "--built-in",
    *("--dump-source=linux@v6.9", "--dump-patch=a", "--dump-patch=b"),
    "--dump-config=CONFIG_X=y",
]
GIVEN = ["--dump-kernel=d", "--dump-initramfs=i"]
PROGRAM = ["--dump-kernel=d", "--dump-program=p"]
FAULTS = ["--fault=sdias-no-data:request=5,count=2", "--fault=no-sdias"]
BESIDE = ["--dump-beside=after", "--disk-files=1"]
DUMPS = [
    FAULTS,
    [*PREPARED, *GIVEN],
    [*PREPARED, *BUILT],
    [*PREPARED, *PROGRAM],
    ["--dump-disk=x"],
    BESIDE,
]


def test_every_option_is_given_when_a_scenario_is_run_again():
    named = {word.partition("=")[0] for words in (MACHINE, FULL, *DUMPS) for word in words}
    assert named == {option.name for option in OPTIONS}


@pytest.mark.parametrize(
    "given",
    [FULL, *([*MACHINE, *dump] for dump in DUMPS)],
    ids=["full", "faults", "given", "built", "program", "disk", "beside"],
)
def test_the_command_that_runs_a_scenario_again_means_the_same(zharness, asked, engine_runs, given):
    given = (
        *given,
        "--time-factor",
        "2",
        "--store",
        "other",
        "--keep",
        "--judges",
        "--fresh",
    )
    (item,) = items_of(zharness, asked, "m.toml", "-j", "1", *given)
    program, *arguments = shlex.split(item.again)
    assert program == "zharness"
    assert zharness(*arguments) == 0
    (call,) = engine_runs
    assert call["plan"].to_json() == item.job.plan.to_json()
    assert call["store"].root == item.job.store.absolute()
    assert (call["keep"], call["judges"], call["fresh"]) == (True, True, True)


def test_the_shortest_command_that_runs_it_again(zharness, asked, here):
    items = items_of(zharness, asked, "panic", "m.toml", "--output", "my runs")
    assert [item.again for item in items] == [
        "zharness run panic",
        f"zharness run '{here}/m.toml[hsa_size=32M]'",
        f"zharness run '{here}/m.toml[hsa_size=64M]'",
    ]
    assert items[0].replay == f"zharness replay '{here}/my runs/panic'"
