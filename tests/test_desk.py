"""One model, many visitors: whoever stops, leaves or fails lets the next one in."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bwcoach.coach import Coach
from bwcoach.errors import BackendError
from bwcoach.ui.desk import Desk
from tests.scripted_coach import ScriptedReader, scripted_card, scripted_coach


def desk() -> Desk:
    return Desk(load=lambda model: scripted_coach(ScriptedReader({})), card=lambda model: scripted_card())


def counting(coach: Coach) -> Iterator[int]:
    """Each number says all that those before it said, as every work has to."""
    yield from range(3)


def served(shared: Desk, stop: threading.Event, model: str = "m") -> bool:
    """Whether the visitor with this stop gets the model, and its work to its end."""
    numbers = list(shared.lend(model, stop, counting))
    return bool(numbers) and numbers == sorted(numbers) and numbers[-1] == 2


def test_the_newest_comes_always_and_nothing_comes_twice() -> None:
    shared = desk()
    for _ in range(20):
        assert served(shared, shared.begin("ann", "read"))


def test_what_is_found_comes_while_the_model_works_on() -> None:
    shared, go_on = desk(), threading.Event()

    def slow(coach: Coach) -> Iterator[int]:
        yield 1
        go_on.wait()
        yield 2

    reading = shared.lend("m", shared.begin("ann", "read"), slow)
    assert next(reading) == 1
    go_on.set()
    assert list(reading) == [2]


def test_an_error_reaches_who_asked_and_the_next_one_is_served() -> None:
    shared = desk()

    def failing(coach: Coach) -> Iterator[int]:
        yield 1
        raise BackendError("The server is gone.")

    with pytest.raises(BackendError, match="is gone"):
        list(shared.lend("m", shared.begin("ann", "read"), failing))
    assert served(shared, shared.begin("ben", "read"))


def test_a_model_that_cannot_be_loaded_is_tried_again_for_the_next_one() -> None:
    tries: list[str] = []

    def load(model: str) -> Coach:
        tries.append(model)
        if len(tries) == 1:
            raise BackendError("No memory.")
        return scripted_coach(ScriptedReader({}))

    shared = Desk(load=load, card=lambda model: scripted_card())
    with pytest.raises(BackendError):
        list(shared.lend("m", shared.begin("ann", "read"), counting))
    assert served(shared, shared.begin("ann", "read"))
    assert served(shared, shared.begin("ann", "read"))
    assert tries == ["m", "m"]


def test_stop_keeps_what_was_found_and_does_not_wait_for_the_model() -> None:
    shared = desk()
    stop, may_end = shared.begin("ann", "read"), threading.Event()

    def slow(coach: Coach) -> Iterator[str]:
        yield "found"
        shared.stop("ann")
        may_end.wait()  # a forward pass that heeds nobody
        yield "too late"

    assert list(shared.lend("m", stop, slow)) == ["found"]
    may_end.set()
    assert served(shared, shared.begin("ben", "read"))


def test_a_stop_before_the_turn_comes_means_that_nothing_is_read() -> None:
    shared = desk()
    stop = shared.begin("ann", "read")
    shared.stop("ann")
    assert shared.begun("ann", "read") is stop
    release = threading.Event()

    def busy(coach: Coach) -> Iterator[str]:
        yield "holding"
        release.wait()

    other = shared.lend("m", shared.begin("ben", "read"), busy)
    assert next(other) == "holding"
    assert list(shared.lend("m", stop, counting)) == []
    release.set()
    assert list(other) == []


def test_a_reading_that_nobody_follows_any_more_lets_the_model_go() -> None:
    shared = desk()
    stop = shared.begin("ann", "read")

    def endless(coach: Coach) -> Iterator[int]:
        while not stop.wait(0.01):
            yield 1

    reading = shared.lend("m", stop, endless)
    assert next(reading) == 1
    del reading
    assert served(shared, shared.begin("ben", "read"))


def test_leaving_ends_all_that_the_visitor_began_and_nobody_elses() -> None:
    shared = desk()
    mine = [shared.begin("ann", "read"), shared.begin("ann", "compare")]
    theirs = shared.begin("ben", "read")
    shared.leave("ann")
    assert all(stop.is_set() for stop in mine)
    assert not theirs.is_set()


def test_only_the_model_used_last_is_kept() -> None:
    loaded: list[str] = []

    def load(model: str) -> Coach:
        loaded.append(model)
        return scripted_coach(ScriptedReader({}))

    shared = Desk(load=load, card=lambda model: scripted_card())
    for model in ("a", "a", "b", "a"):
        assert served(shared, shared.begin("ann", "read"), model)
    assert loaded == ["a", "b", "a"]
