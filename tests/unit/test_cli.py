"""The command line: what it understands, its exit codes, and where its words go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision import __version__
from personaplex_provision.cli import completion, failure
from personaplex_provision.cli.main import COMMANDS, RESERVED, build, main
from personaplex_provision.cli.resume import rebuilt
from personaplex_provision.errors import UsageError

HEAVY = ("yaml", "jinja2", "pydantic", "paramiko", "networkx", "rich", "cryptography")


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's configuration or state is read or written."""
    for name in [one for one in os.environ if one.startswith(("PROVISION_", "ANSIBLE_"))]:
        monkeypatch.delenv(name)
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"provision {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["apply", "--help"], ["runs", "--help"], ["drift"]])
def test_nothing_heavy_is_imported_before_a_command_needs_it(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom personaplex_provision.cli.main import main\nmain(sys.argv[1:])\n"
        f"sys.exit(','.join(one for one in {HEAVY} if one in sys.modules) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.replace("\n", " ")[:5]) in ((0, ""), (0, "error"))


def test_every_command_has_help_that_begins_with_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        code, out, _ = said(capsys, name, "--help")
        assert (code, out.startswith(f"usage: provision {name}")) == (0, True)


def test_commands_and_reserved_names_are_those_of_the_interface() -> None:
    assert set(COMMANDS) == {"validate", "plan", "apply", "rollback", "resume", "runs", "graph", "inventory", "vars",
                             "facts", "doc", "schema", "completion", "vault", "unlock", "verify", "attach", "confirm",
                             "doctor", "bundle"}
    assert not set(COMMANDS) & set(RESERVED)


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "usage: provision"),
    (["plna"], 'did you mean "plan"?'),
    (["snapshot"], "reserved, and not available yet"),
    (["import-ansible", "x"], "reserved, and not available yet"),
    (["plan"], "required: PLAYBOOK"),
    (["plan", "site.yml", "--limti", "x"], 'did you mean "--limit"?'),
    (["plan", "site.yml", "other.yml"], '"other.yml" is one argument too many'),
    (["plan", "site.yml", "--lim", "x"], 'unknown flag "--lim"'),
    (["plan", "site.yml", "-f", "many"], "-f/--forks"),
    (["plan", "site.yml", "-l", ""], "--limit is empty"),
    (["apply", "site.yml", "--on-failure", "retry"], "--on-failure"),
    (["rollback", "a", "--to", "b"], "exclude each other"),
    (["runs", "shwo", "x"], "provision runs [show RUN | prune]"),
    (["resume"], "no run is recorded"),
    (["vars", "nosuch"], 'no host is called "nosuch"'),
    (["-v", "plan"], "the command comes first"),
    (["completion", "csh"], "SHELL"),
])
def test_a_wrong_command_line_is_64_and_says_what_is_right(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (64, "")
    assert words in err


def test_an_unknown_flags_value_is_not_complained_about(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = said(capsys, "plan", "site.yml", "--limti", "x")
    assert err.count("error:") == 1


def test_a_missing_playbook_is_66(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "plan", "nosuch.yml")[0] == 66
    assert said(capsys, "validate", "nosuch.yml")[0] == 66
    assert said(capsys, "apply", "nosuch.plan")[0] == 66


def test_a_wrong_configuration_is_78_and_pointed_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "provision.toml").write_text("fork = 3\n")
    code, _, err = said(capsys, "plan", "site.yml")
    assert code == 78
    assert 'provision.toml:1:1: error: unknown key "fork"' in err and "^" in err


def test_validate_shows_everything_wrong_in_all_playbooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yml").write_text("- hosts: all\n  tasks:\n    - fiel: {path: /x}\n")
    (tmp_path / "b.yml").write_text("- hosts: all\n  taks: []\n")
    (tmp_path / "good.yml").write_text("- hosts: all\n  tasks:\n    - file: {path: /x}\n")
    code, out, err = said(capsys, "validate", "a.yml", "good.yml", "b.yml")
    assert (code, out) == (65, "good.yml: valid, 1 play, 1 tasks\n")
    assert "a.yml:3:7: error" in err and "b.yml:2:3: error" in err


def test_with_json_an_error_is_a_diagnostic_and_the_summary_comes_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.yml").write_text("- hosts: all\n  taks: []\n")
    code, out, err = said(capsys, "plan", "a.yml", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (65, "")
    assert [one["type"] for one in found] == ["diagnostic", "summary"]
    assert (found[0]["file"], found[0]["line"], found[0]["severity"]) == ("a.yml", 2, "error")
    assert found[-1] == {**found[-1], "exit": 65, "hosts": {}}


def test_a_bug_of_ours_is_one_paragraph_and_a_traceback_only_for_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("personaplex_provision.cli.settings.configure", fail)
    code, _, err = said(capsys, "plan", "site.yml")
    assert code == 1
    assert "ZeroDivisionError: by nought" in err and "Traceback" not in err and "-vv" in err
    assert "Traceback" in said(capsys, "plan", "site.yml", "-vv")[2]
    monkeypatch.setenv("PROVISION_DEBUG", "1")
    assert "Traceback" in said(capsys, "plan", "site.yml")[2]


def test_one_command_leaves_nothing_to_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "plan", "nosuch.yml", "--json")
    assert said(capsys, "nosuch")[1] == ""
    assert failure.current == []


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = "import sys; from personaplex_provision.cli.main import script; sys.argv[1:] = ['schema']; script()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_inventory_prints_only_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts.ini").write_text("[gpu]\na cards=2\nb\n[wsl]\nc\n")
    code, out, err = said(capsys, "inventory", "-i", "hosts.ini", "--list")
    assert (code, err) == (0, "")
    assert json.loads(out)["_meta"]["hostvars"]["a"] == {"cards": 2}
    _, out, _ = said(capsys, "inventory", "-i", "hosts.ini", "--list", "-l", "gpu")
    assert json.loads(out)["gpu"]["hosts"] == ["a", "b"]
    assert json.loads(out)["wsl"]["hosts"] == []
    assert said(capsys, "inventory", "-i", "hosts.ini", "--graph", "gpu")[1] == "@gpu:\n  |--a\n  |--b\n"
    assert said(capsys, "inventory", "-i", "hosts.ini", "--host", "a", "--yaml")[1] == "cards: 2\n"


