"""What a dump system asked the HSA for, and what is wrong with that."""

from __future__ import annotations

import pytest

from harness.firmware.faults import SdiasFault
from harness.firmware.hsa import Hsa
from harness.firmware.service_call import SdiasAnswered
from harness.machine.dump_load.sdias_watch import SdiasWatch
from harness.s390x.sclp import SdiasQualifier, SdiasStatus
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage

PAGE, PAGES = 4096, 4
BUSY = SdiasFault("sdias-not-accepted", accepted=False)
HSA = Hsa(FakeStorage(bytes(PAGES * PAGE)), PAGES * PAGE, make_cpu(1))


def data(page: int, count: int = 1, *, accepted: bool = True) -> SdiasAnswered:
    fault = None if accepted else BUSY
    status = SdiasStatus.ALL_STORED
    return SdiasAnswered(SdiasQualifier.STORE_DATA, status, page, count, count, fault)


def size(*, accepted: bool = True) -> SdiasAnswered:
    fault = None if accepted else BUSY
    return SdiasAnswered(SdiasQualifier.SIZE, SdiasStatus.ALL_STORED, 0, 0, 0, fault)


def seen(*answers: SdiasAnswered) -> dict[str, object]:
    """What is not as in a sound run."""
    watch = SdiasWatch(HSA)
    for answer in answers:
        watch.see(answer)
    found = dict(watch.observations())
    assert found.pop("sdias_requests") == len(answers)
    return {name: value for name, value in found.items() if value}


def test_requests_for_what_the_hsa_has_are_right():
    assert seen(size(), data(0), data(3), data(0, PAGES)) == {}


@pytest.mark.parametrize(("page", "count"), [(-1, 1), (PAGES, 1), (PAGES - 1, 2), (-3, 9)])
def test_a_request_for_another_block_is_counted(page: int, count: int):
    wanted = {"sdias_outside": 1, "sdias_outside_block": page + 2}
    assert seen(data(0), data(page, count), data(1)) == wanted


def test_the_first_of_the_other_blocks_is_kept():
    assert seen(data(9), data(8)) == {"sdias_outside": 2, "sdias_outside_block": 11}


def test_a_request_that_is_repeated_was_not_given_up():
    busy = [size(accepted=False), size(), data(1, accepted=False), data(1, accepted=False), data(1)]
    assert seen(*busy) == {"sdias_not_accepted": 3}


@pytest.mark.parametrize("then", [(), (data(2),), (size(),), (data(1, 2),)])
def test_a_request_that_is_not_repeated_was_given_up(then: tuple[SdiasAnswered, ...]):
    found = seen(data(0), data(1, accepted=False), *then)
    assert found == {"sdias_not_accepted": 1, "sdias_given_up": 1}


def test_requests_after_the_release_are_counted_as_such():
    hsa = Hsa(FakeStorage(bytes(PAGES * PAGE)), PAGES * PAGE, make_cpu(1))
    watch = SdiasWatch(hsa)
    assert watch.see(data(0)) is None
    hsa.release()
    assert watch.see(size()) is None
    assert watch.see(data(1)) == "SDIAS request after the HSA's release"
    found = watch.observations()
    assert (found["refused_after_release"], found["sdias_outside"]) == (1, 0)
