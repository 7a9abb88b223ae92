"""Foreign text reaches the terminal through only one module, which makes it harmless."""

from __future__ import annotations

import ast
import io
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.live import Live
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness import cli
from harness.cli import complaint, say
from harness.cli.batch.display import LiveDisplay, Row, Tally
from harness.cli.show.dump_info import show_info
from harness.cli.show.verdict import show_checks, show_report, show_verdict, table
from harness.errors import HostError
from harness.report.junit import document
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.testing import report as words
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import FindingKind
from tests.support.command_line.zharness import zharness

MODULES = sorted(Path(cli.__file__).parent.glob("*.py"))
PRINTING = {"print", "rprint", "echo", "secho", "Console", "print_json"}
HOSTILE = "[bold]x\x1b[31m\x9b2J\x07\u202e\x7f\nPASS after 1 s"
ALLOWED = {"\n", "\t"}
anything = st.text(st.characters(codec=None))


def hostile_characters(text: str) -> set[str]:
    bad = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {each for each in text if unicodedata.category(each) in bad} - ALLOWED


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_only_one_module_of_the_command_line_prints(module):
    if module.stem in ("say", "complaint"):
        return
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            on_our_console = isinstance(called, ast.Attribute) and name == "print"
            assert name not in PRINTING or on_our_console, f"{module}:{node.lineno}: {name}"
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__"):
            uses = ast.unparse(node)
            assert uses not in _written(module), f"{module}:{node.lineno}: {uses} is written to"


def _written(module: Path) -> set[str]:
    """Streams that the module writes to itself."""
    return {
        ast.unparse(node.value)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("write", "writelines", "buffer")
    }


@given(anything)
@example(HOSTILE)
@example("zharness")  # Hypothesis takes it from the source once in a while
def test_every_way_to_print_is_harmless(text):
    out, err = _spoken(
        lambda: (say.say(text), say.say_lines(text), say.say_json({text: [text]})),
        lambda: (say.tell(text), complaint.complain(text, text)),
    )
    assert hostile_characters(out) == hostile_characters(err) == set()
    lines = err.splitlines()
    # what is told has no name of ours before it
    assert text.startswith("zharness") or not lines[0].startswith("zharness")
    # no line of a message begins where one of ours would
    ours = [line for line in lines[1:] if not line.startswith("  ")]
    assert all(line.startswith("zharness: ") for line in ours)
    assert len(ours) <= 2


@given(anything)
@example(HOSTILE)
def test_rich_shows_no_text_as_a_command_or_as_markup(text):
    def speak() -> None:
        console = say.SafeConsole(soft_wrap=True)
        console.print(text)
        console.print(Text(text), Panel(text), say.plain(text))
        grid = Table(text)
        grid.add_row(text, say.plain(text))
        console.print(grid)
        with Live(Panel(text), console=console, auto_refresh=False):
            pass
        with Progress(TextColumn("{task.description}", markup=False), console=console) as bars:
            bars.add_task(text)

    out, _ = _spoken(speak)
    assert hostile_characters(out) == set()


def test_markup_is_shown_as_it_is(capsys):
    say.SafeConsole().print("[bold]x[/bold] :smile:")
    table(("[red]title",), [("[green]cell\\",)])
    out = capsys.readouterr().out
    assert "[bold]x[/bold] :smile:" in out
    assert "[green]cell\\" in out


def test_no_verdict_finding_or_report_says_more_lines_than_it_has(capsys, tmp_path):
    check = CheckResult(
        HOSTILE,
        1,
        HOSTILE,
        (Finding(HOSTILE, FindingKind.UNREADABLE, HOSTILE),),
        (AllowedDifference(HOSTILE, HOSTILE),),
        notes=(HOSTILE,),
    )
    verdict = Verdict(
        Result.FAIL,
        tmp_path / HOSTILE,
        phase=HOSTILE,
        error=HOSTILE,
        hint=HOSTILE,
        checks=(check,),
        inputs={HOSTILE: HOSTILE},
    )
    run = ReportedRun(HOSTILE, Path(HOSTILE), tmp_path / HOSTILE, HOSTILE, 1.0, verdict)
    show_verdict(verdict)
    show_checks([check])
    show_report(Report((run,), 1.0))
    tally = Tally(1, 1)
    tally.running[0] = Row(HOSTILE, 0.0, HOSTILE)
    console = say.SafeConsole()
    console.print(LiveDisplay(tally, Live(console=console)).picture())
    out = capsys.readouterr().out
    assert hostile_characters(out) == set()
    assert not [line for line in out.splitlines() if line.startswith("PASS")]
    xml = io.BytesIO()
    document(Report((run,), 1.0)).write(xml)
    assert hostile_characters(xml.getvalue().decode()) == set()


def test_the_report_in_pytest_is_harmless(tmp_path):
    check = CheckResult.failed("pages", "pages", FindingKind.UNREADABLE, HOSTILE)
    found = Verdict(Result.FAIL, tmp_path / HOSTILE, checks=(check,))
    text = words.verdict(found, HOSTILE) + words.trouble(
        HostError(HOSTILE, hint=HOSTILE), None, None
    )
    assert hostile_characters(text) == set()
    assert not [line for line in words.verdict(found, HOSTILE).splitlines() if line[:4] == "PASS"]


def test_text_from_a_dump_is_harmless(capsys):
    names = "early", "file", "format", "container", "incomplete", "release", "build_id", "panic"
    info = {
        **dict.fromkeys(names, HOSTILE),
        "complete": False,
        "size": 1,
        "length": 1,
        "memory": 4096,
        "limited": [64 << 20, 256 << 20],
        "left_out": 4096,
        "memory_map": [[0, 4096]],
        "pieces": 1,
        "uts": dict.fromkeys(("nodename", "release", "version"), HOSTILE),
        "log": {"records": 1, "last_seconds": 1.0},
        "times": {},
        "facts": {HOSTILE: HOSTILE},
        "container_facts": {"a": HOSTILE},
        "unreadable": [HOSTILE],
        "cpus": [{"psw": [HOSTILE, "0"], "prefix": HOSTILE, "state": HOSTILE}],
    }
    show_info(info)
    out = capsys.readouterr().out
    assert hostile_characters(out) == set()
    assert not [line for line in out.splitlines() if line.startswith("PASS")]


@pytest.mark.parametrize(
    "command",
    [
        ("verify",),
        ("replay",),
        ("dump",),
        ("dump", "info"),
        ("dump", "check"),
        ("dump", "judge"),
        ("snapshot", "show"),
        ("scenario", "check"),
        ("config", "check"),
        ("run", "--memory"),
    ],
)
def test_a_file_name_given_to_a_command_comes_back_harmless(command, tmp_path):
    done = zharness(*command, f"./{HOSTILE}", ZHARNESS_STORE=str(tmp_path))
    assert done.returncode in (2, 3)
    assert r"\x1b[31m" in done.stderr
    assert hostile_characters(done.stdout + done.stderr) == set()
    assert not [line for line in done.stderr.splitlines() if line.startswith("PASS")]


def _spoken(*speaks) -> tuple[str, str]:
    """The text that is written to standard output and standard error in the block."""
    kept, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), io.StringIO(), io.StringIO()
    try:
        for speak in speaks:
            speak()
        return sys.stdout.getvalue(), sys.stderr.getvalue()
    finally:
        sys.stdout, sys.stderr = kept
