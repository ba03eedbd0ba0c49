"""How to reach a host, read from its variables under Ansible's names and from the command line."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Findings, suggestion
from personaplex_provision.language.source import position_of

KINDS = {
    "ssh": "ssh", "smart": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh", "ansible.builtin.ssh": "ssh",
    "ansible.netcommon.libssh": "ssh", "local": "local", "ansible.builtin.local": "local",
    "wsl": "wsl", "community.general.wsl": "wsl",
    "docker": "docker", "community.docker.docker": "docker", "community.docker.docker_api": "docker",
    "podman": "podman", "containers.podman.podman": "podman",
    "chroot": "chroot", "community.general.chroot": "chroot", "nspawn": "nspawn",
}
"Every name that `ansible_connection` may have, and the executor it means."

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
YES, NO = ("yes", "true", "on", "1", "y", "t"), ("no", "false", "off", "0", "n", "f", "")


@dataclass
class Link:
    """What the command line says about connections; a host's variables win over it, as in Ansible."""

    user: str = ""
    "`-u`"
    password: Secret | None = None
    "`-k`"
    kind: str = ""
    "`-c`"
    private_key: str = ""
    "`--private-key`"
    become: bool = False
    "`-b`, or the play's `become`"
    become_user: str = ""
    become_method: str = ""
    become_password: Secret | None = None
    "`-K`"
    timeout: float = 10.0
    "Seconds to reach a host in."
    accept_new_host_key: bool = False
    install_python: bool = False
    host_key_checking: bool = True
    "ANSIBLE_HOST_KEY_CHECKING"
    ask_passphrase: Callable[[str], str | None] | None = None
    "Asks a person for the passphrase of the key file it is given; None when there is no one to ask."


@dataclass
class Connection:
    """How to reach one host."""

    name: str
    "The host's name in the inventory."
    kind: str = "ssh"
    "`ssh`, `local`, `wsl`, `docker`, `podman`, `chroot` or `nspawn`."
    host: str = ""
    "Address or alias to connect to; container name or root directory for a container."
    port: int | None = None
    "None for what ~/.ssh/config says, else 22."
    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    "Path of the key file; empty for the usual ones."
    common_args: tuple[str, ...] = ()
    "Words of ansible_ssh_common_args and ansible_ssh_extra_args."
    become: bool = False
    become_user: str = "root"
    become_method: str = "sudo"
    become_password: Secret | None = None
    python: str = "python3"
    "Interpreter on the target."
    timeout: float = 10.0
    "Seconds to reach the host in, and for its Python to answer in."
    accept_new_host_key: bool = False
    host_key_checking: bool = True
    install_python: bool = False
    wsl_distribution: str = ""
    wsl_user: str = ""
    wsl_shell: str = "cmd"
    "Shell of the Windows SSH server: `cmd` or `powershell`."
    ask_passphrase: Callable[[str], str | None] | None = field(default=None, repr=False)

    @property
    def remote_wsl(self) -> bool:
        """Whether wsl.exe is reached through a Windows SSH server rather than here."""
        return self.kind == "wsl" and self.host not in ("", *LOCAL_NAMES)


