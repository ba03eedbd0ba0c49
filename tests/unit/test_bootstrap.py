"""From a byte stream to a running agent, and every way in which that fails."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors import bootstrap, bundle
from personaplex_provision.executors.base import Connection, Link, connection_of
from personaplex_provision.executors.bootstrap import argv, open_channel, start_agent
from personaplex_provision.executors.failures import PythonMissingError
from personaplex_provision.executors.local import ProcessStream, start_process

from .interpreters import interpreters


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is built once for all the tests."""
    path = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


def talk(stream: ProcessStream) -> dict[str, object]:
    channel = open_channel(stream, 20)
    channel.send({"type": "ping", "n": 7})
    answer = channel.receive(10)
    channel.close()
    assert isinstance(answer, dict)
    return answer


def failure(command: list[str], timeout: float = 10) -> UnreachableError:
    stream = ProcessStream(command)
    with pytest.raises(UnreachableError) as caught:
        open_channel(stream, timeout, where="web1")
    stream.abort()
    return caught.value


def test_the_command_passes_every_shell_unchanged() -> None:
    words = argv("/usr/bin/python3", ready=123456)
    assert not set("".join(words)) & set("\"'$`!%^&|<>\\*?~#{}\n")
    assert shlex.split(shlex.join(words)) == words
    assert subprocess.list2cmdline(words).count('"') == 2


def test_the_first_stage_has_the_size_that_the_command_reads() -> None:
    assert len(bootstrap.STAGE) == bootstrap.SIZE
    compile(bootstrap.STAGE, "stage", "exec")


@pytest.mark.parametrize("version", sorted(interpreters()))
def test_the_agent_starts_on_every_supported_python(version: str) -> None:
    assert talk(ProcessStream(argv(interpreters()[version])))["type"] == "pong"


def test_the_second_start_on_another_python_sends_the_right_form_at_once() -> None:
    others = [path for path in interpreters().values() if path != sys.executable]
    if not others:
        pytest.skip("there is only one Python here")
    connection = connection_of("other", {"ansible_connection": "local", "ansible_python_interpreter": others[0]})
    seat = bootstrap.seat_of(connection)
    assert bootstrap.Start("other", seat=seat).form == bundle.tag()
    start_agent(connection).close()
    assert bootstrap.Start("other", seat=seat).form == "source"


def test_a_greeting_is_answered_without_another_word() -> None:
    for path in list(interpreters().values())[:2]:
        connection = connection_of("here", {"ansible_connection": "local", "ansible_python_interpreter": path})
        agent = start_agent(connection, [{"type": "ping", "n": 1}, {"type": "ping", "n": 2}])
        assert [agent.channel.receive(10) for _ in range(2)] == [{"type": "pong", "n": 1}, {"type": "pong", "n": 2}]
        assert agent.python.uid == os.getuid()
        agent.close()


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    names = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    environment = {name: str(tmp_path) for name in names} | {"PATH": os.environ["PATH"]}
    stream = ProcessStream(["env", "-C", str(tmp_path), *argv(sys.executable)], environment)
    assert talk(stream)["type"] == "pong"
    assert list(tmp_path.iterdir()) == []


def test_what_a_login_shell_prints_first_is_passed_over() -> None:
    noise = "Welcome\nready\nprovision\n\\000\\377" * 200
    script = f"printf '{noise}'; echo trouble >&2; exec \"$@\""
    assert talk(ProcessStream(["sh", "-c", script, "sh", *argv(sys.executable)]))["n"] == 7


def engine(main: str) -> Channel:
    """An agent whose conversation is `main`, started by the real first stage."""
    sources = bundle._sources()
    sources["personaplex_provision.agent.main"] = (False, main.encode())
    data = bundle.build(sources, compiled=True)
    stream = ProcessStream(argv(sys.executable))
    start = bootstrap.Start("test")
    header = f"{start.nonce} {bundle.tag()} {len(data)} 0".ljust(128).encode()
    stream.write(bootstrap.STAGE + header + data)
    return start.finish(stream, 20)[0]


def test_a_chatty_child_cannot_corrupt_or_read_the_conversation() -> None:
    channel = engine("""
import os, sys
def serve(channel):
    print("from python", flush=True)
    os.system("echo from a child; echo more >&2")
    taken = os.popen("cat").read()
    channel.send({"taken": taken, "got": channel.receive()})
""")
    channel.send({"n": 1})
    assert channel.receive(10) == {"taken": "", "got": {"n": 1}}
    assert isinstance(channel.stream, ProcessStream)
    channel.stream.errors.settle(5)
    assert channel.stream.stderr_tail().splitlines() == ["from python", "from a child", "more"]
    channel.close()


def test_no_child_inherits_the_conversation() -> None:
    channel = engine("""
import subprocess
def serve(channel):
    shown = subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
    channel.send({"open": shown.split()})
""")
    answer = channel.receive(10)
    assert isinstance(answer, dict) and not [one for one in answer["open"] if int(one) >= 64]
    channel.close()


