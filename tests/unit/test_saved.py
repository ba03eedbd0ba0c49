"""A saved plan comes back as it went, equal plans are equal files, and nothing damaged, old or secret gets through."""

from __future__ import annotations

import json
import re
import stat
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.task import Task
from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.errors import InvalidError, MissingFileError, ProvisionError, StaleError
from personaplex_provision.planning import saved
from personaplex_provision.planning.saved import HostPlan, Plan

CONTENT = b"content of a file\n" * 100


def plan(**fields: Any) -> Plan:
    blob = Blob.of(CONTENT)
    task = Task("play/copy", "copy", "copy", {"path": "/x", "content": {"$blob": [blob.sha256, blob.size]},
                                              "owner": {"$secret": "who"}}, requires=[["play/dir", "its directory"]])
    host = HostPlan([Task("play/dir", kind="file", params={"path": "/"}), task],
                    {"play/copy": {"action": "create", "diff": [{"field": "state", "before": None, "after": "ü"}]}},
                    {"play/copy": "ab12"}, {"become": True})
    inputs, secrets = {"site.yml": "00"}, {"who": "vault.yml:3:5"}
    return Plan("site.yml", {"lab": host}, inputs, {blob.sha256: CONTENT}, secrets, **fields)


def test_a_plan_comes_back_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    saved.write(path, plan())
    assert saved.read(path) == plan(created=saved.read(path).created)
    assert saved.is_saved(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_equal_plans_are_equal_files(tmp_path: Path) -> None:
    one, other = plan(created="2030-01-01T00:00:00+00:00"), plan(created="2030-01-01T00:00:00+00:00")
    other.hosts["lab"].entries = dict(reversed(list(other.hosts["lab"].entries.items())))
    saved.write(tmp_path / "a", one)
    saved.write(tmp_path / "b", other)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    saved.write(path, plan())
    whole, good = path.read_bytes(), saved.read(path)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1:])
        try:
            assert saved.read(path) == good  # a byte of the container that says nothing, such as a time
        except (InvalidError, StaleError):
            pass
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidError, match="is damaged"):
        saved.read(path)


def _changed(path: Path, change: dict[str, Any], digest: bool = True) -> None:
    """Rewrites a plan file with other values in plan.json, with a digest that fits or the old one."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["plan.json"] = json.dumps({**json.loads(files["plan.json"]), **change}).encode()
    old = files.pop("digest")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("digest", saved._digest(files) if digest else old)
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(("change", "fits", "error", "message"), [
    ({"playbook": "other.yml"}, False, InvalidError, "is damaged"),
    ({"format": 99}, True, InvalidError, "another version of provision"),
    ({"engine": "0.0.1"}, True, StaleError, "it was made by 0.0.1"),
    ({"hosts": {"lab": {"tasks": [{"address": "a", "tags": "x"}]}}}, True, InvalidError,
     r"hosts\.lab\.tasks\[0\]\.tags: not a list"),
    ({"created": "yesterday"}, True, InvalidError, "isoformat"),
    ({"hosts": []}, True, InvalidError, "is damaged"),
])
def test_a_plan_that_was_changed_or_made_by_another_is_refused(
    tmp_path: Path, change: dict[str, Any], fits: bool, error: type[ProvisionError], message: str,
) -> None:
    path = tmp_path / "x.plan"
    saved.write(path, plan())
    _changed(path, change, fits)
    with pytest.raises(error) as caught:
        saved.read(path)
    assert re.search(message, str(caught.value))


def test_a_plan_grows_stale(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    saved.write(path, plan(created=(datetime.now(timezone.utc) - timedelta(days=8)).isoformat()))
    with pytest.raises(StaleError, match=r"8\.0 days ago"):
        saved.read(path)
    assert saved.read(path, max_age=None).playbook == "site.yml"


def test_what_is_no_plan_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text("- hosts: all\n")
    assert not saved.is_saved(path)
    with pytest.raises(InvalidError, match="is not a saved plan"):
        saved.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(InvalidError, match="is not a saved plan"):
        saved.read(path)
    with pytest.raises(MissingFileError, match="no such file"):
        saved.read(tmp_path / "none.plan")
    with pytest.raises(MissingFileError, match="cannot write"):
        saved.write(tmp_path / "none" / "x.plan", plan())


@pytest.mark.parametrize("where", ["params", "blob", "entry"])
def test_a_plan_that_would_hold_a_secret_is_not_written(tmp_path: Path, where: str) -> None:
    found = plan()
    if where == "params":
        found.hosts["lab"].tasks[0].params["src"] = "user:hunter2-long@host"
    elif where == "blob":
        found.blobs["00"] = b"\xff password = hunter2-long"
    else:
        found.hosts["lab"].entries["play/dir"] = {"diff": ["aHVudGVyMi1sb25n"]}
    path = tmp_path / "x.plan"
    with pytest.raises(InvalidError, match="the plan would hold the secret who"):
        saved.write(path, found, {"who": "hunter2-long", "short": "root"})
    assert list(tmp_path.iterdir()) == []


def test_a_boxed_secret_cannot_be_written_by_accident(tmp_path: Path) -> None:
    found = plan()
    found.hosts["lab"].tasks[0].params["src"] = Secret("x")
    with pytest.raises(TypeError):
        saved.write(tmp_path / "x.plan", found)


def test_files_that_changed_since_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "a.yml", tmp_path / "b.yml"
    one.write_text("a")
    other.write_text("b")
    found = plan()
    found.inputs = saved.digest_files([one, other])
    assert saved.moved_inputs(found) == []
    one.write_text("changed")
    other.unlink()
    assert saved.moved_inputs(found) == [str(one), str(other)]
