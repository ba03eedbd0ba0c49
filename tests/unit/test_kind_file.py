"""Modes as people write them, and what the file kinds refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.resource import Resource, ResourceError
from personaplex_provision.agent.resources._attributes import resolve_mode
from personaplex_provision.agent.store import Store
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.schema import validate


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Machine(), Store(str(tmp_path / "store")))


def converged(host: Host, kind: str, params: dict[str, Any]) -> Resource:
    stock = Stock()
    resource = validate(kind, params, stock=stock)
    for data in stock.blobs.values():
        host.store.put(data)
    resource.converge(resource.observe(host), host)
    return resource


@pytest.mark.parametrize(("mode", "current", "directory", "bits"), [
    ("0644", 0o777, False, 0o644),
    ("4755", 0o644, False, 0o4755),
    ("u=rwX,g=rX,o=", 0o666, False, 0o640),
    ("u=rwX,g=rX,o=", 0o766, False, 0o750),
    ("u=rwX,g=rX,o=", 0o600, True, 0o750),
    ("a+x", 0o644, False, 0o755),
    ("go-rwx", 0o755, False, 0o700),
    ("g=u", 0o640, False, 0o660),
    ("u+s,o+t", 0o755, False, 0o5755),
    ("+x", 0o600, False, 0o711),
    ("+w", 0o600, False, 0o600),
    ("u=rw,g+w-r", 0o741, False, 0o621),
    ("u=rwx,go=rx", 0o2700, True, 0o2755),
])
def test_a_mode_means_what_chmod_takes_it_to_mean(mode: str, current: int, directory: bool, bits: int) -> None:
    assert oct(resolve_mode(mode, current, directory)) == oct(bits)


def test_a_missing_directory_is_named_with_the_task_that_makes_it(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"the directory .*/none does not exist") as caught:
        converged(host, "copy", {"dest": f"{tmp_path}/none/f", "content": "x"})
    assert "state: directory" in caught.value.hint


def test_content_has_no_name_inside_a_directory(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="no name for a file"):
        converged(host, "copy", {"dest": str(tmp_path), "content": "x"})


def test_content_that_its_check_refuses_is_not_written(host: Host, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    with pytest.raises(ResourceError, match="refused the new content"):
        converged(host, "copy", {"dest": f"{tmp_path}/f", "content": "new", "validate": "grep -q old %s"})
    assert (tmp_path / "f").read_text() == "old"


def test_a_new_file_is_never_wider_than_its_mode(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    seen: list[int] = []
    replace = os.replace

    def watched(source: str, target: str) -> None:
        seen.append(os.stat(source).st_mode & 0o777)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    converged(host, "copy", {"dest": f"{tmp_path}/f", "content": "secret", "mode": "0600"})
    assert seen == [0o600]


def test_a_file_is_not_silently_turned_into_a_link(host: Host, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(ResourceError, match="is a file, not a link"):
        converged(host, "file", {"path": f"{tmp_path}/f", "src": "/etc", "state": "link"})


def test_a_full_directory_is_not_replaced_by_a_link_even_by_force(host: Host, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("mine")
    with pytest.raises(ResourceError, match="is a directory, not a link"):
        converged(host, "file", {"path": f"{tmp_path}/d", "src": "/etc", "state": "link", "force": True})


def test_recursion_leaves_alone_what_links_point_to(host: Host, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    (tmp_path / "outside").chmod(0o644)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "l").symlink_to(tmp_path / "outside")
    converged(host, "file", {"path": f"{tmp_path}/d", "state": "directory", "recurse": True, "mode": "0700"})
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o644


def test_a_plan_of_a_blank_machine_sees_the_file_it_will_write(host: Host, tmp_path: Path) -> None:
    planned, stock = Prediction(), Stock()
    steps = [
        validate("file", {"path": f"{tmp_path}/d", "state": "directory", "mode": "0750"}),
        validate("copy", {"dest": f"{tmp_path}/d/f", "content": "a\n"}, stock=stock),
        validate("lineinfile", {"path": f"{tmp_path}/d/f", "line": "b"}),
        validate("replace", {"path": f"{tmp_path}/d/f", "regexp": "^b$", "replace": "c"}),
    ]
    for data in stock.blobs.values():
        host.store.put(data)
    for number, one in enumerate(steps):
        now = one.observe(PlanningHost(host, planned, str(number)))
        assert one.diff(now)
        one.predict(now, PlanningHost(host, planned, str(number)))
    assert PlanningHost(host, planned, "end").read(f"{tmp_path}/d/f") == b"a\nc\n"
    assert not (tmp_path / "d").exists()
