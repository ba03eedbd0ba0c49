"""Tasks come after what they need, for a reason that is told, and never wait for each other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from personaplex_provision.agent.resource import Address, Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import InvalidError, UsageError
from personaplex_provision.planning.graph import Graph, ancestors, build
from personaplex_provision.planning.order import critical_path, order, random_order


@dataclass
class Thing(Resource):
    """A resource that says what it provides and needs."""

    kind = "thing"

    path: str | None = None
    owner: str | None = None
    group: str | None = None
    state: str = "present"
    gives: list[Address] = field(default_factory=list)
    takes: list[Address] = field(default_factory=list)

    def provides(self) -> list[Address]:
        return super().provides() + self.gives

    def needs(self) -> list[Address]:
        return super().needs() + self.takes


class Book:
    """A list of tasks as the compiler hands it over; freed tasks say what they require."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.resources: dict[str, Resource] = {}

    def add(self, name: str, *, after: list[str] | None = None, task: dict[str, object] | None = None,
            **fields: object) -> Book:
        listed = [[self.tasks[-1].address, "listed"]] if self.tasks else []
        requires = listed if after is None else [[one, "requires"] for one in after]
        one = Task(address=name, name=name, kind="thing", requires=requires, position=f"p.yml:{len(self.tasks) + 1}:3")
        for key, value in (task or {}).items():
            setattr(one, key, value)
        self.tasks.append(one)
        if one.kind:
            self.resources[name] = Thing(**fields)  # type: ignore[arg-type]
        return self

    def build(self) -> Graph:
        return build(self.tasks, self.resources)


def edges(graph: Graph) -> dict[tuple[str, str], str]:
    return {(one, task.address): reason for task in graph.tasks.values() for one, reason in task.requires}


def test_the_list_is_a_chain_and_implied_edges_in_it_are_not_repeated() -> None:
    graph = Book().add("dir", path="/a").add("other").add("file", path="/a/b").build()
    assert edges(graph) == {("dir", "other"): "listed", ("other", "file"): "listed"}
    assert graph.needed["file"] == {"dir": "its directory /a"}


def test_a_freed_file_still_comes_after_its_directory_owner_and_group() -> None:
    book = Book().add("dir", after=[], path="/a").add("bob", after=[], gives=[("user", "bob")])
    book.add("gpu", after=[], gives=[("group", "gpu")])
    graph = book.add("file", after=[], path="/a/x/y", owner="bob", group="gpu").build()
    assert edges(graph) == {
        ("dir", "file"): "its directory /a", ("bob", "file"): "its owner bob", ("gpu", "file"): "its group gpu",
    }


def test_the_nearest_directory_is_the_one_that_counts() -> None:
    book = Book().add("far", after=[], path="/a").add("near", after=[], path="/a/b").add("else", after=[], path="/ab")
    graph = book.add("file", after=[], path="/a/b/c/d").build()
    assert edges(graph) == {("far", "near"): "its directory /a", ("near", "file"): "its directory /a/b"}


def test_a_provider_listed_later_counts_while_nothing_says_otherwise() -> None:
    graph = Book().add("file", after=[], path="/a/b").add("dir", after=[], path="/a").build()
    assert edges(graph) == {("dir", "file"): "its directory /a"}
    graph = Book().add("file", after=[], path="/a/b").add("dir", path="/a").build()
    assert edges(graph) == {("file", "dir"): "listed"}


def test_removing_a_directory_does_not_come_before_removing_what_is_in_it() -> None:
    book = Book().add("file", after=[], path="/a/b", state="absent").add("dir", after=[], path="/a", state="absent")
    assert edges(book.build()) == {}