def test_vars_explains_every_definition_the_winner_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts.ini").write_text("[gpu]\na port=1\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "gpu.yml").write_text("port: 2\n")
    _, out, _ = said(capsys, "vars", "a", "port", "-i", "hosts.ini", "--explain", "--json", "-e", "port=3")
    found = json.loads(out)["port"]
    assert [(one["value"], one["level"]) for one in found] == [
        ("3", "extra_vars"), (1, "inventory_file_host"), (2, "inventory_group_vars")]
    assert (os.path.basename(found[2]["file"]), found[2]["line"]) == ("gpu.yml", 1)
    _, out, _ = said(capsys, "vars", "a", "port", "-i", "hosts.ini", "--explain")
    assert out.splitlines()[1] == "  wins  1"
    assert said(capsys, "vars", "a", "prot", "-i", "hosts.ini")[2].endswith('hint: did you mean "port"?\n')


def test_vars_of_a_playbook_include_its_plays_and_roles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.yml").write_text("- hosts: localhost\n  vars: {port: 5}\n  tasks: []\n")
    _, out, _ = said(capsys, "vars", "localhost", "port", "-p", "site.yml", "--json")
    assert json.loads(out) == {"port": 5}


def test_a_sealed_variable_is_never_opened_for_showing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sealed = "$ANSIBLE_VAULT;1.1;AES256\n          3132\n"
    (tmp_path / "h.yml").write_text(f"all:\n  hosts:\n    a:\n      token: !vault |\n          {sealed}")
    _, out, _ = said(capsys, "vars", "a", "token", "-i", "h.yml", "--explain", "--json")
    assert json.loads(out)["token"][0]["value"] == "(encrypted)"


def test_completion_knows_every_flag_of_every_command() -> None:
    found = completion.words()
    assert list(found) == list(COMMANDS)
    for name in COMMANDS:
        parser = build(name)
        assert set(found[name]) >= set(parser.flags()) - {"-h", "--help"}
    assert "--limit" in found["plan"] and "show" in found["runs"] and "encrypt" in found["vault"]


def test_completion_of_bash_offers_what_fits() -> None:
    program = f"""{completion.bash(completion.words())}
COMP_WORDS=(provision ap); COMP_CWORD=1; _provision; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(provision plan --detailed); COMP_CWORD=2; _provision; echo "${{COMPREPLY[@]}}"
"""
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "apply\n--detailed-exitcode\n"


def test_resume_asks_again_for_what_the_run_was_asked_for() -> None:
    assert rebuilt({"arguments": ["apply", "-y", "site.yml", "-b"]}) == ["apply", "site.yml", "-b"]
    record = {"playbook": "/p/site.yml", "inventory": ["/p/hosts"], "limit": "a", "tags": ["x", "y"],
              "skip_tags": ["z"]}
    assert rebuilt(record) == ["apply", "/p/site.yml", "-i", "/p/hosts", "-l", "a", "-t", "x,y", "--skip-tags", "z"]
    with pytest.raises(UsageError):
        rebuilt({"run": "1"})
