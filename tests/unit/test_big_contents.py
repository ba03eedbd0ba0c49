"""Contents too large for memory: streamed on both sides, once a host, compressed, gone on with after a cut."""

from __future__ import annotations

import filecmp
import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from personaplex_provision.agent.incoming import Incoming
from personaplex_provision.agent.protocol import PIECE, BlobChunk, Channel
from personaplex_provision.agent.store import Store
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.filecontent import FileContent
from personaplex_provision.runs.sending import send

SIZE = 200 << 20
MOST = 64 << 20


class Line:
    """A stream that keeps what is written, or breaks after so many bytes."""

    def __init__(self, most: int = 1 << 40) -> None:
        self.data = bytearray()
        self.most = most

    def write(self, data: bytes) -> None:
        if len(self.data) + len(data) > self.most:
            raise BrokenPipeError("cut")
        self.data += data

    def read(self, size: int, timeout: float | None = None) -> bytes:
        del timeout
        found = bytes(self.data[:size])
        del self.data[:size]
        return found

    def close(self) -> None:
        """Nothing is held."""


def stock(content: FileContent) -> Stock:
    return Stock(files={content.sha256: content})


def sparse(path: Path, size: int) -> Path:
    """A file with random blocks in a sea of zeros."""
    with path.open("wb") as file:
        for start in range(0, size, 4 << 20):
            file.seek(start)
            file.write(os.urandom(1 << 16))
        file.truncate(size)
    return path


def receive(line: Line, incoming: Incoming) -> None:
    channel = Channel(line)
    while True:
        try:
            piece = channel.receive()
        except EOFError:
            incoming.stop()
            return
        assert isinstance(piece, BlobChunk) and len(piece.data) <= PIECE
        incoming.take(piece)


def test_after_a_cut_only_the_rest_is_sent(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(5 << 20))
    content = FileContent.of(str(tmp_path / "big"))
    store = Store(str(tmp_path / "state"))
    line = Line(3 << 20)
    with pytest.raises(BrokenPipeError):
        send(Channel(line), stock(content), {"sha256": content.sha256})
    receive(line, Incoming(store))
    have = store.half(content.sha256)
    assert 2 << 20 < have <= 3 << 20 and not store.has(content.sha256)
    rest = Line()
    assert send(Channel(rest), stock(content), {"sha256": content.sha256, "have": have}) == {}
    assert len(rest.data) < (2 << 20) + (1 << 19) + 4096
    receive(rest, Incoming(store))
    assert store.has(content.sha256) and store.half(content.sha256) == 0
    with store.open(content.sha256) as file:
        assert hashlib.sha256(file.read()).hexdigest() == content.sha256


def test_what_is_not_what_its_name_says_is_not_kept(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state"))
    Incoming(store).take(BlobChunk("a" * 64, b"something else", True))
    assert not store.has("a" * 64) and store.half("a" * 64) == 0


def test_a_file_that_changes_during_the_run_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 100)
    content = FileContent.of(str(path))
    path.write_bytes(b"y" * 101)
    answer = send(Channel(Line()), stock(content), {"sha256": content.sha256})
    assert answer == {"refused": f"{path} was changed during the run"}


def test_what_compresses_travels_compressed_and_what_does_not_as_it_is() -> None:
    zeros, noise = bytes(4 << 20), os.urandom(4 << 20)
    for data, least, most in ((zeros, 1, 1 << 17), (noise, len(noise), len(noise) + 4096)):
        line = Line()
        Channel(line).send_blob(hashlib.sha256(data).hexdigest(), data)
        assert least <= len(line.data) <= most
        channel, whole = Channel(line), b""
        while line.data or channel.waiting():
            piece = channel.receive()
            assert isinstance(piece, BlobChunk)
            whole += piece.data
        assert zlib.crc32(whole) == zlib.crc32(data)


RUN = """
import json, resource, sys
from personaplex_provision.cli.main import main
code = main(sys.argv[1:])
peak = lambda who: resource.getrusage(who).ru_maxrss * 1024
print(json.dumps({"here": peak(resource.RUSAGE_SELF), "there": peak(resource.RUSAGE_CHILDREN)}), file=sys.stderr)
sys.exit(code)
"""


def test_a_large_file_costs_no_memory_on_either_side_and_equal_ones_travel_once(tmp_path: Path) -> None:
    def copied(name: str, size: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
        source = sparse(tmp_path / name, size)
        tasks = [{"name": to, "copy": {"src": str(source), "dest": str(tmp_path / f"{name}-{to}")}} for to in "ab"]
        playbook = tmp_path / f"{name}.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "tasks": tasks}]))
        said = subprocess.run([sys.executable, "-c", RUN, "apply", "-y", "--json", str(playbook)],
                              capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout[-3000:] + said.stderr
        for to in "ab":
            assert filecmp.cmp(source, tmp_path / f"{name}-{to}", shallow=False)
            (tmp_path / f"{name}-{to}").unlink()
        return yaml.safe_load(said.stderr.splitlines()[-1]), [yaml.safe_load(one) for one in said.stdout.splitlines()]

    small, _ = copied("small", 1 << 12)
    large, events = copied("large", SIZE)
    assert large["here"] - small["here"] < MOST
    assert large["there"] - small["there"] < MOST
    told = [one["done"] for one in events if one["type"] == "task_progress"]
    assert told == sorted(told) and all(0 < one <= SIZE for one in told)
    state = Path(os.environ["PROVISION_STATE_DIR"])
    assert len([one for one in (state / "blobs").iterdir() if one.stat().st_size == SIZE]) == 1
