"""What a run says to whom: news are gathered, and what somebody waits for goes at once."""

from __future__ import annotations

import threading
import time

import pytest

from personaplex_provision.agent import link as links
from personaplex_provision.agent.link import Link
from personaplex_provision.agent.protocol import Channel

PATIENCE = 10.0
HELD = 100 * PATIENCE
"Seconds for which news are gathered that nobody waits for."


class Line:
    """A stream that counts what is written to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.arrived = threading.Event()

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.arrived.set()

    def close(self) -> None:
        """Nothing is held."""


def said(line: Line) -> int:
    """How many numbers arrived, of the news that each of these tests tells."""
    return b"".join(line.writes).count(b'"number"')


def until(holds: object) -> None:
    """Waits until it holds."""
    assert callable(holds)
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_news_travel_together_and_all_arrive() -> None:
    line = Line()
    link = Link(Channel(line), longest=10.0)
    for number in range(20):
        link.tell([{"type": "task_start", "number": number}])
        time.sleep(0.01)  # each would have gone by itself
    until(lambda: said(line) == 20)
    assert len(line.writes) <= 3


@pytest.mark.parametrize("how", ["question", "reply"])
def test_what_somebody_waits_for_is_not_held_back_nor_what_came_before_it(how: str) -> None:
    line = Line()
    link = Link(Channel(line), longest=HELD)
    link.tell([{"type": "task_start", "number": 1}])
    if how == "reply":
        link.reply({"type": "applied", "number": 2})
    else:
        link.tell([{"type": "need", "number": 2}], answering=True)
    until(lambda: said(line) == 2)
    text = b"".join(line.writes)
    assert text.index(b'"number":1') < text.index(b'"number":2')


def test_the_end_of_a_run_waits_for_no_news_to_gather() -> None:
    line = Line()
    link = Link(Channel(line), longest=HELD)
    link.tell([{"type": "task_end", "number": 1}])
    began = time.monotonic()
    link.drain()
    assert said(line) == 1 and time.monotonic() - began < PATIENCE


def test_output_beyond_what_is_held_is_not_waited_for_longer_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FULL", 5)
    line = Line()
    link = Link(Channel(line), longest=HELD)
    began = time.monotonic()
    for number in range(20):
        link.tell([{"type": "task_output", "number": number}])
    link.drain()
    assert said(line) == 20 and time.monotonic() - began < PATIENCE


def test_who_has_more_and_more_to_tell_tells_it_in_fewer_pieces() -> None:
    line = Line()
    link = Link(Channel(line), longest=0.5)
    began = time.monotonic()
    while time.monotonic() - began < 2.0:
        link.tell([{"type": "task_start", "number": 1}])
        time.sleep(0.005)
    link.drain()
    assert len(line.writes) <= 12  # 50 ms, 100 ms … half a second
    time.sleep(0.6)
    link.tell([{"type": "task_start", "number": 2}])
    began = time.monotonic()
    until(lambda: b'"number":2' in b"".join(line.writes))
    assert time.monotonic() - began < 0.4  # the first news after a silence are not held as long
