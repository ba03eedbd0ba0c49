"""What OpenSSH's client configuration says about a host: the options we use, with OpenSSH's own rules.

The first value found wins: `-o` and friends from ansible_ssh_common_args, then ~/.ssh/config, then
/etc/ssh/ssh_config. `Host`, `Match` and `Include` are understood; options that do not concern us are passed over.
"""

from __future__ import annotations

import fnmatch
import getpass
import glob
import hashlib
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from functools import lru_cache

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import ConfigurationError, Diagnostic, Position

SYSTEM = "/etc/ssh/ssh_config"
MANY = ("identityfile", "certificatefile", "localforward", "remoteforward", "sendenv", "setenv")
"Options that add up instead of the first winning."
DEPTH = 16
"How deep files may include one another."


@dataclass
class SshSettings:
    """How to reach a host by ssh; `values` holds every option found, lower-cased name -> values as written."""

    alias: str
    hostname: str
    port: int
    user: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """The first value of an option, tokens and `~` not expanded."""
        found = self.values.get(name.lower())
        return found[0] if found else default

    def flag(self, name: str, default: bool) -> bool:
        """Whether an option says yes."""
        word = self.get(name).lower()
        return word in ("yes", "true", "on") if word else default

    def number(self, name: str, default: int) -> int:
        """An option in seconds (`30`, `2m`, `1h30m`) or plain numbers."""
        found = re.findall(r"(\d+)([smhdw]?)", self.get(name).lower())
        units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        return sum(int(count) * units[unit] for count, unit in found) if found else default

    @property
    def identity_files(self) -> list[str]:
        """Key files named by the configuration, expanded; empty when it names none."""
        return [self.path(one) for one in self.values.get("identityfile", []) if one.lower() != "none"]

    @property
    def known_hosts(self) -> list[str]:
        """Files of known host keys, the user's first; new keys are added to the first."""
        own = self.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
        shared = self.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
        return [self.path(one) for one in (*_words(own), *_words(shared)) if one.lower() != "none"]

    @property
    def jumps(self) -> list[str]:
        """Hosts to go through, `[user@]host[:port]`, nearest first."""
        found = self.get("proxyjump")
        if not found or found.lower() == "none":
            return []
        return [self.expand(one.strip()) for one in found.split(",")]

    @property
    def proxy_command(self) -> str:
        """Shell command whose input and output are the connection; empty for none. ProxyJump wins over it."""
        found = self.get("proxycommand")
        return "" if self.jumps or found.lower() in ("", "none") else self.expand(found)

    @property
    def host_key_name(self) -> str:
        """Name under which the host's key is known."""
        alias = self.get("hostkeyalias")
        if alias:
            return alias
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"

    def path(self, value: str) -> str:
        """A file name with `~`, `${VAR}` and tokens expanded."""
        value = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)
        return os.path.expanduser(self.expand(value))

    def expand(self, value: str) -> str:
        """`%h` and the other tokens replaced."""
        return re.sub(r"%(.)", lambda found: self._token(found[1]), value)

    def _token(self, letter: str) -> str:
        here = socket.gethostname()
        simple = {
            "%": "%", "h": self.hostname, "n": self.alias, "p": str(self.port), "r": self.user,
            "u": getpass.getuser(), "d": os.path.expanduser("~"), "i": str(os.getuid()),
            "l": here, "L": here.split(".")[0], "k": self.get("hostkeyalias") or self.alias, "j": self.get("proxyjump"),
        }
        if letter == "C":
            text = here + self.hostname + str(self.port) + self.user + simple["j"]
            return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return simple.get(letter, f"%{letter}")


def settings_of(
    alias: str, user: str = "", port: int | None = None, arguments: Sequence[str] = (),
    files: Sequence[str] | None = None,
) -> SshSettings:
    """The settings for `alias`; `user` and `port` win over every file, `arguments` are ssh's own options.

    Raises ConfigurationError for a file that `-F` names and is not there, and for a line that is no option.
    """
    reader = _Reader(alias, user)
    own = _take_arguments(reader, arguments)
    if files is None:
        files = [own] if own else [os.path.expanduser("~/.ssh/config"), SYSTEM]
    if own and own.lower() != "none" and not os.path.isfile(own):
        raise ConfigurationError(f"the ssh configuration {own} is not there")
    for one in files:
        reader.read(one)
    values = reader.values
    # Words on the command line win over the inventory, as the last -p of an ssh command would.
    found = SshSettings(alias, alias, 22, user or getpass.getuser(), values)
    if "port" in reader.given or (port is None and "port" in values):
        found.port = int(values["port"][0])
    elif port is not None:
        found.port = port
    if "user" in reader.given or (not user and "user" in values):
        found.user = values["user"][0]
    found.hostname = reader.hostname()
    return found


