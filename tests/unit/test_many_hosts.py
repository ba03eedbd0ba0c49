"""Many hosts in one run: what they share changes nothing, none holds up another, little is kept of each."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from personaplex_provision.agent.protocol import decode, encode
from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.profile import Profile
from personaplex_provision.runs.project import open_project

Event = dict[str, Any]
TASKS = """
- name: folder
  file: {path: "PLACE", state: directory}
- name: same for all
  copy: {dest: "PLACE/same", content: "same\\n", mode: "0644"}
  notify: told
- name: own
  copy: {dest: "PLACE/{{ inventory_hostname }}", content: "{{ number }}\\n"}
- name: only here
  copy: {dest: "PLACE/only", content: "x"}
  when: number == 2
- block:
    - name: inside
      copy: {dest: "PLACE/inside", content: "x"}
  when: number < 3
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., tuple[Fleet, list[Event]]]:
    """Makes a fleet of local hosts over a playbook."""

    def make(hosts: dict[str, Any], tasks: str = TASKS, keep: bool = True) -> tuple[Fleet, list[Event]]:
        shared = {"ansible_connection": "local"}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": shared, "hosts": hosts}}))
        play = {"hosts": "all", "tasks": yaml.safe_load(tasks.replace("PLACE", str(tmp_path / "place"))),
                "handlers": [{"name": "told", "debug": {"msg": "told"}}]}
        (tmp_path / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        events: list[Event] = []
        options = Options(inventory=[str(tmp_path / "hosts.yml")])
        return Fleet(open_project(options, str(tmp_path / "site.yml")), events.append, keep=keep), events

    return make


def test_a_host_among_many_gets_the_tasks_it_would_get_alone(
    fleet: Callable[..., tuple[Fleet, list[Event]]],
) -> None:
    def compiled(hosts: dict[str, Any], name: str) -> list[Any]:
        made, _ = fleet(hosts)
        try:
            assert made.plan() == 0
            return [task.to_json() for task in made.hosts[name].parts[0].tasks()]
        finally:
            made.close()

    hosts = {f"h{number}": {"number": number} for number in range(4)}
    for name, own in hosts.items():
        assert compiled(hosts, name) == compiled({name: own}, name)


CLOSED: list[dict[str, Any]] = [
    {"file": {"path": "/srv/a", "state": "directory"}},
    {"name": "same", "copy": {"dest": "/srv/a/same", "content": "same\n", "mode": "0644"}},
    {"name": "other", "file": {"path": "/srv/other", "state": "absent"}},
    {"name": "told", "copy": {"dest": "/srv/a/told", "content": "told\n"}, "notify": ["restart"]},
    {"name": "freed", "command": "true", "requires": []},
    {"name": "secret", "user": {"name": "someone", "password": "one-and-only"}},
    {"name": "asked", "command": "id", "register": "who", "changed_when": False},
    {"name": "checked", "file": {"path": "/srv/b"}, "verify": [{"assert": {"that": ["1 == 1"]}}]},
]
OPEN: list[dict[str, Any]] = [
    {"name": "own", "copy": {"dest": "/srv/{{ inventory_hostname }}", "content": "{{ number }}\n"}},
    {"name": "some", "file": {"path": "/srv/some", "state": "touch"}, "when": "number != 1"},
    {"name": "each", "file": {"path": "/srv/{{ item }}", "state": "touch"}, "loop": "{{ [number, 9] }}"},
    {"name": "after", "command": "echo {{ who.stdout | default('nobody') }}"},
    {"name": "sealed", "copy": {"dest": "/srv/p", "content": "{{ password }}"}},
    {"name": "found", "file": {"path": "/srv/{{ ansible_kernel }}", "state": "absent"}},
    {"include_tasks": "more.yml", "loop": "{{ range(number) | list }}"},
    {"meta": "end_host", "when": "number == 3"},
]


def nodes() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of tasks and blocks; runs of what is the same everywhere are likely."""
    alike = st.sampled_from(CLOSED[:3])
    task = st.one_of(alike, alike, st.sampled_from(CLOSED), st.sampled_from(OPEN))

    def block(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=4)
        bare = st.fixed_dictionaries({"block": some}, optional={
            "when": st.just("number > 0"), "rescue": some, "always": some, "become": st.just(True),
            "tags": st.just(["x"]), "vars": st.just({"who": {"stdout": "me"}}),
        })
        return st.one_of(inner, bare)

    return st.lists(st.recursive(task, block, max_leaves=12), min_size=1, max_size=10)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([CLOSED[0], OPEN[-2], CLOSED[2]], [0, 1, 2])
@given(nodes(), st.lists(st.integers(0, 3), min_size=3, max_size=5))
def test_what_is_sent_to_a_host_is_what_it_would_be_sent_alone(
    tmp_path: Path, tasks: list[dict[str, Any]], numbers: list[int],
) -> None:
    hosts = {f"h{place}": {"number": number, "password": f"secret of {place}"} for place, number in enumerate(numbers)}
    play = {"hosts": "all", "tasks": tasks, "handlers": [{"name": "restart", "command": "true"}]}
    (tmp_path / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    (tmp_path / "more.yml").write_text(yaml.safe_dump(CLOSED[:2]))

    def sent(names: list[str]) -> dict[str, Any]:
        found = {name: hosts[name] for name in names}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": found}}))
        fleet = Fleet(open_project(Options(inventory=[str(tmp_path / "hosts.yml")]), str(tmp_path / "site.yml")), print)
        play, told = fleet.playbook.plays[0], dict[str, Any]()
        for name in names:
            host = fleet._host(name)
            host.hello = {"facts": {"ansible_kernel": name, "ansible_effective_user_id": 0}}
            part = fleet._compile(host, 0, play, fleet._scope(play))
            frame = encode({"type": "plan", **host._load(part)})
            assert host.context is not None
            message = decode(frame[:1], frame[5:])
            assert isinstance(message, dict)
            told[name] = [{key: json.dumps(value) for key, value in message.items()},
                          host.context.stock.secrets, sorted(host.context.stock.blobs), sorted(part.compiled.judges),
                          sorted(part.compiled.again), part.compiled.loops, host.context.results]
        return told

    together = sent(list(hosts))
    for name in hosts:
        assert together[name] == sent([name])[name]


def test_edges_of_equal_graphs_are_made_once_and_secrets_never_shared(
    fleet: Callable[..., tuple[Fleet, list[Event]]], tmp_path: Path,
) -> None:
    same = "- copy: {dest: PLACE, content: x}\n- user: {name: someone, password: '{{ password }}'}\n"
    made, _ = fleet({"a": {"password": "one-and-only"}, "b": {"password": "another-one"}}, same)
    try:
        made.plan()
        one, other = (made.hosts[name].parts[0] for name in "ab")
        assert one.graph.edges is other.graph.edges
        assert one.graph.tasks["copy"] is other.graph.tasks["copy"]
        assert one.graph.tasks["user"] is not other.graph.tasks["user"]
        assert str(tmp_path) in json.dumps(one.graph.tasks["copy"].to_json())
    finally:
        made.close()


def test_a_host_that_never_answers_holds_up_no_other(fleet: Callable[..., tuple[Fleet, list[Event]]]) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # who fills the queue of a server that takes nobody
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        dead = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": silent.getsockname()[1],
                "ansible_timeout": 4, "number": 0}
        made, events = fleet({"dead1": dead, "dead2": dead, "alive": {"number": 1}})
        made.project.options.forks = 1
        began = time.monotonic()
        seen: list[float] = []
        made._report = lambda event: (events.append(event), seen.append(time.monotonic() - began))  # type: ignore
        try:
            made.plan()
        finally:
            made.close()
        planned = next(at for at, event in zip(seen, events, strict=True) if event["type"] == "plan_task")
        gone = next(at for at, event in zip(seen, events, strict=True) if event["type"] == "diagnostic")
        assert planned < gone
        assert made.hosts["dead1"].outcome.unreachable and not made.hosts["alive"].outcome.unreachable


def test_of_hosts_in_state_only_the_outcome_is_kept(fleet: Callable[..., tuple[Fleet, list[Event]]]) -> None:
    tasks = "- file: {path: PLACE, state: absent}\n"
    made, _ = fleet({"a": {}, "b": {}}, tasks, keep=False)
    assert made.plan() == 0
    assert all(host.parts == [] and host._agent is None for host in made.hosts.values())


def test_a_profile_names_phases_tasks_and_the_critical_path(
    fleet: Callable[..., tuple[Fleet, list[Event]]],
) -> None:
    tasks = "".join(f"- name: {name}\n  requires: {after}\n  command: sleep {seconds}\n" for name, after, seconds in (
        ("long", [], 0.4), ("short", [], 0.1), ("last", ["short"], 0.1)))
    made, events = fleet({"a": {}}, tasks)
    made.profile = Profile()
    try:
        assert made.apply(lambda: True) == 0
    finally:
        made.close()
    assert events[-1]["type"] == "summary"
    profile = next(one["profile"] for one in events if "profile" in one)
    assert {"connect", "bootstrap", "facts", "compile", "observe", "converge"} <= set(profile["phases"])
    path = profile["critical_path"]
    assert [one["name"] for one in path["chain"]] == ["long"]
    assert 0.4 <= path["path"] <= path["wall"] < path["sum"] + 0.3
    assert profile["tasks"][0]["name"] == "long"


def test_an_inventory_of_five_thousand_hosts_is_loaded_and_limited_in_two_seconds(tmp_path: Path) -> None:
    groups = {f"g{number:02}": {"hosts": {f"h{number:02}-{one:03}": {"rack": one} for one in range(100)}}
              for number in range(50)}
    (tmp_path / "hosts.yml").write_text(yaml.dump({"all": {"children": groups}}, Dumper=yaml.CSafeDumper))
    (tmp_path / "group_vars").mkdir()
    for name in ("all", *groups):
        (tmp_path / "group_vars" / f"{name}.yml").write_text(f"from_{name}: [1, 2, 3]\nname: {name}\n")
    (tmp_path / "site.yml").write_text("- hosts: all\n  tasks:\n    - command: 'true'\n")
    began = time.process_time()
    options = Options(inventory=[str(tmp_path / "hosts.yml")], limit="g4*:!h41-00*")
    project = open_project(options, str(tmp_path / "site.yml"))
    assert project.playbook is not None
    names = project.hosts(project.playbook.plays[0])
    assert len(names) == 990 and project.variables(names[0]).as_dict()["name"] == "g40"
    assert time.process_time() - began < 2.0
