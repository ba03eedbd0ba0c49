"""The frames between controller and agent."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_provision.agent.protocol import (
    HEAD,
    LIMIT,
    PIECE,
    BlobChunk,
    Channel,
    Pipes,
    ProtocolError,
    Secrets,
    decode,
    encode,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
)


class Recorded:
    """A stream that hands out what it was given and keeps what is written, with every write apart."""

    def __init__(self, incoming: bytes = b"", step: int = 1 << 20) -> None:
        self.incoming = io.BytesIO(incoming)
        self.step = step
        self.writes: list[bytes] = []

    def read(self, size: int, _timeout: float | None = None) -> bytes:
        return self.incoming.read(min(size, self.step))

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        pass


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Two channels joined by pipes."""
    there, back = os.pipe(), os.pipe()
    left, right = Channel(Pipes(back[0], there[1])), Channel(Pipes(there[0], back[1]))
    yield left, right
    left.close()
    right.close()


def received(channel: Channel) -> Iterator[Any]:
    while True:
        try:
            yield channel.receive()
        except EOFError:
            return


@given(st.dictionaries(st.text(), JSON), st.integers(1, 64))
def test_a_message_arrives_as_it_was_sent_however_it_is_cut_up(message: dict[str, Any], step: int) -> None:
    assert list(received(Channel(Recorded(encode(message), step)))) == [message]


def test_file_names_that_are_not_text_survive() -> None:
    name = os.fsdecode(b"/tmp/\xff\xfe")
    assert Channel(Recorded(encode({"path": name}))).receive() == {"path": name}


def test_a_long_message_is_compressed_and_a_short_or_incompressible_one_is_not() -> None:
    noise = hashlib.shake_256(b"x").hexdigest(50)
    assert encode({"t": "a" * 100_000})[:1] == b"Z" and len(encode({"t": "a" * 100_000})) < 1000
    assert encode({"t": noise})[:1] == b"J"


def test_many_messages_are_one_write_in_order() -> None:
    stream = Recorded()
    Channel(stream).send_many([{"n": n} for n in range(20)])
    assert len(stream.writes) == 1
    assert list(received(Channel(Recorded(stream.writes[0])))) == [{"n": n} for n in range(20)]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_blob_comes_in_bounded_pieces_and_only_the_last_is_final(size: int, as_file: bool) -> None:
    data = os.urandom(size)
    name = hashlib.sha256(data).hexdigest()
    stream = Recorded()
    Channel(stream).send_blob(name, io.BytesIO(data) if as_file else data)
    assert max(map(len, stream.writes)) <= PIECE + 64
    pieces = list(received(Channel(Recorded(b"".join(stream.writes)))))
    assert all(isinstance(one, BlobChunk) and one.sha256 == name for one in pieces)
    assert b"".join(one.data for one in pieces) == data
    assert [one.final for one in pieces] == [False] * (len(pieces) - 1) + [True]


def test_messages_travel_between_the_pieces_of_a_blob_of_another_thread(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    data = os.urandom(8 * PIECE)
    name = hashlib.sha256(data).hexdigest()
    threads = [threading.Thread(target=left.send_blob, args=(name, data))]
    threads += [threading.Thread(target=left.send, args=({"n": n, "pad": "x" * n * 500},)) for n in range(20)]
    for one in threads:
        one.start()
    found = [right.receive(timeout=10) for _ in range(28)]
    for one in threads:
        one.join()
    assert b"".join(one.data for one in found if isinstance(one, BlobChunk)) == data
    assert {one["n"] for one in found if isinstance(one, dict)} == set(range(20))


def test_secrets_have_a_frame_of_their_own_and_never_print() -> None:
    stream = Recorded()
    Channel(stream).send_secrets({"token": "hunter2"})
    found = Channel(Recorded(stream.writes[0])).receive()
    assert isinstance(found, Secrets) and found.values == {"token": "hunter2"}
    assert stream.writes[0][:1] == b"S"
    assert "hunter2" not in f"{found!r} {found} {[found]}"


def test_the_end_is_an_eoferror_between_frames_and_inside_one() -> None:
    with pytest.raises(EOFError):
        Channel(Recorded()).receive()
    with pytest.raises(EOFError):
        Channel(Recorded(encode({"a": 1})[:-1])).receive()


def test_waiting_ends_in_time_and_what_came_is_kept(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    whole = encode({"n": 1})
    left.stream.write(whole[:7])
    with pytest.raises(TimeoutError):
        right.receive(timeout=0.05)
    left.stream.write(whole[7:])
    assert right.receive(timeout=5) == {"n": 1}


def test_what_was_read_ahead_is_reported_as_waiting(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.send_many([{"n": 1}, {"n": 2}])
    assert not right.waiting()
    right.receive()
    assert right.waiting()
    right.receive()
    assert not right.waiting()


@pytest.mark.parametrize("frame", [
    HEAD.pack(b"X", 2) + b"{}",
    HEAD.pack(b"J", LIMIT + 1),
    HEAD.pack(b"J", 2) + b"[]",
    HEAD.pack(b"J", 1) + b"{",
    HEAD.pack(b"B", 5) + b"short",
    HEAD.pack(b"Z", 4) + b"nope",
], ids=["type", "size", "list", "json", "blob", "zlib"])
def test_what_is_not_a_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        Channel(Recorded(frame)).receive()


def test_a_small_frame_cannot_become_a_huge_message() -> None:
    bomb = zlib.compress(b'{"a":"' + b"x" * (LIMIT + 10) + b'"}', 9)
    with pytest.raises(ProtocolError):
        decode(b"Z", bomb)


def test_a_secret_that_cannot_be_decoded_is_not_quoted() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(b"S", b'{"token": hunter2}')
    assert "hunter2" not in str(caught.value) and caught.value.__cause__ is None


def test_a_pickle_is_only_bytes_that_are_no_message() -> None:
    payload = pickle.dumps({"a": 1})
    with pytest.raises(ProtocolError):
        Channel(Recorded(HEAD.pack(b"J", len(payload)) + payload)).receive()
