"""Each directory of `playbooks/` holds a wrong playbook and, in expected.txt, exactly what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.playbook import load_playbook

CASES = Path(__file__).parent / "playbooks"
KINDS = (
    "ansible_module", "apt", "check_file", "check_port", "command", "copy", "file", "get_url",
    "git", "group", "lineinfile", "pip", "service",
    "shell", "stat", "systemd_service", "template", "user",
)


def said_about(case: str) -> str:
    """What the playbook of `case` is refused with; positions are relative to the directory of cases."""
    with pytest.raises(ProvisionError) as caught:
        load_playbook(f"{case}/playbook.yml", kinds=KINDS)
    return f"{caught.value}\n"


@pytest.mark.parametrize("case", sorted(one.name for one in CASES.iterdir() if one.is_dir()))
def test_a_wrong_playbook_is_refused_with_the_expected_words(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    monkeypatch.delenv("ANSIBLE_ROLES_PATH", raising=False)
    assert said_about(case) == (CASES / case / "expected.txt").read_text(encoding="utf-8")