@pytest.mark.parametrize(("provided", "needed", "reason"), [
    (("path", "/etc/systemd/system/app.service"), ("unit", "app"), "its unit app.service"),
    (("path", "/etc/systemd/system/app.service.d/limits.conf"), ("unit", "app.service"), "its unit app.service"),
    (("path", "/etc/systemd/system/app@.service"), ("unit", "app@one.service"), "its unit app@.service"),
    (("path", "/home/bob/.config/systemd/user/x.timer"), ("unit", "x.timer"), "its unit x.timer"),
    (("path", "/opt/tool/bin/uv"), ("command", "uv"), "command uv"),
    (("package", "git"), ("command", "git"), "command git"),
    (("user", "bob"), ("group", "bob"), "group bob"),
    (("user", "bob"), ("path", "~bob/.ssh"), "home of user bob"),
    (("repository", "docker"), ("repository", "*"), "package source docker"),
    (("venv", "/opt/v"), ("venv", "/opt/v/"), "its virtualenv /opt/v"),
    (("path", "/opt"), ("venv", "/opt/v"), "its virtualenv /opt"),
    (("path", "/a/./b"), ("path", "/a//b/"), "its directory /a/b"),
])
def test_what_one_provides_meets_what_another_needs(provided: Address, needed: Address, reason: str) -> None:
    graph = Book().add("one", after=[], gives=[provided]).add("two", after=[], takes=[needed]).build()
    assert list(edges(graph)) == [("one", "two")]
    assert reason in edges(graph)["one", "two"]


def test_home_is_that_of_the_user_the_task_runs_as() -> None:
    book = Book().add("mine", after=[], path="~/x", task={"user": "bob"}).add("other", after=[], path="~/x/y")
    book.add("same", after=[], path="~/x/y", task={"user": "bob"})
    assert edges(book.build()) == {("mine", "same"): "its directory ~bob/x"}


def test_a_task_comes_after_the_user_it_runs_as() -> None:
    graph = Book().add("bob", after=[], gives=[("user", "bob")]).add("x", after=[], task={"user": "bob"}).build()
    assert edges(graph) == {("bob", "x"): "runs as user bob"}


def test_freed_tasks_that_change_the_same_thing_keep_their_order() -> None:
    book = Book().add("first", after=[], path="/a").add("second", after=[], path="/a")
    assert edges(book.build()) == {("first", "second"): "changes /a too"}
    book = Book().add("first", after=["second"], path="/a").add("second", after=[], path="/a")
    assert edges(book.build()) == {("second", "first"): "requires"}


def test_two_drop_ins_of_a_unit_are_free_of_each_other() -> None:
    folder = "/etc/systemd/system/app.service.d"
    book = Book().add("a", after=[], path=f"{folder}/a.conf").add("b", after=[], path=f"{folder}/b.conf")
    assert edges(book.build()) == {}


def test_what_is_skipped_or_runs_only_on_a_failure_provides_nothing() -> None:
    book = Book().add("skipped", after=[], path="/a", task={"skipped": "when is false"})
    book.add("rescue", after=[], path="/b", task={"trigger": "failed"})
    book.add("x", after=[], path="/a/x").add("y", after=[], path="/b/y")
    assert edges(book.build()) == {}


def test_a_handler_comes_after_every_task_that_notifies_it() -> None:
    book = Book().add("a", after=[], task={"notify": ["h"]}).add("b", after=[], task={"notify": ["h"]})
    graph = book.add("h", after=[], task={"trigger": "notified"}).build()
    assert edges(graph) == {("a", "h"): "notified by it", ("b", "h"): "notified by it"}


def test_a_circle_is_told_with_reasons_and_positions() -> None:
    book = Book().add("a", after=["b"], path="/x").add("b", after=[], path="/x/y")
    with pytest.raises(InvalidError) as caught:
        book.build()
    [found] = caught.value.diagnostics
    assert found.summary == "tasks wait for each other: a -> b (requires) -> a (its directory /x)"
    assert str(found.position) == "p.yml:1:3"
    assert found.detail == "a: p.yml:1:3\nb: p.yml:2:3"


