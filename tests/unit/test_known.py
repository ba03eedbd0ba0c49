"""What is known of a large file holds until anything happens to the file, and not a moment longer."""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.known import Known, on_disk
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.reading import LARGE
from personaplex_provision.agent.store import Store

SIZE = LARGE + 4096


@pytest.fixture
def big(tmp_path: Path) -> Path:
    found = tmp_path / "model.safetensors"
    found.write_bytes(b"\1" * SIZE)
    return found


def known(tmp_path: Path) -> Known:
    return Known(str(tmp_path / "known.json"), trusted=lambda _device: True)


def bytes_read() -> int:
    """What this process has read by system calls so far."""
    return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["rchar"])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_was_read_is_not_read_again(tmp_path: Path, big: Path) -> None:
    of = known(tmp_path)
    first = of.digest(str(big))
    before = bytes_read()
    assert of.digest(str(big)) == first == (hashlib.sha256(b"\1" * SIZE).hexdigest(), SIZE)
    assert bytes_read() - before < LARGE


def test_what_is_known_outlives_the_process(tmp_path: Path, big: Path) -> None:
    first = known(tmp_path)
    said = first.digest(str(big))
    first.save()
    before = bytes_read()
    assert known(tmp_path).digest(str(big)) == said
    assert bytes_read() - before < LARGE


def test_nothing_is_written_where_nothing_was_learnt(tmp_path: Path) -> None:
    known(tmp_path).save()
    assert list(tmp_path.iterdir()) == []


def _in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\2")


def _in_place_with_its_old_time(path: Path) -> None:
    old = path.stat()
    _in_place(path)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def _replaced_by_one_of_the_same_size_and_time(path: Path) -> None:
    old, beside = path.stat(), path.with_suffix(".new")
    beside.write_bytes(b"\2" * SIZE)
    os.utime(beside, ns=(old.st_atime_ns, old.st_mtime_ns))
    beside.replace(path)


def _written_anew(path: Path) -> None:
    path.write_bytes(b"\2" * SIZE)


@pytest.mark.parametrize("write", [
    _in_place, _in_place_with_its_old_time, _replaced_by_one_of_the_same_size_and_time, _written_anew,
])
@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
def test_a_write_is_noticed_at_once(tmp_path: Path, big: Path, write: Callable[[Path], None], kept: bool) -> None:
    of = known(tmp_path)
    for _ in range(5):
        of.digest(str(big))
        if kept:
            of.save()
            of = known(tmp_path)
        write(big)
        assert of.digest(str(big))[0] == sha256(big)
        big.write_bytes(b"\1" * SIZE)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is trusted; where a machine has none, one that is not."""
    places = [tmp_path, Path("/var/tmp"), Path.cwd()]
    place = next((one for one in places if os.access(one, os.W_OK) and on_disk(one.stat().st_dev)), tmp_path)
    found = place / f".provision-known-{os.getpid()}"
    found.mkdir()
    yield found
    for one in found.iterdir():
        one.unlink()
    found.rmdir()


def test_a_write_to_a_mapped_file_is_noticed_even_between_two_looks(disk: Path) -> None:
    big = disk / "mapped"
    big.write_bytes(b"\1" * SIZE)
    of = Known(str(disk / "known.json"))
    with big.open("r+b") as file, mmap.mmap(file.fileno(), SIZE) as mapped:
        for number in range(5):
            mapped[100] = number  # the page is dirty, and mapped for writing, when the file is read
            of.digest(str(big))
            mapped[100] = number + 10
            assert of.digest(str(big))[0] == hashlib.sha256(mapped[:]).hexdigest()


def test_what_was_changed_a_moment_ago_is_read_when_that_moment_is_over(tmp_path: Path, big: Path) -> None:
    of = known(tmp_path)
    for number in range(20):
        big.write_bytes(bytes([number]) * SIZE)
        of.digest(str(big))
        big.write_bytes(bytes([number + 100]) * SIZE)
        assert of.digest(str(big))[0] == sha256(big)


def test_what_lies_on_the_file_system_of_someone_else_is_read_each_time(tmp_path: Path, big: Path) -> None:
    of = Known(str(tmp_path / "known.json"), trusted=lambda _device: False)
    for _ in range(2):
        before = bytes_read()
        assert of.digest(str(big)) == (sha256(big), SIZE)
        assert bytes_read() - before >= 2 * SIZE
    of.save()
    assert not (tmp_path / "known.json").exists()


def test_only_disks_of_this_kernel_are_trusted() -> None:
    assert not on_disk(os.stat("/proc").st_dev)
    assert not on_disk(os.stat("/dev/shm").st_dev)
    assert not on_disk(os.makedev(4095, 77))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"/a": 1}', '{"/a": [["x"], "y"]}'])
def test_a_damaged_record_is_made_again(tmp_path: Path, big: Path, text: str) -> None:
    (tmp_path / "known.json").write_text(text)
    assert known(tmp_path).digest(str(big)) == (sha256(big), SIZE)


def test_what_is_gone_is_forgotten(tmp_path: Path, big: Path) -> None:
    of = known(tmp_path)
    of.digest(str(big))
    big.unlink()
    of.save()
    assert (tmp_path / "known.json").read_text() == "{}"


def test_small_files_are_always_read(tmp_path: Path) -> None:
    host = Host(Machine(), Store(str(tmp_path / "state")))
    small = tmp_path / "small"
    small.write_bytes(b"1")
    assert host.digest(str(small)).sha256 == sha256(small)
    host.store.remember()
    assert not (tmp_path / "state").exists()


def test_a_file_that_is_read_by_many_at_once_is_right_for_each(tmp_path: Path, big: Path) -> None:
    import threading

    of, said = known(tmp_path), []
    threads = [threading.Thread(target=lambda: said.append(of.digest(str(big))[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(said) == {sha256(big)} and len(said) == 4


def test_waiting_for_the_next_tick_is_short(tmp_path: Path, big: Path) -> None:
    of = known(tmp_path)
    big.touch()
    began = time.monotonic()
    of.digest(str(big))
    assert time.monotonic() - began < 2
