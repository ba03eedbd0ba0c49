"""The tools that are measured: how each is told to bring some hosts to the state of the workload."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from tests.benchmarks import workload
from tests.benchmarks.peers import ansible
from tests.benchmarks.venvs import environment, versions
from tests.lab.commands import output
from tests.lab.host import LabHost
from tests.lab.lab import Lab

HERE = Path(__file__).parent


@dataclasses.dataclass
class Tool:
    """One way to bring hosts to the state."""

    name: str
    command: Callable[[Sequence[LabHost]], list[str]]
    "The whole command line for some hosts."
    cwd: Path
    environment: dict[str, str]
    version: str = ""
    good: tuple[int, ...] = (0,)


def ours(lab: Lab, folder: Path, planning: bool = False) -> Tool:
    """`provision apply -y`, or only `plan`."""
    program = shutil.which("provision", path=str(Path(sys.executable).parent)) or "provision"
    playbook = str(workload.write(folder / "ours"))
    # Where byte code must not be written, every run would compile our own modules anew, and only ours.
    settings = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache"),
                "PYTHONDONTWRITEBYTECODE": ""}

    def command(hosts: Sequence[LabHost]) -> list[str]:
        words = ["plan"] if planning else ["apply", "-y"]
        return [program, *words, "-i", str(inventory(lab, folder, hosts)), playbook]

    return Tool("ours, plan" if planning else "ours", command, folder, settings)


def floor(lab: Lab, _folder: Path) -> Tool:
    """A bare connection and a script that checks or writes the same."""

    def command(hosts: Sequence[LabHost]) -> list[str]:
        named = [f"{host.name}={host.address}" for host in hosts]
        return [sys.executable, "-m", "tests.benchmarks.floor", str(lab.access.identity), str(lab.access.known_hosts),
                *named]

    return Tool("floor", command, HERE.parents[1], {"PYTHONDONTWRITEBYTECODE": ""})


def pyinfra(lab: Lab, folder: Path, nodelay: bool = False) -> Tool:
    """pyinfra as it comes, or with TCP_NODELAY."""
    bin_ = environment("pyinfra", "pyinfra")
    place = folder / "pyinfra"
    (place / "templates").mkdir(parents=True, exist_ok=True)
    (place / "templates" / "bench.j2").write_text(workload.TEMPLATE)
    for source in (HERE / "workload.py", HERE / "peers/pyinfra_deploy.py", HERE / "peers/pyinfra_nodelay.py"):
        shutil.copy(source, place)

    def command(hosts: Sequence[LabHost]) -> list[str]:
        listed = [
            (host.name, {
                "ssh_hostname": host.address, "ssh_user": "root", "ssh_key": str(lab.access.identity),
                "ssh_known_hosts_file": str(lab.access.known_hosts), "ssh_strict_host_key_checking": "yes",
                "ssh_allow_agent": False, "ssh_look_for_keys": False,
            }) for host in hosts
        ]
        path = place / f"inventory{len(hosts)}.py"
        path.write_text(f"hosts = {listed!r}\n")
        start = [str(bin_ / "python"), "pyinfra_nodelay.py"] if nodelay else [str(bin_ / "pyinfra")]
        return [*start, "-y", path.name, "pyinfra_deploy.py"]

    version = versions(bin_, "pyinfra")["pyinfra"]
    return Tool("pyinfra, TCP_NODELAY" if nodelay else "pyinfra", command, place, {}, version)


def ansible_tuned(lab: Lab, folder: Path, mitogen: bool = False) -> Tool:
    """Ansible with pipelining, forks, no facts and kept connections; or over mitogen."""
    name = "mitogen" if mitogen else "ansible"
    bin_ = environment(name, "ansible-core", *(["mitogen"] if mitogen else []))
    found = versions(bin_, "ansible-core", *(["mitogen"] if mitogen else []))
    plugins = ""
    if mitogen:
        code = "import ansible_mitogen.plugins.strategy as it; print(list(it.__path__)[0])"
        plugins = output([str(bin_ / "python"), "-c", code]).strip()
    place = folder / name
    playbook = ansible.write(place, plugins)

    def command(hosts: Sequence[LabHost]) -> list[str]:
        # Kept connections are kept within a run only: every run begins cold, as for the others.
        control = tempfile.mkdtemp(dir=place, prefix="c")
        path = place / f"inventory{len(hosts)}.json"
        options = " ".join([*lab.access.options(), "-o ControlMaster=auto -o ControlPersist=60s",
                            f"-o ControlPath={control}/%C"])
        shared = {"ansible_user": "root", "ansible_ssh_private_key_file": str(lab.access.identity),
                  "ansible_ssh_args": options}
        named = {host.name: {"ansible_host": host.address} for host in hosts}
        path.write_text(json.dumps({"all": {"vars": shared, "hosts": named}}))
        return [str(bin_ / "ansible-playbook"), "-i", str(path), str(playbook)]

    said = " + ".join(f"{one} {version}" for one, version in found.items())
    return Tool("mitogen" if mitogen else "Ansible tuned", command, place,
                {"ANSIBLE_CONFIG": str(place / "ansible.cfg"), "ANSIBLE_HOME": str(place / "home")}, said)


def inventory(lab: Lab, folder: Path, hosts: Sequence[LabHost]) -> Path:
    """Our inventory of some hosts, under a name that is not as long as they are many."""
    path = folder / f"inventory-{len(hosts)}.yml"
    content = yaml.safe_load(lab.inventory(hosts[:1]).read_text())
    content["all"]["hosts"] = {host.name: {"ansible_host": host.address} for host in hosts}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


MAKERS: dict[str, Callable[[Lab, Path], Tool]] = {
    "ours": ours,
    "plan": lambda lab, folder: ours(lab, folder, planning=True),
    "floor": floor,
    "pyinfra": pyinfra,
    "pyinfra-nodelay": lambda lab, folder: pyinfra(lab, folder, nodelay=True),
    "mitogen": lambda lab, folder: ansible_tuned(lab, folder, mitogen=True),
    "ansible": ansible_tuned,
}
"Names for `BENCH_TOOLS`."
