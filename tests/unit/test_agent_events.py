"""Events that travel together: what many hosts say alike is read once."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personaplex_provision.agent import events
from personaplex_provision.agent.events import Heard, apart, pack, unpack
from personaplex_provision.agent.protocol import HEAD, Channel, ProtocolError
from tests.unit.test_protocol import JSON, Recorded

EVENTS: Any = st.lists(st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(events.ALIKE)), "task": st.sampled_from("ab"), "ts": st.floats(0, 1e9)},
    optional={"n": st.integers(1, 10**6), "seconds": st.floats(0, 1e3), "diff": JSON},
), min_size=1, max_size=8)


def without_number(event: dict[str, Any], among: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a beginning that its end follows at once, what is kept."""
    at = next(number for number, one in enumerate(among) if one is event)
    after = among[at + 1] if at + 1 < len(among) else event
    joined = (event["type"], after["type"]) == ("task_start", "task_end") and after["task"] == event["task"]
    kept = ("type", "ts", "task", "name", "kind")
    return {name: event[name] for name in kept if name in event} if joined else event


def step(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "task_end", "task": f"step {number}", "ts": 1.5, "seconds": 0.25, "n": number, **more}


def said(*messages: dict[str, Any]) -> bytes:
    """What a channel writes of messages, where the other end takes events together."""
    stream = Recorded()
    channel = Channel(stream)
    channel.packing = True
    channel.send_many(messages)
    assert len(stream.writes) == 1
    return stream.writes[0]


def heard(data: bytes) -> list[Any]:
    """What arrives of it."""
    return Channel(Recorded(data)).receive_all()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_events_arrive_as_they_were_told(found: list[dict[str, Any]]) -> None:
    assert list(apart(unpack(pack(found), Heard()))) == [without_number(one, found) for one in found]


def test_what_two_hosts_say_alike_is_the_same_object_and_what_is_their_own_is_not() -> None:
    both = Heard()
    diff = [{"field": "mode", "before": None, "after": "0644"}]
    (one,), (two,) = (unpack(pack([step(1, diff=diff, ts=when)]), both) for when in (1.0, 2.0))
    assert one["diff"] is two["diff"] and (one["ts"], two["ts"]) == (1.0, 2.0)
    one["outcome"] = "changed"
    assert "outcome" not in unpack(pack([step(1, diff=diff)]), both)[0]


def test_lines_that_are_kept_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ROOM", 10_000)
    kept = Heard()
    for number in range(1000):
        assert unpack(pack([step(number, reason="x" * 100)]), kept)[0]["task"] == f"step {number}"
    assert sum(map(len, kept._events)) <= 10_000


def test_messages_keep_their_order_among_events() -> None:
    result = step(3, result={"stdout": "its own"})
    messages = [step(1), step(2), {"type": "need", "task": "x", "id": 1}, step(4), result, step(5), step(6)]
    assert heard(said(*messages)) == messages
    assert said(step(1), step(2))[:1] == b"E" and said(step(1), result, result)[:1] == b"J"


def test_many_events_are_compressed() -> None:
    found = [step(number, preview="+ the same line\n" * 20) for number in range(100)]
    data = said(*found)
    assert data[:1] == b"F" and len(data) < 5000 and heard(data) == found


def test_who_does_not_say_that_it_takes_them_gets_each_event_by_itself() -> None:
    stream = Recorded()
    Channel(stream).send_many([step(1), step(2)])
    assert stream.writes[0].count(b'"type":"task_end"') == 2 and stream.writes[0][:1] == b"J"


def test_everything_that_has_come_is_received_at_once_and_a_part_of_a_frame_waits_for_the_rest() -> None:
    data = said(step(1), {"type": "applied"}, step(2), step(3))
    stream = Recorded(data + data)
    stream.step = len(data) + 3
    channel = Channel(stream)
    assert len(channel.receive_all()) == 4 and channel.waiting()
    assert channel.receive() == step(1)
    rest: Any = channel.receive_all()
    assert [one["type"] for one in rest] == ["applied", "task_end", "task_end"]
    assert not channel.waiting()


@pytest.mark.parametrize("payload", [
    b"", b"[]", b"{}\n[]", b"{}\n[1]", b"[1]\n[[1,1,1]]", b"{\n[[1,1,1]]", b"{}\n{}", b"{}\n" + b"[" * 100_000,
])
@pytest.mark.parametrize("kind", [b"E", b"F"])
def test_what_are_no_events_is_refused(payload: bytes, kind: bytes) -> None:
    data = zlib.compress(payload) if kind == b"F" else payload
    with pytest.raises(ProtocolError):
        Channel(Recorded(HEAD.pack(kind, len(data)) + data)).receive()


def test_a_step_that_nothing_came_between_travels_as_one_event_and_is_two_again() -> None:
    start = {"type": "task_start", "task": "step 2", "name": "two", "kind": "copy", "ts": 1.25}
    end = step(2, name="two", kind="copy")
    (one,) = unpack(pack([{**start, "n": 1}, end]), Heard())
    assert one == {**end, "began": 1.25} and list(apart([one])) == [start, end]
    others = [start, step(3), end]
    assert unpack(pack(others), Heard()) == others
