"""Each directory of `commands/` holds a wrong input, the command it is given to, and exactly what that answers."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from personaplex_provision.cli.main import main

CASES = Path(__file__).parent / "commands"
WRONG_PLAYBOOKS = Path(__file__).parent / "playbooks"
INVALID = (64, 65, 66)


def answer(arguments: list[str], capture: pytest.CaptureFixture[str]) -> str:
    """Exit code and messages of a command."""
    code = main(arguments)
    text = capture.readouterr()
    assert text.out == ""
    told = re.sub(r"^localhost: connecting.*\n|^\w+: connecting by local\n", "", text.err, flags=re.MULTILINE)
    assert "Traceback" not in told
    told = told.replace(f"{os.getcwd()}/", "")
    return f"exit {code}\n{told}"


@pytest.mark.parametrize("case", sorted(one.name for one in CASES.iterdir() if one.is_dir()))
def test_wrong_input_gets_the_expected_words(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(CASES / case)
    arguments = shlex.split((CASES / case / "command.txt").read_text())
    assert answer(arguments, capsys) == (CASES / case / "expected.txt").read_text()
    assert not os.path.exists(os.environ["PROVISION_STATE_DIR"]), "the target was touched"


@pytest.mark.parametrize("case", sorted(one.name for one in WRONG_PLAYBOOKS.iterdir() if one.is_dir()))
def test_a_wrong_playbook_touches_nothing_and_is_told_by_the_exit_code(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(WRONG_PLAYBOOKS)
    monkeypatch.delenv("ANSIBLE_ROLES_PATH", raising=False)
    assert main(["apply", "-y", f"{case}/playbook.yml"]) in INVALID
    told = capsys.readouterr()
    assert told.out == "" and "error:" in told.err and "Traceback" not in told.err
    assert not os.path.exists(os.environ["PROVISION_STATE_DIR"]), "the target was touched"
