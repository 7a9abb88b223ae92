"""The worker: messages in any portions, and a real process that runs the engine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError, HostError, ProtocolError
from harness.phase import Phase
from harness.report.verdict import Result, Verdict
from harness.run.batch import messages, worker
from harness.run.batch.job import RunJob
from harness.run.batch.messages import (
    AtTask,
    Concluded,
    ConsoleLine,
    Entered,
    Message,
    MessageProgress,
    MessageReader,
    Messages,
    Refused,
    decode,
)
from harness.run.batch.worker_process import WorkerProcess, worker_command
from harness.run.options import RunOptions
from harness.run.plan import Plan
from harness.scenario.model import Scenario

PLAN = Plan("panic", Scenario(description="x"))

some_messages = st.lists(
    st.one_of(
        st.builds(Entered, st.sampled_from(Phase)),
        st.builds(AtTask, st.text(), st.text()),
        st.builds(ConsoleLine, st.text(), st.text()),
        st.builds(Concluded, st.dictionaries(st.text(), st.text())),
        st.builds(Refused, st.text(), st.none() | st.text()),
    )
)


def written(what) -> bytes:
    file = io.StringIO()
    out = Messages(file)
    for message in what:
        match message:
            case Entered(phase):
                out.enter(phase)
            case AtTask(task, note):
                out.at(task, note)
            case ConsoleLine(machine, line):
                out.console(machine, line)
            case Concluded(verdict):
                out.conclude(verdict)
            case Refused(what, hint):
                out.refuse(what, hint)
    return file.getvalue().encode()


@given(some_messages, st.integers(1, 50))
def test_messages_arrive_as_they_were_sent_in_any_portions(sent, size):
    data = written(sent)
    reader = MessageReader()
    portions = [data[start : start + size] for start in range(0, len(data), size)]
    assert [message for portion in portions for message in reader.feed(portion)] == sent


@given(st.binary())
def test_any_line_is_a_message_or_refused(line):
    try:
        message = decode(line)
    except ProtocolError:
        return
    assert isinstance(message, Message)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"3",
        b'{"task": "x"}',
        b'{"phase": "lunch"}',
        b'{"phase": 3}',
        b'{"phase": "boot", "more": 1}',
        b'{"task": 3, "note": ""}',
        b'{"task": "x", "note": "", "more": 1}',
        b'{"console": "x"}',
        b'{"console": ["a", 3]}',
        b'{"verdict": "PASS"}',
        b'{"refused": "x"}',
        b'{"refused": ["x", 3]}',
        b"[" * 100000,
        b"\xff",
    ],
)
def test_other_lines_are_not_messages(line):
    with pytest.raises(ProtocolError, match="no message"):
        decode(line)


def test_messages_before_an_invalid_line_are_read():
    heard = MessageReader().feed(written([AtTask("boot", "")]) + b"nonsense\n")
    assert next(heard) == AtTask("boot", "")
    with pytest.raises(ProtocolError):
        next(heard)


def test_progress_tells_the_innermost_task_and_comes_back(monkeypatch):
    monkeypatch.setattr(messages, "NOTE_SECONDS", 0.0)
    file = io.StringIO()
    progress = MessageProgress(Messages(file))
    with progress.task("images"):
        with progress.task("compile", total=10, unit="objects") as task:
            task.update(3, "soon")
        with progress.task("pack") as task:
            task.update(2)
    told = [decode(line.encode()) for line in file.getvalue().splitlines()]
    assert told == [
        AtTask("images", ""),
        AtTask("compile", ""),
        AtTask("compile", "3 of 10 objects soon"),
        AtTask("images", ""),
        AtTask("pack", ""),
        AtTask("pack", "2"),
        AtTask("images", ""),
    ]


def test_progress_does_not_tell_every_step():
    file = io.StringIO()
    with MessageProgress(Messages(file)).task("compile", total=1e6) as task:
        for done in range(1000):
            task.update(done)
    assert len(file.getvalue().splitlines()) < 100


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_a_job_survives_json(keep, fresh, consoles, judges):
    job = RunJob(PLAN, Path("/out"), Path("/store"), RunOptions(keep, fresh, judges), consoles)
    assert RunJob.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_job_has_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    again = RunJob.from_json(RunJob(PLAN, Path("out"), Path("store")).to_json())
    assert (again.output, again.store) == (tmp_path / "out", tmp_path / "store")


def test_a_job_with_no_plan():
    with pytest.raises(EvidenceError):
        RunJob.from_json({"plan": {}, "output": "", "store": ""})


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("consoles", [False, True])
def test_the_engine_gets_what_the_job_says(tmp_path, fresh, consoles):
    given = {}

    def run(plan, **options):
        given.update(options, plan=plan)
        return Verdict(Result.PASS, options["output"])

    job = RunJob(
        PLAN, tmp_path / "out", tmp_path / "store", RunOptions(True, fresh, not fresh), consoles
    )
    assert worker.work(job, Messages(io.StringIO()), run).result is Result.PASS
    assert (given["plan"], given["output"], given["keep"]) == (PLAN, job.output, True)
    assert given["store"].root == job.store
    assert given["fresh"] == fresh
    assert given["judges"] != fresh
    assert (given["on_line"] is not None) == consoles
    assert given["on_phase"] is not None


def test_an_exception_without_evidence_is_an_error(tmp_path):
    def run(plan, **_):
        raise HostError("read-only", hint="elsewhere")

    verdict = worker.work(RunJob(PLAN, tmp_path, tmp_path), Messages(io.StringIO()), run)
    assert (verdict.result, verdict.error, verdict.hint) == (Result.ERROR, "read-only", "elsewhere")


def told_by_a_real_worker(job: RunJob) -> Message:
    with WorkerProcess(job, worker_command()) as process:
        assert process.wait() == "with exit status 0"
        (message,) = process.read()
        assert process.silent
        assert process.errors() == b""
    return message


def test_a_real_worker_tells_its_verdict(tmp_path):
    (tmp_path / "file").touch()
    message = told_by_a_real_worker(RunJob(PLAN, tmp_path / "file/x", tmp_path / "store"))
    assert message.verdict["verdict"] == "ERROR"
    assert "file/x: Not a directory" in message.verdict["error"]


def test_a_real_worker_refuses_what_makes_no_sense(tmp_path):
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "precious").touch()
    message = told_by_a_real_worker(RunJob(PLAN, evidence, tmp_path / "store"))
    assert message.message == f"{evidence} is not empty"
    assert "never overwritten" in message.hint


def run_main(patch: str, job: RunJob) -> subprocess.CompletedProcess[str]:
    """``worker.main`` in a process of its own, ``work`` replaced by the statement ``patch``."""
    code = f"""
from harness.run.batch import worker
from harness.phase import Phase
from harness.report.verdict import Result, Verdict
def work(job, messages):
    {patch}
    return Verdict(Result.PASS, job.output)
worker.work = work
worker.main()
"""
    return subprocess.run(
        # as a shell starts what it puts in the background
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code],
        input=json.dumps(job.to_json()),
        capture_output=True,
        text=True,
        check=False,
    )


JOB = RunJob(PLAN, Path("/out"), Path("/store"))


def test_printed_text_does_not_mix_with_messages():
    done = run_main("print('from Python'); import os; os.system('echo from a tool')", JOB)
    assert done.returncode == 0
    assert isinstance(decode(done.stdout.encode()), Concluded)
    assert sorted(done.stderr.splitlines()) == ["from Python", "from a tool"]


def test_an_interrupt_ends_a_worker_in_silence():
    done = run_main("import os, signal; os.kill(os.getpid(), signal.SIGINT)", JOB)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_unexpected_exception_leaves_its_traceback_in_the_log():
    done = run_main("1 / 0", JOB)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_the_working_directory_is_looked_into_only_if_we_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "-P" in worker_command()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "-P" not in worker_command()
