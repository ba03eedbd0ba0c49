"""The engine on a host that was provisioned: used by the next start, believed only when it is the right one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.executors import bootstrap, bundle, remembered
from personaplex_provision.executors.base import Connection, connection_of
from personaplex_provision.executors.bootstrap import Agent, seat_of, start_agent
from personaplex_provision.runs.conversation import Conversation
from personaplex_provision.runs.identity import new_run

from .interpreters import interpreters


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))


def reach(python: str = sys.executable) -> Connection:
    return connection_of("here", {"ansible_connection": "local", "ansible_python_interpreter": python})


def asked(agent: Agent, *messages: dict[str, Any]) -> dict[str, Any]:
    """The answer to the last of some messages."""
    talk = Conversation("here", agent.channel, lambda _event: None)
    replies = {"hello": "hello", "begin": "begun", "end": "ended"}
    for message in messages:
        answer = talk.ask(message, replies[message["type"]])
    return answer


def provisioned(connection: Connection) -> Path:
    """Begins and ends a run; the engine that is kept then."""
    agent = start_agent(connection)
    assert not agent.kept
    hello = {"type": "hello", "facts": False}
    begin = {"type": "begin", "run": new_run(), "meta": {}, "lock_timeout": 0, "policy": "stop"}
    path, digest = asked(agent, hello, begin, {"type": "end", "outcome": "ok", "keep": True})["engine"]
    agent.keeps(path, digest)
    agent.close()
    return Path(path)


@pytest.mark.parametrize("version", sorted(interpreters()))
def test_a_host_that_was_provisioned_is_not_sent_the_engine_again(version: str) -> None:
    connection = reach(interpreters()[version])
    whole = len(bootstrap.Start("here", seat=seat_of(connection)).payload)
    provisioned(connection)
    assert len(bootstrap.Start("here", seat=seat_of(connection)).payload) < 1500 < whole
    agent = start_agent(connection)
    assert agent.kept and asked(agent, {"type": "hello", "facts": False})["unfinished"] == []
    agent.close()


def test_asking_a_host_leaves_nothing_on_it(tmp_path: Path) -> None:
    agent = start_agent(reach())
    asked(agent, {"type": "hello"})
    agent.close()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("harm", ["gone", "torn", "another"])
def test_an_engine_that_is_not_the_right_one_is_sent(harm: str) -> None:
    connection = reach()
    path = provisioned(connection)
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] if harm == "torn" else b"print('not ours')")
    agent = start_agent(connection, [{"type": "ping", "n": 1}])
    assert agent.channel.receive(10) == {"type": "pong", "n": 1}
    assert not agent.kept
    agent.close()
    assert remembered.recall(seat_of(connection)).kept is None


def test_an_engine_of_another_version_is_not_asked_for() -> None:
    connection = reach()
    provisioned(connection)
    seat = seat_of(connection)
    known = remembered.recall(seat)
    assert known.kept is not None and known.kept.version == bundle.version()
    remembered.remember(seat, known._replace(kept=known.kept._replace(version="older")))
    assert bootstrap.Start("here", seat=seat).form == bundle.tag()


def test_old_engines_do_not_pile_up(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "engine"
    folder.mkdir(parents=True)
    for number in range(9):
        (folder / f"old{number}").write_text("x")
        os.utime(folder / f"old{number}", (number, number))
    newest = provisioned(reach())
    assert sorted(one.name for one in folder.iterdir()) == sorted(["old6", "old7", "old8", newest.name])


def test_who_becomes_another_user_has_an_engine_of_his_own() -> None:
    one, other = reach(), reach()
    other.become = True
    assert seat_of(one) != seat_of(other)


@pytest.mark.parametrize("text", ["", "[]", '["x"]', '["x", [1, 2]]', "{", '{"a": 1}', '[null, null, null]'])
def test_a_memory_that_makes_no_sense_is_none(text: str, tmp_path: Path) -> None:
    remembered.remember("there", remembered.Known("cpython"))
    (file,) = (tmp_path / "cache" / "provision" / "hosts").iterdir()
    file.write_text(text)
    assert remembered.recall("there") == remembered.Known()


def test_what_is_known_of_a_host_takes_the_place_of_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    long = remembered.Known("cpython", remembered.Kept("/var/lib/provision/engine/one", "0" * 64, "cpython", "version"))
    for known in (long, remembered.Known("pypy"), long):
        remembered.remember("there", known)
        assert remembered.recall("there") == known


def test_a_host_is_not_blamed_for_the_time_that_compiling_the_engine_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connection_of("here", {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_timeout": 4,
    })
    provisioned(connection).unlink()  # so that the engine is wanted after all
    make = bundle.bundle

    def slowly(*given: Any) -> bytes:
        time.sleep(connection.timeout + 0.2)
        return make(*given)

    monkeypatch.setattr(bundle, "bundle", slowly)
    agent = start_agent(connection)
    assert asked(agent, {"type": "hello", "facts": False})["unfinished"] == []
    agent.close()
