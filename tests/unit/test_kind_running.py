"""What command, shell, script and wait_for run, report and refuse."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.step import Outcome, apply
from personaplex_provision.agent.store import Store
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.schema import validate


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Machine(), Store(str(tmp_path / "store")))


def applied(host: Host, kind: str, params: Any) -> Outcome:
    stock = Stock()
    resource = validate(kind, params, stock=stock)
    for data in stock.blobs.values():
        host.store.put(data)
    return apply(resource, host, lambda _: None)


def test_a_command_reports_what_ansible_reports(host: Host) -> None:
    found = applied(host, "command", "printf 'a\\n b\\n\\n'")
    assert found.changed
    assert found.action == "run"
    assert {key: found.result[key] for key in ("rc", "cmd", "stdout", "stdout_lines", "stderr_lines")} == {
        "rc": 0, "cmd": ["printf", "a\\n b\\n\\n"], "stdout": "a\n b", "stdout_lines": ["a", " b"], "stderr_lines": [],
    }
    assert found.result["delta"].startswith("0:00:0")


def test_a_command_has_no_shell_and_a_shell_has_one(host: Host) -> None:
    assert applied(host, "command", "echo a | cat").result["stdout"] == "a | cat"
    assert applied(host, "shell", "echo a | cat -A").result["stdout"] == "a$"


def test_a_failure_tells_the_end_of_what_was_said(host: Host) -> None:
    with pytest.raises(ResourceError, match="sh exited with 3") as caught:
        applied(host, "shell", "echo before; echo why >&2; exit 3")
    assert caught.value.detail == "why"
    assert caught.value.result["rc"] == 3
    assert caught.value.result["stdout"] == "before"


@pytest.mark.parametrize(("params", "runs"), [
    ({"creates": "{dir}/made"}, False),
    ({"creates": "{dir}/m*e"}, False),
    ({"creates": "m?de", "chdir": "{dir}"}, False),
    ({"creates": "{dir}/other"}, True),
    ({"creates": "{dir}/x*"}, True),
    ({"removes": "{dir}/made"}, True),
    ({"removes": "{dir}/*/none"}, False),
])
def test_creates_and_removes_decide_whether_to_run(
    host: Host, tmp_path: Path, params: dict[str, str], runs: bool,
) -> None:
    (tmp_path / "made").write_text("")
    given = {key: value.replace("{dir}", str(tmp_path)) for key, value in params.items()}
    assert applied(host, "command", {"cmd": "true", **given}).changed is runs


def test_a_plan_knows_that_an_earlier_task_makes_what_creates_names(host: Host, tmp_path: Path) -> None:
    planned = PlanningHost(host, Prediction(), "earlier")
    planned.mkdir(f"{tmp_path}/later")
    resource = validate("command", {"cmd": "true", "creates": f"{tmp_path}/lat*"})
    assert resource.diff(resource.observe(planned)) == []


def test_standard_input_ends_with_a_newline_unless_told_otherwise(host: Host) -> None:
    assert applied(host, "command", {"cmd": "wc -l", "stdin": "x"}).result["stdout"] == "1"
    assert applied(host, "command", {"cmd": "wc -l", "stdin": "x", "stdin_add_newline": False}).result["stdout"] == "0"


def test_variables_in_arguments_come_from_the_task(host: Host) -> None:
    host.environment = {"WHO": "lab"}
    params: dict[str, Any] = {"argv": ["echo", "$WHO", "${WHO}s", "$NOBODY_KNOWS"]}
    assert applied(host, "command", params).result["stdout"] == "lab labs $NOBODY_KNOWS"
    assert applied(host, "command", {**params, "expand_argument_vars": False}).result["stdout"].startswith("$WHO")


def test_a_script_gets_its_arguments_and_leaves_nothing_behind(host: Host) -> None:
    found = applied(host, "script", {"cmd": "files/a.sh 'x y'", "content": "#!/bin/sh\necho \"$1\" $0\n"})
    text, _, path = found.result["stdout"].rpartition(" ")
    assert text == "x y"
    assert not Path(path).exists()


def test_a_script_is_read_by_the_program_that_it_names(host: Host) -> None:
    found = applied(host, "script", {"cmd": "a.awk", "content": "#!/usr/bin/env sh\necho $((6 * 7))\n"})
    assert found.result["stdout"] == "42"


def test_waiting_ends_when_the_port_says_what_was_asked_for(host: Host) -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            for greeting in (b"starting\n", b"ready 7\n"):
                link, _ = server.accept()
                with link:
                    link.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        params = {"port": port, "search_regex": r"^ready (\d)", "sleep": 0.05, "timeout": 10, "connect_timeout": 1}
        found = applied(host, "wait_for", params)
        thread.join()
    assert not found.changed
    assert found.result["match_groups"] == ["7"]


def test_waiting_too_long_fails_with_what_was_waited_for(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="none present did not happen within"):
        applied(host, "wait_for", {"path": f"{tmp_path}/none", "state": "present", "timeout": 0.1, "sleep": 0.05})


def test_a_condition_that_does_not_hold_is_named(host: Host) -> None:
    with pytest.raises(ResourceError, match="too small") as caught:
        applied(host, "assert", {"that": ["a", "b > 2"], "results": [True, False], "fail_msg": "too small"})
    assert caught.value.result["assertion"] == "b > 2"
