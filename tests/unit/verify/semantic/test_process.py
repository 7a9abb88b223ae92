"""The process that reads the kernel in a dump: its facts, and who is at fault if it fails."""

from __future__ import annotations

import json
import sys
import time

import pytest

from harness.errors import HostError
from harness.verify.semantic.facts import PARTS
from harness.verify.semantic.process import collect
from tests.support.kernels.facts import KERNEL

NAMES = '{"names": {"sysname": "Linux", "release": "6", "version": "#1", "machine": "s390x"}}'


def told(code: str, seconds: float = 30.0):
    return collect([sys.executable, "-c", code], seconds)


def test_facts_come_through_whole():
    code = f"""
import json
from dataclasses import asdict
from tests.support.kernels.facts import KERNEL
for part in {[*PARTS]}:
    print(json.dumps({{part: asdict(KERNEL)[part]}}))
"""
    assert told(code) == KERNEL


def test_faults_and_what_is_unknown_come_through():
    facts = told(
        """
import json
print(json.dumps({"faults": {"cpus": "FaultError: x", "log": "y"}}))
print(json.dumps({"unknown": {"zones": "AttributeError: z"}}))
print(json.dumps({"faults": {"names": "a", "tasks": "b", "slabs": "c", "stacks": "d"}}))
"""
    )
    assert facts.faults["cpus"] == "FaultError: x"
    assert facts.unknown == {"zones": "AttributeError: z"}
    assert "zones" not in facts.faults


def test_a_timeout_is_the_hosts_fault():
    started = time.monotonic()
    with pytest.raises(HostError, match="was not done after 1 s"):
        told(f"import time; print({NAMES!r}, flush=True); time.sleep(600)", seconds=1.0)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("import os; os.abort()", "was ended by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        ("1 / 0", "ended with 1: ZeroDivisionError: division by zero"),
        ("", "ended with 0: without a word"),
        ("print('{')", "ended with 0: without a word"),
        ("print('[]'); print('7')", "ended with 0: without a word"),
    ],
)
def test_an_end_before_its_time_is_the_hosts_fault(code, end):
    with pytest.raises(HostError, match=f"drgn's process {end}, so the kernel"):
        told(code)


def test_a_failure_after_the_last_part_is_one_too():
    faults = {"faults": dict.fromkeys(PARTS, "FaultError: x")}
    assert told(f"print({json.dumps(faults)!r})").faults.keys() == PARTS.keys()
    with pytest.raises(HostError, match="ended with 3"):
        told(f"import sys; print({json.dumps(faults)!r}); sys.exit(3)")


@pytest.mark.parametrize("part", [{"names": {"sysname": 1}}, {"cpus": 7}])
def test_nonsense_is_the_hosts_fault(part):
    rest = {"faults": dict.fromkeys(PARTS.keys() - part.keys(), "FaultError: x")}
    with pytest.raises(HostError, match="told nonsense"):
        told(f"print({json.dumps(part)!r}); print({json.dumps(rest)!r})")
