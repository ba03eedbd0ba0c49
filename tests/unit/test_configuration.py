"""Configuration: which place wins, and what is said of a wrong one."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from personaplex_provision.cli.configuration import Configuration, load
from personaplex_provision.cli.main import build
from personaplex_provision.cli.settings import options_of
from personaplex_provision.errors import ConfigurationError, Position, UsageError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project folder two levels below the one that has the first provision.toml."""
    inner = tmp_path / "project" / "playbooks"
    inner.mkdir(parents=True)
    return inner


def read(place: Path, environment: dict[str, str] | None = None, system: str = "/nonexistent") -> Configuration:
    return load(place, {"HOME": str(place / "home"), **(environment or {})}, system)


def test_the_nearest_file_wins_for_each_key(place: Path) -> None:
    (place.parent.parent / "provision.toml").write_text('forks = 3\nuser = "outer"\n')
    (place.parent / "provision.toml").write_text("forks = 7\n")
    assert read(place).values == {"forks": 7, "user": "outer"}


def test_project_beats_user_beats_system_and_the_environment_beats_all(place: Path, tmp_path: Path) -> None:
    config = tmp_path / "config" / "provision"
    config.mkdir(parents=True)
    system = tmp_path / "system.toml"
    system.write_text("forks = 1\njobs = 1\nuser = 'system'\nconnection = 'ssh'\n")
    (config / "config.toml").write_text("forks = 2\njobs = 2\nuser = 'own'\n")
    (place / "provision.toml").write_text("forks = 3\njobs = 3\n")
    found = read(place, {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PROVISION_FORKS": "4"}, str(system))
    assert found.values == {"forks": 4, "jobs": 3, "user": "own", "connection": "ssh"}
    assert found.origins["forks"] == "PROVISION_FORKS"


def test_paths_are_relative_to_the_file_they_are_written_in(place: Path) -> None:
    (place.parent / "provision.toml").write_text('inventory = "hosts.ini"\nroles_path = ["roles", "/shared"]\n')
    found = read(place).values
    assert found["inventory"] == [str(place.parent / "hosts.ini")]
    assert found["roles_path"] == [str(place.parent / "roles"), "/shared"]


def test_a_list_of_hosts_is_no_path(place: Path) -> None:
    (place / "provision.toml").write_text('inventory = ["a,b,"]\n')
    assert read(place).values["inventory"] == ["a,b,"]
    assert read(place, {"PROVISION_INVENTORY": "a,b,"}).values["inventory"] == ["a,b,"]


def test_everything_wrong_is_said_at_once_with_its_place_and_what_was_meant(place: Path) -> None:
    file = place / "provision.toml"
    file.write_text('fork = 3\n\njobs = "many"\non_failure = "retry"\n')
    with pytest.raises(ConfigurationError) as caught:
        read(place, {"PROVISION_TIMEOUT": "soon"})
    assert caught.value.exit_code == 78
    said = {one.summary: (one.position, one.hint) for one in caught.value.diagnostics}
    assert said['unknown key "fork"'] == (Position(str(file), 1, 1), 'did you mean "forks"?')
    assert said["jobs: it must be a whole number, 1 or more"][0] == Position(str(file), 3, 1)
    assert said["on_failure: it must be one of stop, continue, rollback"][0] == Position(str(file), 4, 1)
    assert said["PROVISION_TIMEOUT=soon: it must be a number of seconds"][0] is None


def test_broken_toml_is_pointed_at(place: Path) -> None:
    (place / "provision.toml").write_text("forks = 3\nuser = \n")
    with pytest.raises(ConfigurationError) as caught:
        read(place)
    position = caught.value.diagnostics[0].position
    assert position is not None and position.line == 2


def test_a_table_is_an_unknown_key_with_its_line(place: Path) -> None:
    (place / "provision.toml").write_text("forks = 3\n[defaults]\nforks = 4\n")
    with pytest.raises(ConfigurationError, match=r"provision\.toml:2:2: error: unknown key \"defaults\""):
        read(place)


def test_ansibles_variables_are_honoured_and_ours_win(place: Path) -> None:
    theirs = {"ANSIBLE_INVENTORY": "theirs.ini", "ANSIBLE_ROLES_PATH": "/a:/b", "ANSIBLE_HOST_KEY_CHECKING": "False",
              "ANSIBLE_VAULT_PASSWORD_FILE": "secret"}
    assert read(place, theirs).values == {
        "inventory": ["theirs.ini"], "roles_path": ["/a", "/b"], "host_key_checking": False,
        "vault_password_file": ["secret"],
    }
    assert read(place, {**theirs, "PROVISION_INVENTORY": "ours.ini"}).values["inventory"] == ["ours.ini"]


def test_a_file_that_others_may_write_is_left_out_and_said_so(place: Path) -> None:
    file = place / "provision.toml"
    file.write_text("forks = 3\n")
    file.chmod(0o666)
    found = read(place)
    assert found.values == {}
    assert "others may write to it" in found.warnings[0].summary


def test_a_misspelt_variable_is_noticed(place: Path) -> None:
    found = read(place, {"PROVISION_FORK": "3", "PROVISION_SOMETHING_ELSE": "1"})
    assert [one.summary for one in found.warnings] == ["PROVISION_FORK is not read"]
    assert found.warnings[0].hint == 'did you mean "PROVISION_FORKS"?'


def parsed(*arguments: str) -> argparse.Namespace:
    return build(arguments[0]).read(list(arguments))


def test_a_flag_beats_configuration_and_what_is_not_given_is_filled_in() -> None:
    args = parsed("plan", "site.yml", "-f", "9")
    Configuration({"forks": 3, "become": True, "host_key_checking": False}).fill(args)
    options = options_of(args)
    assert (options.forks, options.link.become, options.link.host_key_checking) == (9, True, False)


def test_a_given_vault_password_is_not_joined_by_configured_ones() -> None:
    args = parsed("plan", "site.yml", "--vault-id", "lab@file")
    Configuration({"vault_password_file": ["other"]}).fill(args)
    assert options_of(args).vault_password_files == []


def test_the_flags_of_interface_md_reach_the_options() -> None:
    options = options_of(parsed(
        "apply", "site.yml", "-i", "a.ini", "-i", "b,", "-l", "x", "-l", "!y", "-t", "one,two", "-t", "three",
        "--skip-tags", "four", "--target", "Build", "-e", "a=1", "-e", "@f.yml", "-f", "5", "--jobs", "2",
        "--on-failure", "rollback", "--lock-timeout", "30", "--timeout", "3", "-b", "--become-user", "ada", "-u", "bob",
        "-c", "local", "--private-key", "k", "--accept-new-host-key", "--vault-id", "l@f", "--vault-password-file", "v",
    ))
    assert (options.inventory, options.limit) == (["a.ini", "b,"], "x,!y")
    assert options.tags == frozenset({"one", "two", "three"})
    assert options.skip_tags == frozenset({"four"})
    assert (options.targets, options.extra_vars) == (["Build"], ["a=1", "@f.yml"])
    assert (options.forks, options.jobs, options.on_failure, options.lock_timeout) == (5, 2, "rollback", 30.0)
    link = options.link
    assert (link.timeout, link.become, link.become_user, link.user, link.kind) == (3.0, True, "ada", "bob", "local")
    assert (link.private_key, link.accept_new_host_key) == ("k", True)
    assert (options.vault_ids, options.vault_password_files) == (["l@f"], ["v"])


@pytest.mark.parametrize("limit", ["", " ", ",", ":"])
def test_an_empty_limit_never_means_every_host(limit: str) -> None:
    with pytest.raises(UsageError, match="--limit is empty"):
        options_of(parsed("plan", "site.yml", "--limit", limit))