def connection_of(host: str, variables: Mapping[str, Any], link: Link | None = None) -> Connection:
    """How to reach `host`, from its variables (rendered) and the command line.

    Without `ansible_connection`, `localhost` with no address of its own is this machine; every other host is
    reached by ssh. Raises InvalidError with everything that is wrong at once.
    """
    link = link or Link()
    read = _Reader(host, variables)
    own_address = any(key in variables for key in ("ansible_host", "ansible_ssh_host", "ansible_port"))
    default = link.kind or ("local" if host in LOCAL_NAMES and not own_address else "ssh")
    named = read.text("ansible_connection", default=default)
    kind = KINDS.get(named, "")
    if not kind:
        read.wrong("ansible_connection", f'"{named}" is not a way to reach a host',
                   suggestion(named, KINDS) or f"known: {', '.join(sorted(set(KINDS.values())))}")
    checking = read.flag("ansible_host_key_checking", "ansible_ssh_host_key_checking", default=link.host_key_checking)
    key = read.text("ansible_ssh_private_key_file", "ansible_private_key_file", default=link.private_key)
    wsl_address = "" if kind == "wsl" and "ansible_host" not in variables else host
    found = Connection(
        name=host,
        kind=kind,
        host=read.text("ansible_host", "ansible_ssh_host", default=wsl_address),
        port=read.number("ansible_port", "ansible_ssh_port"),
        user=read.text("ansible_user", "ansible_ssh_user", default=link.user),
        password=read.secret("ansible_password", "ansible_ssh_password", "ansible_ssh_pass") or link.password,
        private_key=str(Path(key).expanduser()) if key else "",
        common_args=(*read.words("ansible_ssh_common_args"), *read.words("ansible_ssh_extra_args")),
        become=read.flag("ansible_become", default=link.become),
        become_user=read.text("ansible_become_user", default=link.become_user or "root") or "root",
        become_method=read.text("ansible_become_method", default=link.become_method or "sudo"),
        become_password=read.secret("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
        or link.become_password,
        python=read.text("ansible_python_interpreter", default="python3"),
        timeout=float(read.number("ansible_timeout", "ansible_ssh_timeout") or link.timeout),
        accept_new_host_key=link.accept_new_host_key,
        host_key_checking=checking,
        install_python=link.install_python,
        wsl_distribution=read.text("wsl_distribution", "ansible_wsl_distribution"),
        wsl_user=read.text("wsl_user", "ansible_wsl_user"),
        wsl_shell=read.text("wsl_remote_ssh_shell_type", "ansible_shell_type", default="cmd"),
        ask_passphrase=link.ask_passphrase,
    )
    if found.python.startswith("auto"):  # Ansible's "auto", "auto_silent": discover
        found.python = "python3"
    if found.become_method.rpartition(".")[2] != "sudo":
        read.wrong("ansible_become_method", f'the become method "{found.become_method}" is not supported',
                   "supported: sudo")
    if kind == "wsl" and found.wsl_shell not in ("cmd", "powershell"):
        read.wrong("wsl_remote_ssh_shell_type", f'"{found.wsl_shell}" is not a shell of Windows', "cmd or powershell")
    if found.python.rpartition("/")[2].startswith("python2"):
        read.wrong("ansible_python_interpreter", "Python 2 cannot run the agent", "Python 3.9 or newer is needed")
    read.findings.raise_if_any()
    return found


class _Reader:
    """Takes variables by any of their names and notes what is wrong with them."""

    def __init__(self, host: str, variables: Mapping[str, Any]) -> None:
        self.host = host
        self.variables = variables
        self.findings = Findings()

    def wrong(self, name: str, what: str, hint: str = "") -> None:
        self.findings.add(f"{self.host}: {what}", position_of(self.variables.get(name)), hint=hint)

    def text(self, *names: str, default: str = "") -> str:
        name, value = self._first(names)
        if value is None:
            return default
        if isinstance(value, (dict, list)):
            self.wrong(name, f"{name} must be text, not a {'mapping' if isinstance(value, dict) else 'list'}")
            return default
        return value.reveal() if isinstance(value, Secret) else str(value)

    def secret(self, *names: str) -> Secret | None:
        name, value = self._first(names)
        if value is None or value == "":
            return None
        return value if isinstance(value, Secret) else Secret(str(value), name)

    def number(self, *names: str) -> int | None:
        name, value = self._first(names)
        if value is None or value == "":
            return None
        try:
            found = int(str(value))
            if 0 < found < 65536:
                return found
        except ValueError:
            pass
        self.wrong(name, f"{name} must be a whole number between 1 and 65535, not {value!s:.40}")
        return None

    def flag(self, *names: str, default: bool = False) -> bool:
        name, value = self._first(names)
        if value is None:
            return default
        word = str(value).lower()
        if word not in (*YES, *NO):
            self.wrong(name, f"{name} must be true or false, not {value!s:.40}")
        return word in YES

    def words(self, name: str) -> tuple[str, ...]:
        try:
            return _words(self.text(name))
        except ValueError as error:
            self.wrong(name, f"{name} cannot be split into words: {error}")
            return ()

    def _first(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            value = self.variables.get(name)
            if value is not None:
                return name, value
        return names[0], None


@functools.lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    """Split as a shell would; hosts of one inventory mostly have the same. Raises ValueError."""
    return tuple(shlex.split(text))
