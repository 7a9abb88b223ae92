"""What a trial tells of one dump, to be compared with another."""

from __future__ import annotations

from pathlib import Path

from harness.dump_tools.table import S390_TOOLS, ZFCPDUMP
from harness.dump_tools.tool import DumpTool
from harness.lab.trial import Trial
from harness.report.verdict import Result, Verdict

LOG = """\
+    0.100000 [    0.000001] Linux version 6.1
+    1.500000 .
+    1.700000 zfcpdump: 12.5 MB memory available
+    9.000000 zfcpdump: 100 of 512 MB, 19 %, 90.1 MB/s, 5 s left
+   12.000000 zfcpdump result: ok 512 MB in 5.5 s, 93.1 MB/s
"""


def trial(directory: Path, log: str = LOG, tool: DumpTool = ZFCPDUMP) -> Trial:
    (directory / "dump").mkdir()
    (directory / "dump/console.log").write_text(log)
    return Trial.of("kernel", 32 << 20, Verdict(Result.PASS, directory), tool)


def test_it_tells_the_numbers_of_the_dump_tool(tmp_path: Path) -> None:
    made = trial(tmp_path)
    assert (made.memory_mb, made.mb_per_second) == (12.5, 93.1)


def test_without_a_log_there_are_no_numbers(tmp_path: Path) -> None:
    made = trial(tmp_path, "")
    assert (made.memory_mb, made.mb_per_second, made.said) == (None, None, ())


def test_numbers_and_progress_differ_between_any_two_dumps(tmp_path: Path) -> None:
    assert trial(tmp_path).said == (
        "[    ] Linux version",
        "zfcpdump:  MB memory available",
        "zfcpdump result: ok 512 MB in  s,  MB/s",
    )


def test_another_tool_has_other_lines(tmp_path: Path) -> None:
    log = "+    9.000000     128 of 512 MB  25.0%   12 MB/s 0:00:31 ETA\n+   12.0 Dump successful\n"
    made = trial(tmp_path, log, S390_TOOLS)
    assert (made.memory_mb, made.mb_per_second) == (None, None)
    assert made.said == ("Dump successful",)
    assert "said" not in made.to_json()
