"""Every dump of a directory: what the commands say of it, and whether libkdumpfile reads the same.

    python benchmarks/foreign_dumps.py DIRECTORY [--original DUMP] [--convert]

The dumps come from anywhere: makedumpfile, QEMU, the tests of libkdumpfile. With ``--original``,
each is compared with the dump from which it was made; with ``--convert``, it is converted to every
format, and the copy compared, too. A cell is ``ok``, ``wrong`` (exit code 1) or ``refused``; below
the table are the reasons. If only libkdumpfile reads a dump, its cell has the machine. The exit
code is 1 after a traceback, and if libkdumpfile reads something else, or a dump of s390x that the
harness refuses.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from harness.dump.detect import open_dump
from harness.dump.formats.table import writers
from harness.errors import EvidenceError, ExitCode, HostError
from harness.judges import libkdumpfile

TRACEBACK = "TRACEBACK"
WORDS = {ExitCode.PASS: "ok", ExitCode.FAIL: "wrong"}
DIFFERENT = "different"
OURS = "s390x"


class Table:
    """Cells by file and column, and the reasons of those that are not ok."""

    def __init__(self, scratch: Path, original: Path | None, *, converted: bool) -> None:
        self._scratch, self._original, self._converted = scratch, original, converted
        self.words: Counter[str] = Counter()
        self.reasons: defaultdict[str, list[str]] = defaultdict(list)

    def row(self, path: Path) -> dict[str, str]:
        """Each column's cell."""
        cells = {"info": self._say(path, "info", path), "check": self._say(path, "check", path)}
        if self._original:
            cells["compare"] = self._say(path, "compare", self._original, path)
        for form in writers() if self._converted else ():
            cells[f"to {form}"] = self._convert(path, form)
        cells["libkdumpfile"] = self._opinion(path)
        self.words.update(cells.values())
        return cells

    def _convert(self, path: Path, form: str) -> str:
        copy = self._scratch / "copy"
        said = self._say(path, "convert", path, copy, "--to", form)
        if said == WORDS[ExitCode.PASS]:
            said = self._say(path, "compare", self._original or path, copy)
            copy.unlink()
        return said

    def _say(self, path: Path, *arguments: str | Path) -> str:
        command = [sys.executable, "-m", "harness", "dump", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if "Traceback" in run.stderr:
            word, reason = TRACEBACK, run.stderr.splitlines()[-1]
        elif run.returncode in (ExitCode.PASS, ExitCode.FAIL):
            word = WORDS[ExitCode(run.returncode)]
            reason = "; ".join(_failures(run.stdout)) if run.returncode else ""
        else:
            word, reason = "refused", _refusal(run.stderr)
        self._because(path, word, reason)
        return word

    def _opinion(self, path: Path) -> str:
        try:
            return self._libkdumpfile(path)
        except HostError as error:
            self._because(path, "libkdumpfile failed", error.message)
            return "failed"

    def _libkdumpfile(self, path: Path) -> str:
        facts = libkdumpfile.ask(path, []).facts
        if facts["opened"] != "yes":
            self._because(path, "libkdumpfile refuses", str(facts["opened"]))
            return "refused"
        try:
            with open_dump(path) as dump:
                result = libkdumpfile.compared(path, dump)
        except EvidenceError as error:
            machine = str(facts.get("machine"))
            if machine != OURS:
                return machine
            self._because(path, DIFFERENT, f"refused, but libkdumpfile reads it: {error.message}")
            return DIFFERENT
        for finding in result.findings:
            self._because(path, DIFFERENT, finding.message)
        return "ok" if result.passed else DIFFERENT

    def _because(self, path: Path, word: str, reason: str) -> None:
        if reason:
            for name in (path, self._original):
                reason = reason.replace(f"{name}: ", "")
            if path.name not in self.reasons[f"{word}: {reason}"]:
                self.reasons[f"{word}: {reason}"].append(path.name)


def _failures(text: str) -> Iterator[str]:
    """The checks that failed, each with its first finding."""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("FAIL"):
            yield f"{line.removeprefix('FAIL ').split(':')[0]}: {following.strip()}"


def _refusal(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("zharness: ")]
    return lines[0].removeprefix("zharness: ") if lines else text.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--original", type=Path, help="the dump from which all others were made")
    parser.add_argument("--convert", action="store_true")
    options = parser.parse_args()
    files = sorted(path for path in options.directory.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as scratch:
        table = Table(Path(scratch), options.original, converted=options.convert)
        for number, path in enumerate(files):
            cells = table.row(path)
            if not number:
                print("| dump |", " | ".join(cells), "|")
                print("|---" * (1 + len(cells)) + "|")
            print(f"| {path.name} |", " | ".join(cells.values()), "|", flush=True)
    for reason, names in table.reasons.items():
        print(f"\n{reason}\n    {', '.join(names)}")
    words = table.words
    print(f"\n{len(files)} files, {words[TRACEBACK]} tracebacks, {words[DIFFERENT]} different")
    raise SystemExit(bool(words[TRACEBACK] or words[DIFFERENT]))


if __name__ == "__main__":
    main()
