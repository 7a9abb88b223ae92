"""Prepare the images that a plan needs; and their identities for the verdict."""

from __future__ import annotations

from harness.images.needs import Wanted
from harness.run.inputs.crash import CrashInputs
from harness.run.inputs.dump import DumpInputs
from harness.run.plan import Plan


def wanted(plan: Plan) -> Wanted:
    """What both systems of a plan are built of, to check before either is built."""
    return CrashInputs.wanted(plan) | DumpInputs.wanted(plan)
