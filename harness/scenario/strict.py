"""The base of all models of a scenario: unknown keys are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from harness.printable import printable


def refusal(what: str) -> ValueError:
    """For pydantic, which takes a text with half a surrogate pair for a fault of its own."""
    return ValueError(printable(what))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
