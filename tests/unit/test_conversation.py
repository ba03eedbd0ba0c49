"""The controller's side: events that came together are told together, in order, and none twice or never."""

from __future__ import annotations

from typing import Any

import pytest

from personaplex_provision.agent.protocol import Channel, encode
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.connection import Connection
from personaplex_provision.runs.conversation import Conversation
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.standing import detached
from tests.unit.test_protocol import Recorded

Event = dict[str, Any]


def end(number: int) -> Event:
    return {"type": "task_end", "task": f"step {number}", "n": number}


def talk(told: list[list[Event]], *messages: Event, tail: bytes = b"") -> Conversation:
    """A conversation with an agent that has said all this."""
    return Conversation("h", Channel(Recorded(b"".join(map(encode, messages)) + tail)), told.append)


def names(told: list[list[Event]]) -> list[list[str]]:
    return [[str(one["task"]).removeprefix("step ") for one in group] for group in told]


def test_events_that_came_together_are_told_together_and_before_what_follows_them() -> None:
    told: list[list[Event]] = []
    seen: list[int] = []
    one = talk(told, end(1), end(2), {"type": "need", "task": "x", "id": 7}, end(3), {"type": "applied"}, end(4))
    one.answers["need"] = lambda _message: seen.append(sum(map(len, told)))
    assert one.follow("applied")["type"] == "applied"
    assert names(told) == [["1", "2"], ["3"]] and seen == [2]
    with pytest.raises(UnreachableError):
        one.follow("ended")
    assert names(told) == [["1", "2"], ["3"], ["4"]]


def test_events_before_the_end_of_a_connection_are_told_and_not_again_over_the_next() -> None:
    told: list[list[Event]] = []
    lost = talk(told, end(1), end(2))
    lost.count_from_here(5.0)
    with pytest.raises(UnreachableError):
        lost.follow("applied")
    again = talk(told, end(2), end(3), {"type": "applied"})
    again.follow_on(lost)
    again.follow("applied")
    assert names(told) == [["1", "2"], ["3"]]


def test_what_came_with_nonsense_is_told_again_over_the_next_connection() -> None:
    told: list[list[Event]] = []
    lost = talk(told, end(1), {"no": "type"})
    with pytest.raises(UnreachableError):
        lost.follow("applied")
    assert (told, lost.last) == ([], 0)
    again = talk(told, end(1), {"type": "applied"})
    again.follow_on(lost)
    again.follow("applied")
    assert names(told) == [["1"]]


def test_the_more_hosts_a_command_has_the_less_often_each_tells_its_news() -> None:
    local = Connection("h", "local")
    alone, some, many = (detached(Options(), local, number)["gather"] for number in (1, 30, 5000))
    assert alone <= 0.2 < some < 1.0 < many <= 2.0
