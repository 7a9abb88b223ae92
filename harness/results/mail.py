"""A night as a mail: RFC 5322. To send it is another program's work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime

from harness.printable import printable
from harness.results.nights import Change, Kind, Night
from harness.results.told import lines

_ASCII = default.clone(cte_type="7bit")  # any mailer takes it
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NO_WORD = re.compile(r"[^A-Za-z0-9-]+")
_SUBJECT = 200  # characters


def mail(night: Night, changes: Sequence[Change]) -> str:
    """The message, in ASCII; its text has the lines of ``night diff``.

    It has no recipient: the program that sends it is told. RFC 3834 asks for Auto-Submitted, so
    that no answering machine answers. The same night always has the same Message-ID.
    """
    host = night.host if _HOST.fullmatch(night.host) else "localhost"
    series = _NO_WORD.sub("-", night.series)
    new = [change for change in changes if change.kind is Kind.NEW]
    message = EmailMessage(_ASCII)
    message["From"] = f"zharness <zharness@{host}>"
    message["Date"] = format_datetime((night.ended or night.started).replace(tzinfo=UTC))
    name = f"zharness-{series}-{night.number}-{night.started:%Y%m%d%H%M%S}"
    message["Message-ID"] = f"<{name}@{host}>"
    message["Subject"] = printable(
        f"{night.series}, night {night.number}: {len(night.failed)} of {len(night.outcomes)} "
        f"did not pass, {len(new)} new{_not_run(night)}",
        limit=_SUBJECT,
    )
    message["Auto-Submitted"] = "auto-generated"
    text = "\n".join(printable(line) for line in lines(night, changes))
    message.set_content(text + "\n")
    return message.as_string()


def _not_run(night: Night) -> str:
    return f", {len(night.missing)} not run" if night.missing else ""
