"""What the unit kind refuses, reads out of what systemd says, and keeps the images of; systemctl is a small program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _units as units
from personaplex_provision.agent.resources.systemd_service import SystemdService
from tests.unit.kind_host import Life

SYSTEMCTL = """#!/bin/sh
echo "$*" >> {said}
case "$*" in
*"is-enabled web.service"*) cat {state} ;;
*"cat web.service"*) cat {file} ;;
*"enable web.service"*) echo enabled > {state} ;;
*"mask web.service"*) echo masked > {state} ;;
*"list-unit-files"*) echo "web.service enabled enabled" ;;
*"broken"*) echo "it is broken" >&2; exit 5 ;;
esac
"""

UNIT = "[Unit]\n[Install]\n# no\nWantedBy=multi-user.target\nAlias=www.service %p-x.service\n"


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A host without a running systemd, on which one unit, web, is disabled."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    (tmp_path / "state-of-web").write_text("disabled\n")
    (tmp_path / "web.service").write_text(UNIT)
    places = {"said": tmp_path / "said", "state": tmp_path / "state-of-web", "file": tmp_path / "web.service"}
    program.write_text(SYSTEMCTL.format(**places))
    program.chmod(0o755)
    return Life(tmp_path, {"PATH": f"{program.parent}:/usr/bin:/bin"})


def unit(**params: Any) -> SystemdService:
    """The unit in every user's scope, which needs no running manager."""
    return SystemdService("web", scope="global", **params)


@pytest.mark.parametrize(("params", "word"), [
    ({"state": "started"}, "which in `name`"), ({}, "nothing is asked for"), ({"name": "a"}, "nothing is asked of"),
    ({"name": "a", "masked": True, "enabled": True}, "masked unit"),
    ({"name": "a", "scope": "global", "state": "started"}, "global scope"),
])
def test_a_wrong_task_is_refused_with_the_reason(params: dict[str, Any], word: str) -> None:
    assert word in "; ".join(SystemdService(**params).validate())


def test_names_get_the_suffix_that_systemd_would_add() -> None:
    assert [units.unit_name(one) for one in ("ssh", "a.timer", "b@c", "x.y")] == [
        "ssh.service", "a.timer", "b@c.service", "x.y.service"]


def test_enabling_is_done_once_and_keeps_the_image_of_every_link(life: Life) -> None:
    assert life.check(unit(enabled=True)) == ["enabled"]
    life.apply(unit(enabled=True))
    top = "/etc/systemd/user"
    kept = {str(one["path"]) for one in life.taken}
    assert {f"{top}/web.service", f"{top}/multi-user.target.wants/web.service", f"{top}/www.service",
            f"{top}/web-x.service"} <= kept
    assert life.check(unit(enabled=True)) == []


def test_masking_is_seen(life: Life) -> None:
    life.apply(unit(masked=True))
    assert life.check(unit(masked=True)) == []
    assert life.check(unit(masked=False)) == ["masked"]


def test_a_unit_that_is_not_there_is_refused_with_one_that_is(life: Life) -> None:
    with pytest.raises(ResourceError) as caught:
        life.apply(SystemdService("wev", scope="global", enabled=True))
    assert "no unit wev.service" in caught.value.summary and "web.service" in caught.value.hint


def test_later_tasks_of_a_plan_find_the_unit_as_it_will_be(life: Life) -> None:
    assert life.plan(unit(enabled=True)) == "update"
    assert life.plan(unit(enabled=True)) == "none"
    assert life.plan(unit(enabled=False)) == "update"


def test_what_systemd_wants_to_know_of_a_template_is_its_instance(life: Life) -> None:
    assert units.unit_paths(life.host(), "getty@tty1.service", "system") == [
        "/etc/systemd/system/getty@tty1.service", "/etc/systemd/system/getty@tty1.service.d",
        "/etc/systemd/system/getty@.service", "/etc/systemd/system/getty@.service.d"]
    assert units._expand("%p-%i of %n, 100%%", "getty@tty1.service") == "getty-tty1 of getty@tty1.service, 100%"


def test_the_manager_of_a_user_is_found_by_its_directory(life: Life) -> None:
    host = life.host()
    place = f"/run/user/{host.identity.uid}"
    assert units.manager_environment(host, "user")["XDG_RUNTIME_DIR"] == place
    assert units.manager_environment(host, "system") == {}
    assert units.folder(host, "user").endswith("/.config/systemd/user")
    assert units.systemctl("user") == ["systemctl", "--no-pager", "--user"]
