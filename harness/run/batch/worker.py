"""One run in a process of its own: ``python -m harness.run.batch.worker``.

QEMU needs the main thread of a process, and a single Python would be the bottleneck of several
runs. The job comes on standard input as JSON; what happens goes to standard output, see
``harness.run.batch.messages``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TextIO

from harness.errors import HarnessError, UsageError
from harness.host.fault import host_fault
from harness.host.signals import Ending, exit_code_of, signal_of
from harness.report.verdict import Verdict
from harness.run.batch.job import RunJob
from harness.run.batch.messages import MessageProgress, Messages


def work(job: RunJob, messages: Messages, run: Callable[..., Verdict] | None = None) -> Verdict:
    """Do the run, and report its progress; any known error becomes an ERROR verdict.

    ``run`` is as ``engine.run``, which is the default. Raises UsageError if the request is not
    valid.
    """
    from harness.images.store import Store
    from harness.run import engine

    progress = MessageProgress(messages)
    try:
        return (run or engine.run)(
            job.plan,
            output=job.output,
            store=Store(job.store, progress),
            progress=progress,
            **asdict(job.options),
            on_line=messages.console if job.consoles else None,
            on_phase=messages.enter,
        )
    except UsageError:
        raise
    except HarnessError as error:  # evidence cannot be written
        return Verdict.trouble(error, None, directory=job.output)
    except Exception as error:
        if (fault := host_fault(error)) is None:
            raise
        return Verdict.trouble(fault, None, directory=job.output)


def main() -> None:
    """Exits with 0 after a verdict or a refusal was reported."""
    # also where a shell ignores one on our behalf: the parent interrupts us by such a signal
    try:
        with Ending(always=True), _own_output() as output:
            messages = Messages(output)
            try:
                verdict = work(RunJob.from_json(json.load(sys.stdin)), messages)
            except UsageError as error:
                messages.refuse(error.message, error.hint)
            else:
                messages.conclude(verdict.to_json())
    except KeyboardInterrupt as error:
        sys.exit(exit_code_of(signal_of(error)))


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """The file for messages; everything else that is printed goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        yield output


if __name__ == "__main__":
    main()
