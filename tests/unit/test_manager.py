"""D-Bus as it stands on the wire, over a real socket pair, and systemd's manager asked by it or left to systemctl."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from personaplex_provision.agent import dbus
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.manager import Manager
from personaplex_provision.agent.resources import _units as units
from tests.unit.kind_host import Life

GET = ("/a/b", "org.freedesktop.DBus.Properties", "Get", ("some.Unit", "Job"))
AUTH = b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n"


def reply(to: int, signature: str, body: bytes, kind: int = 2) -> bytes:
    """A message in little endian, as a peer sends it."""
    sign = bytes([8, 1, ord("g"), 0, len(signature)]) + signature.encode() + b"\0"
    fields = bytes([5, 1, ord("u"), 0]) + to.to_bytes(4, "little") + sign
    lengths = [len(body), 7, len(fields)]
    head = b"l" + bytes([kind, 0, 1]) + b"".join(one.to_bytes(4, "little") for one in lengths)
    return head + fields + b"\0" * (-len(fields) % 8) + body


def text(value: str) -> bytes:
    """A variant that holds a string."""
    return b"\1s\0\0" + len(value).to_bytes(4, "little") + value.encode() + b"\0"


@contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[dbus.Connection]:
    """A connection to somebody who lets in and then does as `serve`."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        heard = b""
        while len(heard) < len(AUTH):
            heard += theirs.recv(len(AUTH) - len(heard))
        assert heard == AUTH
        theirs.sendall(b"OK 0123\r\n")
        serve(theirs)

    thread = threading.Thread(target=answer)
    thread.start()
    with ours, theirs:
        yield dbus.Connection(ours)
        ours.close()
        thread.join()


def test_a_call_is_the_bytes_that_the_specification_says() -> None:
    if sys.byteorder != "little":
        pytest.skip("the bytes are in the machine's order")
    assert dbus.call(1, "x.y", "/a", "i.f", "Get", ("s", "tt")) == (
        b"l\1\0\1" b"\x0f\0\0\0" b"\1\0\0\0" b"\x48\0\0\0"
        b"\1\1o\0" b"\2\0\0\0/a\0" b"\0\0\0\0\0"
        b"\2\1s\0" b"\3\0\0\0i.f\0" b"\0\0\0\0"
        b"\3\1s\0" b"\3\0\0\0Get\0" b"\0\0\0\0"
        b"\6\1s\0" b"\3\0\0\0x.y\0" b"\0\0\0\0"
        b"\x08\1g\0" b"\2ss\0"
        b"\1\0\0\0s\0" b"\0\0" b"\2\0\0\0tt\0"
    )


def test_values_of_every_type_are_read_wherever_they_are_aligned() -> None:
    kinds = "ybnix(uo)as"
    data = (
        b"\7" b"\0\0\0" b"\1\0\0\0" b"\xff\xff" b"\0\0" b"\xfe\xff\xff\xff" + b"\xfd" + b"\xff" * 7
        + b"\5\0\0\0" b"\1\0\0\0/\0" b"\0\0" + b"\x0e\0\0\0" b"\1\0\0\0a\0" b"\0\0" b"\1\0\0\0b\0"
    )
    fields, values = dbus.message(reply(3, kinds, data))
    assert fields[5] == 3
    assert values == [7, True, -1, -2, -3, [5, "/"], ["a", "b"]]


def test_messages_may_come_in_any_pieces_and_order_and_others_between_them() -> None:
    def serve(theirs: socket.socket) -> None:
        theirs.recv(4096)
        signal = reply(0, "s", b"\1\0\0\0x\0", 4)
        for one in signal + reply(2, "v", text("two")) + reply(1, "v", text("one")):
            theirs.send(bytes([one]))

    with peer(serve) as connection:
        assert connection.ask("x.y", [GET, GET]) == [["one"], ["two"]]


@pytest.mark.parametrize("answer", [
    pytest.param(reply(1, "s", b"\4\0\0\0nope\0", 3), id="an error"),
    pytest.param(reply(1, "s", b"\xff\0\0\0nope\0"), id="a text that goes beyond the end"),
    pytest.param(reply(1, "z", b"\0\0\0\0"), id="an unknown type"),
    pytest.param(reply(1, "(s", b"\0" * 16), id="a struct without an end"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="no message"),
    pytest.param(b"l\2\0\1\xff\xff\xff\xff" + b"\0" * 8, id="too large"),
    pytest.param(b"", id="nothing"),
])
def test_what_is_not_understood_is_refused(answer: bytes) -> None:
    def serve(theirs: socket.socket) -> None:
        theirs.recv(4096)
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)

    with peer(serve) as connection, pytest.raises(dbus.Unexpected):
        connection.ask("x.y", [GET])