def test_every_circle_is_told_and_a_task_that_requires_itself_is_one() -> None:
    book = Book().add("a", after=["b"]).add("b", after=["c"]).add("c", after=["a"]).add("me", after=["me"])
    with pytest.raises(InvalidError) as caught:
        book.build()
    told = sorted(one.summary for one in caught.value.diagnostics)
    assert told == [
        "tasks wait for each other: a -> b (requires) -> c (requires) -> a (requires)",
        "tasks wait for each other: me -> me (requires)",
    ]


def test_edges_that_say_nothing_new_are_dropped_and_reasons_are_kept() -> None:
    book = Book().add("a", after=[]).add("b", after=["a"]).add("c", after=["a", "b"])
    book.tasks[2].requires.append(["b", "listed"])
    assert edges(book.build()) == {("a", "b"): "requires", ("b", "c"): "requires; listed"}


def test_a_join_keeps_all_it_sums_up() -> None:
    book = Book().add("x[1]").add("x[2]").add("x", after=["x[1]", "x[2]"], task={"kind": ""})
    assert ("x[1]", "x") in edges(book.build())


def test_an_edge_stays_when_the_longer_way_runs_even_after_a_failure() -> None:
    book = Book().add("a", after=[]).add("always", after=["a"], task={"trigger": "always", "trigger_on": ["a"]})
    assert ("a", "c") in edges(book.add("c", after=["a", "always"]).build())


def test_the_order_is_that_of_the_list_where_the_graph_allows() -> None:
    book = Book().add("c", after=["a"]).add("b", after=[]).add("a", after=[]).add("d", after=[])
    assert order(book.build()) == ["b", "a", "c", "d"]


def test_a_random_order_is_one_the_graph_allows_and_comes_again() -> None:
    book = Book().add("root", after=[])
    for number in range(20):
        book.add(f"t{number}", after=["root"] if number % 3 else [f"t{number - 1}"] if number else [])
    graph = book.build()
    for seed in range(5):
        found = random_order(graph, seed)
        assert found == random_order(graph, seed)
        assert sorted(found) == sorted(graph.tasks)
        assert all(found.index(one) < found.index(other) for one, other in graph.edges.edges)
    assert random_order(graph, 1) != random_order(graph, 2)


def test_the_critical_path_is_the_chain_that_takes_longest() -> None:
    graph = Book().add("a", after=[]).add("long", after=["a"]).add("b", after=["a"]).add("c", after=["b"]).build()
    assert critical_path(graph) == (["a", "b", "c"], 3.0)
    assert critical_path(graph, {"long": 10, "a": 0.5}) == (["a", "long"], 10.5)
    assert critical_path(Book().build()) == ([], 0.0)


def test_a_target_brings_what_it_needs_and_whom_it_notifies_but_not_what_is_listed_before() -> None:
    book = Book().add("dir", path="/a").add("unrelated").add("conf", path="/a/b", task={"notify": ["restart"]})
    book.add("later").add("restart", task={"trigger": "notified"})
    graph = book.build()
    assert ancestors(graph, ["conf"]) == ["dir", "conf", "restart"]
    for task in book.tasks[:2]:
        task.role = "base"
    graph = book.build()
    assert ancestors(graph, ["base"]) == ["dir", "unrelated"]
    assert ancestors(graph, ["base : unrelated"]) == ["unrelated"]
    with pytest.raises(UsageError, match='no task is called "cnof"'):
        ancestors(graph, ["cnof"])


def test_a_thousand_tasks_are_ordered_in_well_under_a_second() -> None:
    listed, freed = Book(), Book()
    for number in range(1000):
        listed.add(f"t{number}", path=f"/a/{number // 10}/{number}" if number % 10 else f"/a/{number // 10}")
        freed.add(f"t{number}", after=[], path=f"/a/{number // 10}/{number}" if number % 10 else f"/a/{number // 10}")
    Book().add("warm").build()
    for book in (listed, freed):
        started = time.process_time()
        book.build()
        assert time.process_time() - started < 0.3
