"""The scheduler: every job starts, within the capacity, and in an order that is determined."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HostError
from harness.run.batch.schedule import Job, Schedule, Tokens

MIB = 1 << 20
CAPACITY = Tokens(16 * MIB, 4)
LIMIT = 3

tokens = st.builds(Tokens, st.integers(1, 16).map(lambda mib: mib * MIB), st.integers(1, 4))
jobs = st.lists(
    st.builds(Job, st.just("job"), tokens, st.sampled_from([None, "oops", "panic"])), max_size=24
)


def job(memory: int = 1, cpus: int = 1, crash: str | None = None, name: str = "job") -> Job:
    return Job(name, Tokens(memory * MIB, cpus), crash)


@dataclass
class Player:
    """Runs jobs as chance has it, and checks the rules at each start."""

    jobs: list[Job]
    choose: object  # () -> int
    schedule: Schedule = field(init=False)
    order: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    making: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    overtaken: dict[int, int] = field(default_factory=dict)

    def play(self) -> list[int]:
        self.schedule = Schedule(self.jobs, CAPACITY, max_overtaken=LIMIT)
        while True:
            for number in self.schedule.start():
                self.begin(number)
            if not self.running:
                return self.order
            number = self.running[self.choose() % len(self.running)]
            crash = self.jobs[number].crash
            if self.making.get(crash) == number and self.choose() % 3:
                self.schedule.crash_made(number)
                self.made.add(crash)
                del self.making[crash]
            else:
                self.schedule.finished(number)
                self.running.remove(number)
                if self.making.get(crash) == number:
                    del self.making[crash]

    def begin(self, number: int) -> None:
        crash = self.jobs[number].crash
        assert crash not in self.making, "two make the same crash"
        for earlier in range(number):
            could_have_run = self.jobs[earlier].crash not in self.making
            if earlier not in self.order and could_have_run:
                self.overtaken[earlier] = self.overtaken.get(earlier, 0) + 1
                assert self.overtaken[earlier] <= LIMIT
        self.order.append(number)
        self.running.append(number)
        if crash is not None and crash not in self.made:
            self.making[crash] = number
        assert sum(self.jobs[each].tokens.memory for each in self.running) <= CAPACITY.memory
        assert sum(self.jobs[each].tokens.cpus for each in self.running) <= CAPACITY.cpus


@given(jobs, st.randoms(use_true_random=False))
def test_every_job_starts_once_within_the_rules(jobs, random):
    order = Player(jobs, lambda: random.randrange(1 << 16)).play()
    assert sorted(order) == list(range(len(jobs)))


@given(jobs, st.lists(st.integers(0, 1 << 16), min_size=1))
def test_the_order_is_determined_by_the_calls(jobs, choices):
    def played() -> list[int]:
        calls = iter(choices * (1 + 100 // len(choices)))
        return Player(jobs, lambda: next(calls)).play()

    assert played() == played()


def test_a_small_job_goes_before_one_that_does_not_fit():
    schedule = Schedule([job(cpus=3), job(cpus=4), job(cpus=1)], CAPACITY)
    assert schedule.start() == [0, 2]
    assert schedule.waiting == 1
    schedule.finished(0)
    assert schedule.start() == []
    schedule.finished(2)
    assert schedule.start() == [1]


def test_a_large_job_is_overtaken_only_a_limited_number_of_times():
    schedule = Schedule([job(cpus=1), job(cpus=4), *[job()] * 10], CAPACITY, max_overtaken=LIMIT)
    assert schedule.start() == [0, 2, 3, 4]
    for number in (2, 3, 4):
        schedule.finished(number)
        assert schedule.start() == [], "a free CPU, but the large one's turn"
    schedule.finished(0)
    assert schedule.start() == [1]


def test_those_that_share_a_crash_wait_for_the_first_and_then_all_go():
    schedule = Schedule([job(crash="a"), job(crash="a"), job(crash="b"), job(crash="a")], CAPACITY)
    assert schedule.start() == [0, 2]
    schedule.crash_made(2)  # somebody else's
    assert schedule.start() == []
    schedule.crash_made(0)
    assert schedule.start() == [1, 3]


def test_a_crash_that_was_not_made_is_made_by_the_next():
    schedule = Schedule([job(crash="a")] * 3, CAPACITY)
    assert schedule.start() == [0]
    schedule.finished(0)
    assert schedule.start() == [1]
    schedule.crash_made(1)
    assert schedule.start() == [2]


def test_a_job_that_shares_its_crash_with_none_makes_none():
    schedule = Schedule([job(crash="a"), job(), job(crash="a")], CAPACITY)
    assert schedule.start() == [0, 1]
    schedule.crash_made(1)
    assert schedule.start() == []


def test_nothing_starts_after_a_stop():
    schedule = Schedule([job(cpus=4), job(), job()], CAPACITY)
    assert schedule.start() == [0]
    assert schedule.stop() == [1, 2]
    schedule.finished(0)
    assert schedule.start() == []
    assert schedule.waiting == 0


@pytest.mark.parametrize("large", [job(memory=17, name="huge"), job(cpus=5, name="huge")])
def test_a_job_that_can_never_run_is_refused_by_name_and_numbers(large):
    with pytest.raises(HostError) as caught:
        Schedule([job(), large], CAPACITY)
    assert str(large.tokens) in caught.value.message
    assert "huge takes" in caught.value.message
    assert "16 MiB of memory and 4 CPUs" in caught.value.message
