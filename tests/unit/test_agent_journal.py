"""The journal and the lease: what was written is read again, what was torn is not, and one run holds the host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision.agent import journal as journals
from personaplex_provision.agent import recovery
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.session import Session
from personaplex_provision.agent.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "state"))


def written(store: Store, *types: str) -> Path:
    """A journal with records of these types; its file."""
    journal = Journal(store, "r1")
    for number, one in enumerate(types):
        journal.write(one, number=number, text="ünïcode \udcff\n")
    journal.close()
    return Path(store.path("runs", "r1", "journal.jsonl"))


def types(store: Store) -> list[str]:
    return [one["type"] for one in journals.read(store, "r1")]


def test_records_are_read_as_they_were_written(store: Store) -> None:
    written(store, "run_start", "intent", "run_end")
    found = journals.read(store, "r1")
    assert [one["type"] for one in found] == ["run_start", "intent", "run_end"]
    assert found[1]["text"] == "ünïcode \udcff\n" and found[1]["number"] == 1


@pytest.mark.parametrize("closed", ["ok", "rolled back", ""])
@pytest.mark.parametrize("torn", [0, 7, 200])
def test_what_a_run_left_behind_is_the_same_read_in_full_and_skimmed(store: Store, closed: str, torn: int) -> None:
    journal = Journal(store, "r1")
    journal.write("run_start", run="r1", owed=["from before"])
    for task, owed, handler in (("a", ["reload"], ""), ("b", [], ""), ("h", [], "from before"), ("c", ["x", "y"], "")):
        journal.write("intent", task=task, name=task, owed=owed)
        journal.write("task_end", task=task, owed=owed, outcome="changed", handler=handler)
    journal.write("intent", task="d", name="d", owed=["z"])
    if closed:
        journal.write("run_end", outcome=closed)
    journal.close()
    path = Path(journal.path)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - torn])
    session = Session(Channel(None), store.root)
    records = journals.read(store, "r1")
    assert recovery.left(session) == (recovery.unfinished(records), recovery.owed(records))
    assert recovery.owed(records)


def test_only_its_owner_reads_a_journal(store: Store) -> None:
    path = written(store, "run_start")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Path(store.root).stat().st_mode & 0o777 == 0o700


def test_every_torn_tail_costs_the_last_record_and_no_other(store: Store) -> None:
    path = written(store, "run_start", "intent")
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        assert types(store) == ["run_start"], f"cut at {length} of {len(whole)}"


def test_a_damaged_record_ends_the_list(store: Store) -> None:
    path = written(store, "run_start", "intent", "task_end")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"intent", b"intenT")
    path.write_bytes(b"".join(lines))
    assert types(store) == ["run_start"]


def test_what_is_written_after_a_torn_tail_is_read(store: Store) -> None:
    path = written(store, "run_start", "intent")
    path.write_bytes(path.read_bytes()[:-5])
    written(store, "run_end")
    assert types(store) == ["run_start", "run_end"]


@pytest.mark.parametrize("line", [b"", b"\n", b"zzzzzzzz {}\n", b"00000000 {}\n", b"deadbeef", b"0" * 40 + b"\n"])
def test_what_is_no_record_is_none(line: bytes) -> None:
    assert journals.decode(line) is None


def test_a_record_is_an_object(store: Store) -> None:
    del store
    line = journals.encode({"type": "x"})
    assert journals.decode(line) == {"type": "x"}
    import zlib

    body = json.dumps([1]).encode()
    assert journals.decode(b"%08x " % zlib.crc32(body) + body + b"\n") is None


def test_all_that_a_command_may_change_is_on_the_disk_before_it_runs_and_with_one_sync(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Journal(store, "r1")
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    told: list[tuple[str, int]] = []
    journal.listen(lambda record, number: told.append((record["type"], number)))
    host = Host(Machine(), store, record=lambda taken: journal.images("a task", taken))
    paths = [str(tmp_path / name) for name in "abc"]
    said = host.run(["cat", journal.path], touches=paths).stdout.encode()
    assert [(journals.decode(line) or {})["image"]["path"] for line in said.splitlines(True)] == paths
    assert synced == [len(said)]
    assert told == [("image", 1), ("image", 2), ("image", 3)]
    host.run(["true"], touches=paths)
    assert synced == [len(said)]


def test_a_journal_tells_whoever_listens(store: Store) -> None:
    told: list[tuple[str, int]] = []
    journal = Journal(store, "r1")

    def listen(record: Record, number: int) -> None:
        told.append((record["type"], number))

    journal.listen(listen)
    journal.write("run_start", sync=True)
    journal.write("task_start")
    journal.close()
    assert told == [("run_start", 1), ("task_start", 2)]


def test_one_run_holds_the_host_and_says_who_it_is(store: Store) -> None:
    lease = Lease(store)
    assert lease.take({"who": "me", "run": "r1"}) is None
    holder = Lease(store).take({"who": "you"})
    assert holder is not None and (holder["who"], holder["run"], holder["pid"]) == ("me", "r1", os.getpid())
    lease.free()
    assert Lease(store).take({"who": "you"}) is None


def test_a_lease_is_waited_for(store: Store) -> None:
    lease = Lease(store)
    lease.take({"who": "me"})
    assert Lease(store).take({"who": "you"}, patience=0.3) is not None
    lease.free()
    lease.free()


def test_a_lease_whose_holder_died_is_free(store: Store) -> None:
    code = (
        "import os, sys; from personaplex_provision.agent.lease import Lease; "
        "from personaplex_provision.agent.store import Store; "
        "assert Lease(Store(sys.argv[1])).take({'who': 'gone'}) is None; os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, store.root], check=False).returncode == 9
    lease = Lease(store)
    assert (lease.holder() or {})["who"] == "gone"
    assert lease.take({"who": "me"}) is None


def test_a_lock_file_of_nonsense_holds_nobody(store: Store) -> None:
    store.directory()
    Path(store.path("lock")).write_text("[nonsense")
    assert Lease(store).holder() is None
    assert Lease(store).take({"who": "me"}) is None