def test_a_peer_that_lets_nobody_in_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(dbus.Unexpected, match="not let in"):
        theirs.sendall(b"REJECTED EXTERNAL\r\n")
        dbus.Connection(ours)


class Systemd:
    """Says of every unit the same, at a socket of its own; each connection hears `answers` and is then hung up on."""

    def __init__(self, path: Path, answers: list[list[bytes]]) -> None:
        self.path = str(path)
        self.asked = 0
        self._answers = answers
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._answers:
            peer, _ = self._listening.accept()
            with peer:
                assert peer.recv(4096) == AUTH
                peer.sendall(b"OK 1\r\n")
                for one in answers:
                    peer.recv(4096)
                    self.asked += 1
                    peer.sendall(one)

    def close(self) -> None:
        """Waits until everything was asked."""
        self._thread.join(10)
        self._listening.close()


def test_the_manager_answers_as_systemctl_prints(tmp_path: Path) -> None:
    job = b"\4(uo)\0" + b"\0\0" + b"\0\0\0\0" + b"\1\0\0\0/\0"
    yes = b"\1b\0\0\1\0\0\0"
    systemd = Systemd(tmp_path / "s", [[
        reply(1, "v", job) + reply(2, "v", text("loaded")) + reply(3, "v", yes) + reply(4, "v", text("simple")),
    ]])
    said = Manager(systemd.path).show("web.service", ["Job", "LoadState", "NeedDaemonReload", "Type"])
    systemd.close()
    assert said == "Job=\nLoadState=loaded\nNeedDaemonReload=yes\nType=simple\n"


def test_one_connection_serves_until_it_ends_and_then_another_does(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path / "s", [
        [reply(1, "v", text("a")), reply(2, "v", text("b"))], [reply(1, "v", text("c"))],
    ])
    manager = Manager(systemd.path)
    assert [manager.show("web.service", ["LoadState"]) for _ in range(3)] == [
        f"LoadState={one}\n" for one in "abc"]
    systemd.close()
    assert systemd.asked == 3


def test_nobody_is_listened_to_once_something_may_change(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path / "s", [[reply(1, "v", text("a"))], [reply(1, "v", text("b"))]])
    machine = Machine()
    machine._manager = Manager(systemd.path)
    assert machine.manager.show("web.service", ["LoadState"]) == "LoadState=a\n"
    machine.forget()
    assert machine.manager._connection is None
    assert machine.manager.show("web.service", ["LoadState"]) == "LoadState=b\n"
    systemd.close()


def test_a_manager_that_is_slow_to_answer_keeps_nobody_else_from_their_work(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        machine = Machine()
        said: list[str | None] = []
        machine._manager = Manager(str(path))
        asking = threading.Thread(target=lambda: said.append(machine.manager.show("web.service", ["LoadState"])))
        asking.start()
        peer, _ = listening.accept()
        machine.forget()
        assert asking.is_alive()
        peer.close()
        asking.join(10)
        assert said == [None]


@pytest.mark.parametrize("unit", ["web@.service", "a b.service", "web", "/dev/sda", "web.*", "a" * 260 + ".service"])
def test_a_name_that_systemctl_would_make_another_of_is_left_to_it(tmp_path: Path, unit: str) -> None:
    assert Manager(str(tmp_path / "not there")).show(unit, ["LoadState"]) is None


def test_without_an_answer_it_is_left_to_systemctl(tmp_path: Path) -> None:
    refused = reply(1, "s", b"\4\0\0\0nope\0", 3)
    systemd = Systemd(tmp_path / "s", [[refused], [refused], [refused]])
    manager = Manager(systemd.path)
    assert manager.show("web.service", ["LoadState"]) is None
    assert manager.cat("web.service") is None
    assert manager.stale() is None
    systemd.close()
    assert Manager(str(tmp_path / "not there")).show("web.service", ["LoadState"]) is None


def test_another_systemctl_or_scope_or_a_way_to_ask_is_never_passed_by(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\necho LoadState=$2\n")
    program.chmod(0o755)
    found = Life(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"}).host()
    assert not units.directly(found, "system")
    assert units.properties(units.show(found, "web.service", "system", ["LoadState"])) == {"LoadState": "show"}
    told = Life(tmp_path, {"SYSTEMCTL_FORCE_BUS": "1"}).host()
    assert not units.directly(told, "system")
    assert not units.directly(Life(tmp_path).host(), "user")
