"""The lease: one holder, known by name, waited for, taken over when it is gone, never mistaken for another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from personaplex_provision.agent import lease as leases
from personaplex_provision.agent import unlock
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Store
from personaplex_provision.runs.holder import described

WHO = {"who": "alice@pc1", "run": "r1", "purpose": "apply", "playbook": "/x/site.yml"}
HOLD = """
import sys, time
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Store
assert Lease(Store(sys.argv[1])).take({"who": "alice@pc1", "run": "r1"}) is None
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "state"))


def holding(store: Store) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, store.root], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_lease_says_who_holds_it_for_what_and_from_where(store: Store) -> None:
    lease = Lease(store)
    lease.take(WHO)
    holder = Lease(store).take({"who": "bob@pc2", "run": "r2"}) or {}
    assert {**WHO, "host": "pc1", "pid": os.getpid(), "alive": True}.items() <= holder.items()
    said = described(holder)
    assert said.startswith("alice@pc1, run r1, apply of site.yml since ") and said.endswith(f", process {os.getpid()}")
    lease.free()


def test_a_run_that_ended_well_is_not_taken_over(store: Store) -> None:
    first, second = Lease(store), Lease(store)
    first.take(WHO)
    first.free()
    assert second.take({"who": "bob@pc2"}) is None and second.previous is None
    second.free()


def test_a_killed_holder_is_taken_over_from_by_name(store: Store) -> None:
    process = holding(store)
    process.kill()
    process.communicate()
    lease = Lease(store)
    assert lease.take({"who": "bob@pc2", "run": "r2"}) is None
    assert lease.previous is not None
    assert (lease.previous["who"], lease.previous["pid"], lease.previous["alive"]) == ("alice@pc1", process.pid, False)
    assert described(lease.previous).endswith(f"process {process.pid}, which is gone")
    lease.free()


def test_what_a_dead_holder_left_is_still_to_be_taken_over_after_one_who_did_not_settle_it(store: Store) -> None:
    process = holding(store)
    process.kill()
    process.communicate()
    for _ in range(2):
        lease = Lease(store)
        assert lease.take({"who": "bob@pc2", "run": "prune"}) is None
        assert lease.previous is not None and lease.previous["run"] == "r1"
        lease.free(settled=False)
    lease = Lease(store)
    lease.take({"who": "bob@pc2", "run": "r2"})
    lease.free()
    assert lease.take(WHO) is None and lease.previous is None
    lease.free()


def test_who_waits_is_told_once_for_whom_and_gets_the_host(store: Store) -> None:
    first, told = Lease(store), list[str]()
    first.take(WHO)
    threading.Timer(0.6, first.free).start()
    second = Lease(store)
    assert second.take({"who": "bob@pc2"}, 30.0, lambda holder: told.append(holder["who"])) is None
    assert told == ["alice@pc1"] and second.previous is None
    second.free()


def test_waiting_ends_when_the_one_who_waits_is_stopped(store: Store) -> None:
    first, stop = Lease(store), threading.Event()
    first.take(WHO)
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    assert Lease(store).take({"who": "bob@pc2"}, 60.0, stop=stop) is not None
    assert time.monotonic() - began < 30
    first.free()


def test_looking_at_a_lease_keeps_no_run_out(store: Store) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            Lease(store).held()

    lease = Lease(store)
    lease.take(WHO)
    lease.free()
    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(30):
            assert lease.take(WHO) is None
            lease.free()
    finally:
        done.set()
        thread.join()


def test_a_holder_that_stands_still_is_said_not_to_move(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, past = Lease(store), time.time() - 95
    monkeypatch.setattr(leases, "BEAT", 600.0)
    lease.take(WHO)
    os.utime(store.path("lock"), (past, past))
    assert "which has not moved for 9" in described(lease.holder() or {})
    lease.free()
    monkeypatch.setattr(leases, "BEAT", 0.05)
    lease.take(WHO)
    os.utime(store.path("lock"), (past, past))
    deadline = time.monotonic() + 30
    while (lease.holder() or {})["quiet"] > 1:
        assert time.monotonic() < deadline, "the holder's heart does not beat"
        time.sleep(0.02)
    assert "moved" not in described(lease.holder() or {})
    lease.free()


def test_a_process_that_was_given_the_number_since_is_never_ended(store: Store) -> None:
    process = holding(store)
    try:
        found = json.loads(Path(store.path("lock")).read_text())
        Path(store.path("lock")).write_text(json.dumps({**found, "start": "another boot"}) + "\n")
        with pytest.raises(ResourceError, match="not on it"):
            unlock.free(store, {"run": "r1", "timeout": 0, "force": True})
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_only_the_run_that_was_seen_is_ended(store: Store) -> None:
    process = holding(store)
    assert unlock.free(store, {"run": "another", "timeout": 0, "force": True})["how"] == "held"
    assert process.poll() is None
    # This holder knows no SIGUSR1, which ends it: as good as dead for whoever asks.
    assert unlock.free(store, {"run": "r1", "timeout": 30})["how"] == "stopped"
    assert process.wait(30) == -signal.SIGUSR1
    process.communicate()
    assert unlock.free(store, {"run": "r1", "timeout": 0})["how"] == "free"
