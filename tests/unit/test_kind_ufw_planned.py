"""What the firewall kind sees, plans and refuses; nothing here touches a firewall, and ufw is a small program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _ufw as rules
from personaplex_provision.agent.resources.ufw import Ufw
from tests.unit.kind_host import Life

UFW = """#!/bin/sh
case "$*" in
status) echo "Status: active" ;;
"--dry-run allow from any to any port 22 proto tcp") echo "Skipping adding existing rule" ;;
"--dry-run allow from any to any port 99") echo "### tuple ### allow any 99 0.0.0.0/0 any 0.0.0.0/0 in" ;;
*nonsense*) echo "ERROR: Bad port 'nonsense'" >&2; exit 1 ;;
*) echo "ERROR: Couldn't determine iptables version" >&2; exit 1 ;;
esac
"""
ON = {rules.SETTINGS: "ENABLED=yes\nLOGLEVEL=low\n",
      rules.DEFAULTS: 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\n'}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A host on which ufw is not installed yet."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    (tmp_path / "bin").mkdir()
    return Life(tmp_path, {"PATH": str(tmp_path / "bin")})


@pytest.fixture
def life(bare: Life, tmp_path: Path) -> Life:
    """A host whose firewall an earlier task has planned to be on: nothing comes in, everything goes out."""
    (tmp_path / "bin/ufw").write_text(UFW)
    (tmp_path / "bin/ufw").chmod(0o755)
    (tmp_path / "bin/sh").symlink_to("/bin/sh")
    host = bare.planning()
    for path, text in ON.items():
        host.mkdir(str(Path(path).parent))
        host.write(path, text.encode())
    return bare


@pytest.mark.parametrize(("params", "word"), [
    ({}, "nothing is asked for"), ({"to_port": "22"}, "say which in `rule`"), ({"delete": True}, "needs the rule"),
    ({"rule": "allow", "interface": "eth0"}, "direction"),
    ({"rule": "allow", "interface": "a", "direction": "in", "interface_in": "b"}, "cannot go with"),
    ({"rule": "allow", "name": "OpenSSH", "to_port": "22"}, "application profile"),
    ({"rule": "allow", "direction": "routed"}, "route: true"), ({"rule": "allow", "to_port": "1:9"}, "protocol"),
])
def test_a_wrong_rule_is_refused_with_the_reason(params: dict[str, Any], word: str) -> None:
    assert word in "; ".join(Ufw(**params).validate())


def test_what_installing_it_brings_is_not_asked_for_again(bare: Life) -> None:
    assert bare.plan(Ufw(default="deny", direction="incoming")) == "none"
    assert bare.plan(Ufw(default="allow", direction="outgoing", logging="on")) == "none"
    assert bare.plan(Ufw(state="disabled")) == "none"


def test_later_tasks_of_a_plan_find_the_rule_the_policy_and_the_state(bare: Life) -> None:
    asked = [Ufw(rule="allow", to_port="22", proto="tcp"), Ufw(default="reject"), Ufw(logging="full"),
             Ufw(state="enabled")]
    assert [bare.plan(one) for one in asked] == ["update"] * 4
    assert [bare.plan(one) for one in asked] == ["none"] * 4
    assert bare.plan(Ufw(state="disabled")) == "update"


def test_without_ufw_applying_names_the_package(bare: Life) -> None:
    with pytest.raises(ResourceError, match="not installed"):
        bare.apply(Ufw(state="enabled"))


def test_what_is_on_is_seen(life: Life) -> None:
    assert life.plan(Ufw(state="enabled")) == "none"
    assert life.plan(Ufw(default="deny", logging="low")) == "none"
    assert life.plan(Ufw(rule="allow", to_port="22", proto="tcp")) == "none"
    assert life.plan(Ufw(state="reloaded")) == "run"


def test_what_ufw_refuses_is_refused_with_its_words(life: Life) -> None:
    with pytest.raises(ResourceError) as caught:
        life.plan(Ufw(rule="allow", to_port="nonsense"))
    assert "Bad port" in caught.value.detail


def test_a_plan_that_cuts_the_connection_is_refused(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.1.2.3 5000 10.9.9.9 2222")
    with pytest.raises(ResourceError) as caught:
        life.plan(Ufw(default="reject"))
    assert "10.1.2.3" in caught.value.summary and "2222" in caught.value.hint
    assert life.plan(Ufw(default="reject", force=True)) == "update"


def test_a_plan_that_lets_the_connection_in_first_is_not(bare: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.1.2.3 5000 10.9.9.9 22")
    with pytest.raises(ResourceError, match="would cut"):
        bare.plan(Ufw(state="enabled"))
    assert bare.plan(Ufw(rule="allow", name="OpenSSH")) == "update"
    assert bare.plan(Ufw(state="enabled")) == "update"


def test_a_kernel_without_netfilter_is_named_as_the_reason(life: Life) -> None:
    with pytest.raises(ResourceError) as caught:
        Ufw(logging="full")._ufw(["logging", "full"], life.host())
    assert "iptables" in caught.value.detail and "netfilter" in caught.value.hint
