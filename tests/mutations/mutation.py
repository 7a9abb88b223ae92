"""A row of the table of mutations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.mutations.right import Broken

Change = Callable[[Broken], None]
NO_DUMP = "dump-file memory-map pages registers vmcoreinfo"  # red if there is no dump to read
REFUSED = "refused"  # no check: the file cannot be read, exit code 3


@dataclass(frozen=True)
class Mutation:
    """``verify``, ``check`` and ``compare``: the names of the red checks, "" if all are green.

    ``says`` is part of the findings.
    """

    name: str
    form: str
    change: Change
    verify: str = ""
    check: str = ""
    compare: str = ""
    says: tuple[str, ...] = ()
    on_partition: bool = False

    @property
    def where(self) -> str:
        return f"{self.form} on a partition" if self.on_partition else self.form

    @property
    def expected(self) -> dict[str, frozenset[str]]:
        """The red checks by command."""
        commands = {"verify": self.verify, "check": self.check, "compare": self.compare}
        return {command: frozenset(checks.split()) for command, checks in commands.items()}
