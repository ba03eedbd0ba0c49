"""What a plan tells, and in how many pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent import planner
from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.session import Session
from tests.unit.agents import touch
from tests.unit.test_protocol import Recorded


def told(place: Path) -> list[list[Any]]:
    """The entries of a plan of 200 tasks, those of each write apart."""
    stream = Recorded()
    session = Session(Channel(stream), str(place / "state"))
    planner.Planner(session, []).plan([touch(place / f"f{number}") for number in range(200)])
    return [Channel(Recorded(data)).receive_all() for data in stream.writes]


def test_a_quick_plan_is_told_in_one_piece_and_a_slow_one_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "_PACE", 1000.0)
    quick = told(tmp_path)
    monkeypatch.setattr(planner, "_PACE", -1.0)  # every look is a slow one
    slow = told(tmp_path)
    assert [len(one) for one in quick] == [200] and len(slow) == 4
    assert [one["task"] for one in quick[0]] == [one["task"] for part in slow for one in part]
