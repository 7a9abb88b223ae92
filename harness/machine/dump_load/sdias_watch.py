"""What a dump system asked the HSA for, and how it took the answers."""

from __future__ import annotations

from collections import deque
from typing import TypedDict

from harness.firmware.hsa import Hsa
from harness.firmware.service_call import SdiasAnswered
from harness.s390x.sclp import SDIAS_FIRST_BLOCK, SdiasQualifier


class SdiasObservations(TypedDict):
    """Fields of ``DumpOutcome``."""

    sdias_requests: int
    refused_after_release: int
    sdias_outside: int
    sdias_outside_block: int | None
    sdias_not_accepted: int
    sdias_given_up: int


LAST = 16  # requests that are remembered, for a person


class SdiasWatch:
    """Counts the requests to ``hsa``; ``last`` are the newest, oldest first."""

    def __init__(self, hsa: Hsa) -> None:
        self._hsa = hsa
        self.requests = self._late = self._outside = self._not_accepted = self._given_up = 0
        self._outside_block: int | None = None
        self._to_repeat: tuple[int, int, int] | None = None
        self.last: deque[SdiasAnswered] = deque(maxlen=LAST)

    def see(self, answer: SdiasAnswered) -> str | None:
        """Count a request; returns what is wrong with it."""
        self.requests += 1
        self.last.append(answer)
        request = (answer.qualifier, answer.page, answer.count)
        if self._to_repeat not in (None, request):
            self._given_up += 1
        self._to_repeat = None if answer.accepted else request
        self._not_accepted += not answer.accepted
        if answer.qualifier is not SdiasQualifier.STORE_DATA:
            return None
        if self._hsa.released:
            self._late += 1
            return "SDIAS request after the HSA's release"
        if self._hsa.held(answer.page, answer.count) < answer.count:
            self._outside += 1
            if self._outside_block is None:
                self._outside_block = answer.page + SDIAS_FIRST_BLOCK
            return "SDIAS request for a block that the HSA does not have"
        return None

    def observations(self) -> SdiasObservations:
        return SdiasObservations(
            sdias_requests=self.requests,
            refused_after_release=self._late,
            sdias_outside=self._outside,
            sdias_outside_block=self._outside_block,
            sdias_not_accepted=self._not_accepted,
            sdias_given_up=self._given_up + (self._to_repeat is not None),
        )