def test_modules_are_imported_from_memory_and_tracebacks_say_where() -> None:
    channel = engine("""
import traceback
from personaplex_provision.agent import task
def serve(channel):
    try:
        task.Task.from_json({"no such field": 1})
    except TypeError:
        channel.send({"text": traceback.format_exc(), "names": type(task.__loader__).__name__})
""")
    answer = channel.receive(10)
    assert isinstance(answer, dict)
    assert "personaplex_provision/agent/task.py" in answer["text"] and answer["names"] == "Memory"
    channel.close()


def test_a_missing_python_names_the_command_that_installs_it() -> None:
    for command in (["sh", "-c", "exec python3-that-is-not-there"], ["env", "python3-that-is-not-there"]):
        error = failure(command)
        assert isinstance(error, PythonMissingError)
        assert "sudo apt-get install -y python3" in str(error) and "--install-python" in str(error)
        assert str(error).startswith("error: web1: ")


def test_a_python_that_is_too_old_is_named_by_its_version() -> None:
    words = argv(sys.executable)
    words[-1] = "import sys;sys.version_info=(3,6,8,'final',0);" + words[-1]
    assert "3.6.8" in str(failure(words)) and "3.9" in str(failure(words))


def test_an_incomplete_python_names_the_missing_module() -> None:
    words = argv(sys.executable)
    words[-1] = "import os,sys;sys.meta_path.clear();del sys.modules['marshal'];" + words[-1]
    assert "has no marshal" in str(failure(words))


def test_what_the_shell_printed_is_shown_when_nothing_starts() -> None:
    text = str(failure(["sh", "-c", "echo '/etc/profile: line 3: syntax error' >&2; exit 3"]))
    assert "/etc/profile: line 3: syntax error" in text and "status 3" in text


def test_a_shell_that_echoes_is_not_taken_for_an_agent() -> None:
    assert "did not answer" in str(failure(["cat"], timeout=1.0))


def test_silence_ends_in_time_and_ends_the_process() -> None:
    stream = ProcessStream(["sleep", "600"])
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="did not answer in time"):
        open_channel(stream, 0.3)
    stream.abort()
    assert time.monotonic() - began < 3 and stream.exit_status is not None


def test_endless_noise_is_refused() -> None:
    assert "prints without end" in str(failure(["sh", "-c", "yes"], timeout=1.0))


SUDO = """#!/bin/sh
# Stands in for sudo: the same options, prompt on standard error, password from standard input, a byte at a time.
while :; do
    case "$1" in
        -n) if [ "$MODE" != free ]; then echo "sudo: a password is required" >&2; exit 1; fi;;
        -p) prompt=$2; shift;;
        -u) shift;;
        --) shift; break;;
    esac
    shift
done
if [ "$MODE" != free ]; then
    printf '%s' "$prompt" >&2
    read -r given
    if [ "$given" != "$RIGHT" ]; then
        echo "Sorry, try again." >&2; printf '%s' "$prompt" >&2; read -r given
    fi
    [ "$given" = "$RIGHT" ] || { echo "sudo: 2 incorrect password attempts" >&2; exit 1; }
fi
exec "$@"
"""


class NotRoot:
    """This machine, for a user who is not root and whose sudo is the stand-in."""

    user = "ann"

    def __init__(self, connection: Connection, directory: Path, mode: str) -> None:
        self.connection = connection
        program = directory / "sudo"
        program.write_text(SUDO)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = f"{directory}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "MODE": mode, "RIGHT": "s3cret word"}

    def open(self, command: Sequence[str], stdin_first: bytes = b"") -> ProcessStream:
        return start_process(["env", *command], self.connection, stdin_first, self.environment)

    def close(self) -> None:
        pass


def become(directory: Path, mode: str, password: str | None) -> bootstrap.Agent:
    link = Link(become=True, become_password=Secret(password, "sudo") if password else None)
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    connection = connection_of("web1", variables, link)
    return start_agent(connection, [{"type": "ping"}], NotRoot(connection, directory, mode))


@pytest.mark.parametrize("mode", ["asks", "free"])
def test_the_password_is_given_when_sudo_asks_and_only_then(tmp_path: Path, mode: str) -> None:
    agent = become(tmp_path, mode, "s3cret word")
    assert agent.channel.receive(10) == {"type": "pong"}
    assert isinstance(agent.channel.stream, ProcessStream) and "s3cret" not in agent.channel.stream.stderr_tail()
    agent.close()


def test_sudo_without_a_password_needs_none(tmp_path: Path) -> None:
    agent = become(tmp_path, "free", None)
    assert agent.channel.receive(10) == {"type": "pong"}
    agent.close()


def test_a_wrong_password_is_said_to_be_wrong(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="refused the password"):
        become(tmp_path, "asks", "guess")


def test_a_password_that_is_wanted_and_not_there_is_asked_for_with_k(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"(?s)sudo wants a password.*-K"):
        become(tmp_path, "asks", None)


def test_starting_imports_no_library_that_it_does_not_need() -> None:
    code = (
        "import sys, personaplex_provision.executors.base as b, personaplex_provision.executors.bootstrap as s;"
        "s.start_agent(b.connection_of('localhost', {})).close();"
        "print(sorted({'paramiko', 'networkx', 'jinja2', 'pydantic', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