def _take_arguments(reader: _Reader, arguments: Sequence[str]) -> str:
    """Notes the options among ssh's arguments; returns the file of `-F`, or nothing."""
    letters = {"p": "port", "l": "user", "i": "identityfile", "J": "proxyjump"}
    file, words = "", list(arguments)
    while words:
        word = words.pop(0)
        if len(word) < 2 or word[0] != "-":
            continue
        letter, value = word[1], word[2:]
        if letter in "oplijJFcmbBDEeILOQRSWw" and not value and words:
            value = words.pop(0)
        if letter == "o":
            name, _, text = re.sub(r"^(\w+)\s*[=\s]\s*", r"\1=", value.strip()).partition("=")
            reader.note(name, text)
        elif letter in letters:
            reader.note(letters[letter], value)
        elif letter == "F":
            file = os.path.expanduser(value)
    reader.given = frozenset(reader.values)
    return file


class _Reader:
    """Reads configuration files for one host."""

    def __init__(self, alias: str, user: str) -> None:
        self.alias = alias
        self.user = user
        self.values: dict[str, list[str]] = {}
        self.given: frozenset[str] = frozenset()

    def note(self, name: str, value: str) -> None:
        name = name.lower()
        if name in MANY:
            self.values.setdefault(name, []).append(_unquoted(value))
        elif name == "proxycommand":
            self.values.setdefault(name, [value])
        else:
            self.values.setdefault(name, [value if name.endswith("knownhostsfile") else _unquoted(value)])

    def hostname(self) -> str:
        written = self.values.get("hostname", [self.alias])[0]
        return written.replace("%%", "\0").replace("%h", self.alias).replace("\0", "%")

    def read(self, path: str, active: bool = True, depth: int = 0) -> None:
        if depth > DEPTH or not os.path.isfile(path):
            return
        try:
            state = os.stat(path)
            options = _options(path, (state.st_mtime_ns, state.st_size, state.st_ino))
        except OSError:
            return  # ssh too passes over a system file that it may not read
        outer = active
        for number, name, value in options:
            if name == "host":
                active = outer and _matches(self.alias, _words(value))
            elif name == "match":
                active = outer and self._match(_words(value), Position(path, number))
            elif name == "include":
                for one in self._included(path, value):
                    self.read(one, active, depth + 1)
            elif active:
                self.note(name, value)

    def _included(self, path: str, value: str) -> Iterator[str]:
        base = "/etc/ssh" if path.startswith("/etc/ssh") else os.path.expanduser("~/.ssh")
        for pattern in _words(value):
            yield from sorted(glob.glob(os.path.join(base, os.path.expanduser(pattern))))

    def _match(self, words: list[str], where: Position) -> bool:
        user = self.user or self.values.get("user", [getpass.getuser()])[0]
        subjects = {"host": self.hostname(), "originalhost": self.alias, "user": user, "localuser": getpass.getuser()}
        verdict = True
        while words:
            word = words.pop(0).lower()
            negated, word = word.startswith("!"), word.lstrip("!")
            if word == "all":
                found = True
            elif word in ("canonical", "final"):
                found = False
            elif word in (*subjects, "exec", "tagged", "localnetwork") and words:
                value = words.pop(0)
                if word == "exec":
                    found = verdict and self._succeeds(value, user)
                else:
                    found = _matches(subjects.get(word, ""), value.split(","))
            else:
                raise ConfigurationError(Diagnostic(f'"{word}" is not a condition of Match', "", where))
            verdict = verdict and found != negated
        return verdict

    def _succeeds(self, command: str, user: str) -> bool:
        port = int(self.values.get("port", ["22"])[0])
        command = SshSettings(self.alias, self.hostname(), port, user, self.values).expand(command)
        done = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        return done.returncode == 0


@lru_cache(maxsize=64)
def _options(path: str, _state: tuple[int, ...]) -> list[tuple[int, str, str]]:
    """What the lines of a file say; read once for all hosts, until the file is written to."""
    options = []
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = re.match(r"(\w+)(?:\s*=\s*|\s+)(.*)", line)
        if not found:
            raise ConfigurationError(Diagnostic("not an option of ssh", line, Position(path, number, 1)))
        options.append((number, found[1].lower(), found[2]))
    return options


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits and no negated one does."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if fnmatch.fnmatchcase(name.lower(), pattern.lstrip("!").lower().replace("[", "[[]")):
            if negated:
                return False
            found = True
    return found


def _words(value: str) -> list[str]:
    return list(_split(value))


@lru_cache(maxsize=256)
def _split(value: str) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError:
        return value.split()


def _unquoted(value: str) -> str:
    words = _words(value)
    return words[0] if len(words) == 1 else value
