"""Whatever becomes of the process that reads the kernel, its faults are named, and time is up."""

from __future__ import annotations

import sys
import time

import pytest

from harness.verify.kernel.facts import PARTS
from harness.verify.kernel.process import collect
from tests.unit.kernel_facts import KERNEL

NAMES = '{"names": {"sysname": "Linux", "release": "6", "version": "#1", "machine": "s390x"}}'


def told(code: str, seconds: float = 30.0):
    return collect([sys.executable, "-c", code], seconds)


def test_facts_come_through_whole():
    code = f"""
import json
from dataclasses import asdict
from tests.unit.kernel_facts import KERNEL
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
"""
    )
    assert facts.faults["cpus"] == "FaultError: x"
    assert facts.unknown == {"zones": "AttributeError: z"}
    assert "zones" not in facts.faults


def test_what_is_too_slow_is_ended_and_what_it_told_is_kept():
    started = time.monotonic()
    facts = told(f"import time; print({NAMES!r}, flush=True); time.sleep(600)", seconds=1.0)
    assert time.monotonic() - started < 60
    assert facts.names is not None
    assert facts.names.release == "6"
    assert set(facts.faults) == PARTS.keys() - {"names"}
    assert facts.faults["tasks"] == "drgn did not come to it: it took longer than 1 s"


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("import os; os.abort()", "it died of SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it died of SIGSEGV"),
        ("1 / 0", "it ended with 1: ZeroDivisionError: division by zero"),
        ("", "it ended with 0: without a word"),
        ("print('{')", "it ended with 0: without a word"),
    ],
)
def test_an_end_before_its_time_is_a_fault_of_each_part(code, end):
    facts = told(code)
    assert facts.faults == dict.fromkeys(PARTS, f"drgn did not come to it: {end}")


@pytest.mark.parametrize("line", ['{"names": {"sysname": 1}}', '{"cpus": 7}', "[]", "7"])
def test_nonsense_is_a_fault(line):
    facts = told(f"print({line!r})")
    assert set(facts.faults) == set(PARTS)
    assert facts.names is None
