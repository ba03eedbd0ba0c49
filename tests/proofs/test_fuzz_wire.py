"""Spoilt frames and journals: whoever reads them says so or stops there; no traceback, no hang, no change."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.main import Agent
from personaplex_provision.agent.protocol import BlobChunk, Channel, ProtocolError, Secrets, encode
from personaplex_provision.agent.session import Session
from personaplex_provision.errors import ProvisionError
from personaplex_provision.runs.conversation import Conversation
from tests.lab.fingerprint import Fingerprinter, difference
from tests.proofs import mutations
from tests.proofs.fuzzing import Tried, fuzzed
from tests.proofs.mutations import Edits
from tests.unit.agents import Agents, shell, touch, write

pytestmark = pytest.mark.slow

def conversation(root: str) -> list[dict[str, Any]]:
    """What a controller says that only wants to look."""
    tasks = [write(Path(root, "f"), "line"), touch(Path(root, "g")), shell("true", "run", ("f",))]
    return [
        {"type": "hello", "facts": False, "root": root, "kinds": ["copy"]},
        {"type": "ping", "n": 1},
        {"type": "plan", "tasks": [one.to_json() for one in tasks], "contents": {"ab": "text"}, "pad": "x" * 5000},
        {"type": "runs", "run": ""},
        {"type": "rollback", "plan": True, "id_": "r2"},
    ]


class Given:
    """A stream that hands out what it was given, and keeps what is written."""

    def __init__(self, incoming: bytes) -> None:
        self.incoming = io.BytesIO(incoming)
        self.written = b""

    def read(self, size: int, _timeout: float | None = None) -> bytes:
        return self.incoming.read(size)

    def write(self, data: bytes) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        """Nothing to close."""


def said(stream: Given) -> list[Any]:
    """The messages that were written to a stream."""
    channel, found = Channel(Given(stream.written)), []
    while True:
        try:
            found.append(channel.receive())
        except EOFError:
            return found


def asked(stream: Given) -> None:
    """An agent in this thread answers what the stream holds, to its end."""
    Agent(Session(Channel(stream))).serve()


@fuzzed(1500)
def test_spoilt_frames_are_refused_by_whoever_reads_them(
    tmp_path: Path, tried: Tried, edits: Edits, seed: int
) -> None:
    tried["frames"] = tried.get("frames", 0) + 1
    frames = [encode(one) for one in conversation(str(tmp_path / "none"))]
    stream = Given(mutations.spoilt_bytes(b"".join(frames[seed % 3 :]), edits))
    channel = Channel(stream)
    try:
        while True:
            assert isinstance(channel.receive(), (dict, BlobChunk, Secrets))
    except (ProtocolError, EOFError):
        pass


@fuzzed(1000)
def test_an_agent_that_hears_nonsense_ends_or_says_so_and_changes_nothing(
    tmp_path: Path, tried: Tried, edits: Edits, seed: int
) -> None:
    tried["frames"] = tried.get("frames", 0) + 1
    root = tmp_path / "state"
    looks = conversation(str(root))[:-1]  # a rollback that is not told to be a plan is one
    messages = mutations.spoilt_json(looks, edits)
    data = b"".join(encode(one) for one in messages if isinstance(one, dict))
    stream = Given(mutations.spoilt_bytes(data, edits) if seed % 4 == 0 else data)
    before = Fingerprinter().of(tmp_path)
    asked(stream)
    assert all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in said(stream))
    assert difference(before, Fingerprinter().of(tmp_path)) == []


@fuzzed(1000)
def test_a_controller_that_hears_nonsense_says_that_the_host_is_lost(
    tmp_path: Path, tried: Tried, edits: Edits, seed: int
) -> None:
    tried["frames"] = tried.get("frames", 0) + 1
    stream = Given(b"".join(encode(one) for one in conversation(str(tmp_path / "state"))))
    asked(stream)
    messages = mutations.spoilt_json(said(stream), edits)
    data = b"".join(encode(one) for one in messages if isinstance(one, dict))
    stream = Given(mutations.spoilt_bytes(data, edits) if seed % 2 else data)
    talk = Conversation("there", Channel(stream), lambda _event: None)
    with pytest.raises(ProvisionError):
        while True:
            talk.follow("hello", "planned", "runs", "rolled_back")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Agents, Path]:
    """A host with a run behind it, whose journal is then spoilt."""
    top = tmp_path_factory.mktemp("journals")
    place = top / "place"
    place.mkdir()
    (place / "old").write_text("before\n")
    agents = Agents(str(top / "state"))
    agents.run(write(place / "old", "one"), touch(place / "made"), shell("exit 3", "bad"))
    return agents, place


@fuzzed(1500)
def test_a_spoilt_journal_is_read_as_far_as_it_is_good(
    written: tuple[Agents, Path], tried: Tried, edits: Edits, seed: int
) -> None:
    tried["journals"] = tried.get("journals", 0) + 1
    agents, place = written
    run = next(Path(agents.root, "runs").iterdir())
    good = (run / "journal.jsonl").read_bytes()
    spoil = mutations.spoilt_bytes if seed % 2 else mutations.spoilt_lines
    before = Fingerprinter().of(place)
    (run / "journal.jsonl").write_bytes(spoil(good, edits))
    try:
        for one in agents.runs():
            assert one["run"]
        assert agents.rollback(plan=True)["type"] == "rolled_back"
    finally:
        (run / "journal.jsonl").write_bytes(good)
    assert difference(before, Fingerprinter().of(place)) == []
