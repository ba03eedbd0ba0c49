"""Configuration: flags, then the environment, then `provision.toml` files; the first found wins for each key."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import ConfigurationError, Diagnostic, Position, suggestion

NAME = "provision.toml"
ENVIRONMENT = "PROVISION_"
SYSTEM = "/etc/provision/config.toml"


@dataclass(frozen=True)
class Setting:
    """One key: the flag it stands for, its type, and Ansible's variable of the same meaning."""

    flag: str
    type: str = "text"
    """text, number, seconds, duration (`7d`), yes, list (of text), path or paths (relative to the file they are
    written in)."""
    ansible: str = ""
    separator: str = ","
    "Between the items of a list in the environment."
    choices: tuple[str, ...] = ()


SETTINGS: dict[str, Setting] = {
    "inventory": Setting("inventory", "paths", "ANSIBLE_INVENTORY"),
    "roles_path": Setting("roles_path", "paths", "ANSIBLE_ROLES_PATH", ":"),
    "forks": Setting("forks", "number"),
    "jobs": Setting("jobs", "number"),
    "on_failure": Setting("on_failure", choices=("stop", "continue", "rollback")),
    "lock_timeout": Setting("lock_timeout", "seconds"),
    "on_disconnect": Setting("on_disconnect", choices=("continue", "stop")),
    "reconnect_timeout": Setting("reconnect_timeout", "seconds"),
    "heartbeat": Setting("heartbeat", "seconds"),
    "confirm": Setting("confirm", choices=("auto", "manual", "off")),
    "confirm_timeout": Setting("confirm_timeout", "seconds"),
    "timeout": Setting("timeout", "seconds"),
    "plan_max_age": Setting("plan_max_age", "duration"),
    "become": Setting("become", "yes"),
    "become_user": Setting("become_user"),
    "become_method": Setting("become_method"),
    "user": Setting("user"),
    "connection": Setting("connection"),
    "private_key": Setting("private_key", "path"),
    "accept_new_host_key": Setting("accept_new_host_key", "yes"),
    "install_python": Setting("install_python", "yes"),
    "host_key_checking": Setting("host_key_checking", "yes", "ANSIBLE_HOST_KEY_CHECKING"),
    "vault_id": Setting("vault_id", "list"),
    "vault_password_file": Setting("vault_password_file", "paths", "ANSIBLE_VAULT_PASSWORD_FILE"),
    "color": Setting("color", "yes"),
}
_OTHERS = ("debug",)
"Other variables with our prefix."
_YES, _NO = ("yes", "true", "on", "1", "y"), ("no", "false", "off", "0", "n")


