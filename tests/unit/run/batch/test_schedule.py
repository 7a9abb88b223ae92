"""The scheduler: every job starts, within the capacities, and in an order that is determined."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HostError
from harness.run.batch.schedule import Job, Schedule, Tokens, largest_first

MIB = 1 << 20
CAPACITY = Tokens(16 * MIB, 4)
HERE = {"here": CAPACITY}
TWO = {"small": Tokens(4 * MIB, 2), "large": CAPACITY}
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
    rooms: dict[str, Tokens] = field(default_factory=lambda: dict(HERE))
    lose: bool = False  # hosts, once in a while, but for the last
    schedule: Schedule = field(init=False)
    order: list[int] = field(default_factory=list)
    running: dict[int, str] = field(default_factory=dict)
    making: dict[tuple[str, str], int] = field(default_factory=dict)
    made: set[tuple[str, str]] = field(default_factory=set)
    overtaken: dict[int, int] = field(default_factory=dict)

    def play(self) -> list[int]:
        self.schedule = Schedule(self.jobs, self.rooms, max_overtaken=LIMIT)
        while True:
            for number, host in self.schedule.start().items():
                self.begin(number, host)
            if not self.running:
                return self.order
            number = list(self.running)[self.choose() % len(self.running)]
            host, crash = self.running[number], self.jobs[number].crash
            if self.lose and len(self.rooms) > 1 and not self.choose() % 7:
                self.lose_host(host)
            elif self.making.get((host, crash)) == number and self.choose() % 3:
                self.schedule.crash_made(number)
                self.made.add((host, crash))
                del self.making[host, crash]
            else:
                self.schedule.finished(number)
                self.end(number)

    def lose_host(self, host: str) -> None:
        self.schedule.retire(host)
        del self.rooms[host]
        for number in [each for each, where in self.running.items() if where == host]:
            self.schedule.again(number)
            self.end(number)
            self.order.remove(number)
            self.overtaken.clear()  # what waits again was not there to be overtaken
        assert self.schedule.stranded() == []

    def end(self, number: int) -> None:
        host = self.running.pop(number)
        if self.making.get((host, self.jobs[number].crash)) == number:
            del self.making[host, self.jobs[number].crash]

    def begin(self, number: int, host: str) -> None:
        crash = self.jobs[number].crash
        assert (host, crash) not in self.making, "two make the same crash"
        for earlier in range(number):
            could_have_run = not any(
                (name, self.jobs[earlier].crash) in self.making for name in self.rooms
            )
            fits = self.jobs[earlier].tokens.within(self.rooms[host])
            if earlier not in self.order and could_have_run and fits:
                self.overtaken[earlier] = self.overtaken.get(earlier, 0) + 1
                # the host can have been kept from it while a crash of it was made
                assert self.overtaken[earlier] <= LIMIT * len(self.rooms)
        self.order.append(number)
        self.running[number] = host
        if crash is not None and (host, crash) not in self.made:
            self.making[host, crash] = number
        there = [self.jobs[each].tokens for each, where in self.running.items() if where == host]
        assert sum(each.memory for each in there) <= self.rooms[host].memory
        assert sum(each.cpus for each in there) <= self.rooms[host].cpus


@given(jobs, st.sampled_from([HERE, TWO]), st.booleans(), st.randoms(use_true_random=False))
def test_every_job_starts_once_within_the_rules(jobs, rooms, lose, random):
    # "large", on which all jobs fit, is never lost
    calls = Player(jobs, lambda: random.randrange(1 << 16), dict(rooms))
    calls.lose = lose and rooms is TWO and all(job.tokens.within(TWO["small"]) for job in jobs)
    assert sorted(calls.play()) == list(range(len(jobs)))


@given(jobs, st.lists(st.integers(0, 1 << 16), min_size=1))
def test_the_order_is_determined_by_the_calls(jobs, choices):
    def played() -> list[int]:
        calls = iter(choices * (1 + 200 // len(choices)))
        return Player(jobs, lambda: next(calls)).play()

    assert played() == played()


def test_a_small_job_goes_before_one_that_does_not_fit():
    schedule = Schedule([job(cpus=3), job(cpus=4), job(cpus=1)], HERE)
    assert list(schedule.start()) == [0, 2]
    assert schedule.waiting == 1
    schedule.finished(0)
    assert list(schedule.start()) == []
    schedule.finished(2)
    assert list(schedule.start()) == [1]


def test_the_largest_start_first_where_several_can_run():
    asked = [job(1), job(4), job(2), job(4), job(1)]
    order = largest_first(asked, HERE)
    assert order == [1, 3, 2, 0, 4]
    schedule = Schedule(asked, {"here": Tokens(8 * MIB, 4)}, order=order)
    assert list(schedule.start()) == [1, 3]
    schedule.finished(1)
    assert list(schedule.start()) == [2, 0, 4]
    schedule.again(3)
    schedule.again(0)
    schedule.again(4)
    assert list(schedule.start()) == [3, 0, 4]
    assert largest_first(asked, {"one": Tokens(8 * MIB, 1)}) == [0, 1, 2, 3, 4]
    assert largest_first(asked, dict.fromkeys("ab", Tokens(8 * MIB, 1))) == order


def test_a_large_job_is_overtaken_only_a_limited_number_of_times():
    schedule = Schedule([job(cpus=1), job(cpus=4), *[job()] * 10], HERE, max_overtaken=LIMIT)
    assert list(schedule.start()) == [0, 2, 3, 4]
    for number in (2, 3, 4):
        schedule.finished(number)
        assert list(schedule.start()) == [], "a free CPU, but the large one's turn"
    schedule.finished(0)
    assert list(schedule.start()) == [1]


def test_those_that_share_a_crash_wait_for_the_first_and_then_all_go():
    schedule = Schedule([job(crash="a"), job(crash="a"), job(crash="b"), job(crash="a")], HERE)
    assert list(schedule.start()) == [0, 2]
    schedule.crash_made(2)  # somebody else's
    assert list(schedule.start()) == []
    schedule.crash_made(0)
    assert list(schedule.start()) == [1, 3]


def test_a_crash_that_was_not_made_is_made_by_the_next():
    schedule = Schedule([job(crash="a")] * 3, HERE)
    assert list(schedule.start()) == [0]
    schedule.finished(0)
    assert list(schedule.start()) == [1]
    schedule.crash_made(1)
    assert list(schedule.start()) == [2]


def test_a_job_that_shares_its_crash_with_none_makes_none():
    schedule = Schedule([job(crash="a"), job(), job(crash="a")], HERE)
    assert list(schedule.start()) == [0, 1]
    schedule.crash_made(1)
    assert list(schedule.start()) == []


def test_nothing_starts_after_a_stop():
    schedule = Schedule([job(cpus=4), job(), job()], HERE)
    assert list(schedule.start()) == [0]
    assert schedule.stop() == [1, 2]
    schedule.finished(0)
    assert list(schedule.start()) == []
    assert schedule.waiting == 0


@pytest.mark.parametrize("large", [job(memory=17, name="huge"), job(cpus=5, name="huge")])
def test_a_job_that_can_never_run_is_refused_by_name_and_numbers(large):
    with pytest.raises(HostError) as caught:
        Schedule([job(), large], HERE)
    assert str(large.tokens) in caught.value.message
    assert "huge takes" in caught.value.message
    assert "16 MiB of memory and 4 CPUs" in caught.value.message


def test_each_host_makes_a_crash_of_its_own_and_the_one_that_has_it_is_preferred():
    rooms = {"a": Tokens(16 * MIB, 1), "b": Tokens(32 * MIB, 1)}
    schedule = Schedule([job(crash="x")] * 4, rooms)
    assert schedule.start() == {0: "b", 1: "a"}
    schedule.crash_made(1)
    schedule.finished(0)  # without a crash
    schedule.finished(1)
    assert schedule.start() == {2: "a", 3: "b"}


def test_a_host_that_is_too_small_for_a_large_job_is_not_kept_for_it():
    jobs = [job(cpus=1), job(cpus=4), *[job(cpus=2, memory=4)] * 3, *[job()] * 4]
    schedule = Schedule(jobs, TWO, max_overtaken=1)
    assert schedule.start() == {0: "large", 2: "large", 3: "small"}
    schedule.finished(3)
    assert schedule.start() == {4: "small"}
    schedule.finished(2)
    assert schedule.start() == {}
    schedule.finished(0)
    assert schedule.start() == {1: "large"}


def test_the_jobs_of_a_lost_host_run_elsewhere_before_those_that_wait():
    schedule = Schedule([job(cpus=2)] * 4, TWO)
    assert schedule.start() == {0: "large", 1: "large", 2: "small"}
    schedule.retire("small")
    schedule.again(2)
    schedule.finished(0)
    assert schedule.start() == {2: "large"}
    assert schedule.stranded() == []


def test_what_fits_on_no_host_that_is_left_is_told():
    schedule = Schedule([job(cpus=4), job(cpus=2), job(cpus=4)], TWO)
    assert schedule.start() == {0: "large", 1: "small"}
    schedule.retire("large")
    schedule.again(0)
    assert schedule.stranded() == [0, 2]
    schedule.retire("small")
    schedule.again(1)
    assert schedule.stranded() == [1]
    assert (schedule.start(), schedule.waiting) == ({}, 0)