@dataclass
class Configuration:
    """What the environment and the files say, by key, with where each value was found."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    warnings: list[Diagnostic] = field(default_factory=list)

    def fill(self, args: argparse.Namespace) -> None:
        """Sets every flag of the command that was not given; a given vault password is not joined by others."""
        given = any(getattr(args, one, None) for one in ("vault_id", "vault_password_file", "ask_vault_password"))
        for key, found in self.values.items():
            flag = SETTINGS[key].flag
            if given and key in ("vault_id", "vault_password_file"):
                continue
            if key == "host_key_checking" or (hasattr(args, flag) and getattr(args, flag) is None):
                setattr(args, flag, found)
            elif key == "color" and hasattr(args, "no_color"):
                args.no_color = args.no_color or not found


def load(start: str | Path, environment: Mapping[str, str] = os.environ, system: str = SYSTEM) -> Configuration:
    """What applies to a command whose playbook (or working directory) is `start`.

    Raises ConfigurationError with all that is wrong in the environment and in every file.
    """
    found, problems = Configuration(), list[Diagnostic]()
    _from_environment(found, environment, problems)
    for path in _files(start, environment, system):
        if _foreign(path):
            found.warnings.append(Diagnostic(
                f"{path} is left out: others may write to it", position=Position(str(path)),
                hint=f"chmod o-w {path}, and its folder", severity="warning",
            ))
            continue
        _from_file(found, path, problems)
    if problems:
        raise ConfigurationError(problems)
    return found


def _files(start: str | Path, environment: Mapping[str, str], system: str) -> list[Path]:
    """`provision.toml` from the folder of `start` upwards, then the user's, then the system's; those that exist."""
    place = Path(os.path.abspath(start))
    upwards = [folder / NAME for folder in (place, *place.parents)]
    home = environment.get("HOME") or os.path.expanduser("~")
    own = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    candidates = [*upwards, Path(own, "provision", "config.toml"), Path(system)]
    return [path for path in dict.fromkeys(candidates) if path.is_file()]


def _foreign(path: Path) -> bool:
    """Whether someone else may have written the file: it may name programs that are run."""
    own = os.stat(path)
    if own.st_uid in (0, os.geteuid()):
        return bool(own.st_mode & 0o002)
    return bool((own.st_mode | os.stat(path.parent).st_mode) & 0o002)


def _from_environment(found: Configuration, environment: Mapping[str, str], problems: list[Diagnostic]) -> None:
    for key, setting in SETTINGS.items():
        for name in (ENVIRONMENT + key.upper(), setting.ansible):
            if not name or not environment.get(name) or key in found.values:
                continue
            try:
                found.values[key] = _from_text(setting, environment[name])
                found.origins[key] = name
            except ValueError as error:
                problems.append(Diagnostic(f"{name}={environment[name]}: {error}"))
    names = {key.upper() for key in (*SETTINGS, *_OTHERS)}
    for name in environment:
        word = name.removeprefix(ENVIRONMENT)
        if name.startswith(ENVIRONMENT) and word not in names and (near := suggestion(word, names)):
            found.warnings.append(Diagnostic(
                f"{name} is not read", hint=near.replace('"', f'"{ENVIRONMENT}', 1), severity="warning",
            ))


def _from_text(setting: Setting, text: str) -> Any:
    if setting.type in ("list", "paths"):
        if setting.flag == "inventory" and text.rstrip().endswith(","):
            return [text]
        return [os.path.expanduser(one.strip()) for one in text.split(setting.separator) if one.strip()]
    if setting.type == "yes":
        if text.lower() not in (*_YES, *_NO):
            raise ValueError("it must be yes or no")
        return text.lower() in _YES
    if setting.type == "number":
        return _checked(setting, int(text) if text.isdigit() else text, None)
    if setting.type == "seconds":
        return _checked(setting, float(text) if re.fullmatch(r"\d+(\.\d*)?", text) else text, None)
    return _checked(setting, text, None)


def _from_file(found: Configuration, path: Path, problems: list[Diagnostic]) -> None:
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+), column (\d+)", str(error))
        where = Position(str(path), int(at[1]), int(at[2])) if at else Position(str(path))
        problems.append(Diagnostic(f"not valid TOML: {str(error).partition(' (at')[0].lower()}", position=where))
        return
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Diagnostic(f"cannot read {path}: {error}", position=Position(str(path))))
        return
    for key, value in data.items():
        setting = SETTINGS.get(key)
        if setting is None:
            hint = suggestion(key, SETTINGS) or f"known: {', '.join(SETTINGS)}"
            problems.append(Diagnostic(f'unknown key "{key}"', position=_position(path, text, key), hint=hint))
            continue
        try:
            checked = _checked(setting, value, path.parent)
        except ValueError as error:
            problems.append(Diagnostic(f"{key}: {error}", position=_position(path, text, key)))
            continue
        if key not in found.values:
            found.values[key], found.origins[key] = checked, str(path)


def _checked(setting: Setting, value: Any, folder: Path | None) -> Any:
    """The value in the form of its flag. Raises ValueError that says what it must be."""
    if setting.type == "yes":
        if not isinstance(value, bool):
            raise ValueError("it must be true or false")
        return value
    if setting.type == "number":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError("it must be a whole number, 1 or more")
        return value
    if setting.type == "seconds":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise ValueError("it must be a number of seconds")
        return float(value)
    if setting.type == "duration":
        from personaplex_provision.cli.quantities import duration

        if not isinstance(value, str):
            raise ValueError('it must be a duration in quotes, like "7d", "12h" or "90m"')
        return duration(value)
    if setting.type in ("list", "paths"):
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
            raise ValueError("it must be text or a list of it")
        return [_placed(one, folder) if setting.type == "paths" else one for one in items]
    if not isinstance(value, str):
        raise ValueError("it must be text")
    if setting.choices and value not in setting.choices:
        raise ValueError(f"it must be one of {', '.join(setting.choices)}")
    return _placed(value, folder) if setting.type == "path" else value


def _placed(path: str, folder: Path | None) -> str:
    """A path relative to the file it is written in; a list of hosts (`a,b,`) is no path."""
    if folder is None or "," in path:
        return path
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))


def _position(path: Path, text: str, key: str) -> Position:
    pattern = re.compile(rf"""\s*(?:\[+\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return Position(str(path), number, line.index(key) + 1)
    return Position(str(path))
