"""`docker.yml` with a real engine: image built, container started, and everything taken back.

Docker comes from the distribution's mirror and runs inside the lab host. There is no registry, so the image that is
built on is made of a bookworm tree with its Python 3.11 and given the name that the role asks for; NVIDIA's toolkit and
the card are stand-ins, and Docker itself calls the toolkit's hook. PROVISION_ENGINE=1 runs it; `make soak` sets it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from .fingerprint import Fingerprint
from .host import LabHost
from .lab import Lab
from .mainjob import Said
from .mirror import mirror
from .station import changes as all_changes
from .station import sources
from .tree import tree

pytestmark = [
    pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("PROVISION_ENGINE"), reason="minutes; PROVISION_ENGINE=1, as in make soak"),
]

TOP = Path(__file__).parents[2]
BASE = "python:3.12-slim-bookworm"
ENGINE = re.compile(r"/var/lib/(docker|containerd)(/.*)?|/root/\.docker(/.*)?")
"What the engine and its client keep for themselves: images, the build cache, notes of builds."
LABEL = '{{index .Config.Labels "personaplex.made-of"}}'
SUITES = ["bookworm", "trixie"]
"Engine 20.10 with the first Compose, and engine 26 with the second."
LEFT_OUT = ("dev/*", "proc/*", "run/*", "sys/*", "tmp/*", "usr/share/doc/*", "usr/share/locale/*", "var/cache/*/*",
            "usr/lib/python3.11/EXTERNALLY-MANAGED")


@dataclass
class Engine:
    """A host with a card, on which `docker.yml` is applied; what was said and what the host was like are kept."""

    lab: Lab
    host: LabHost
    state: Path
    said: dict[str, Said] = field(default_factory=dict)
    looks: dict[str, Fingerprint] = field(default_factory=dict)

    def run(self, name: str, command: str, *words: str, playbook: str = "docker.yml", **settings: Any) -> Said:
        """Runs `provision`; keeps what it says, and the host's fingerprint after it, under `name`."""
        servers = self.lab.standins
        given = {
            **sources(self.lab), "personaplex_user": "lab", "huggingface_home": "/home/lab/.cache/huggingface",
            "docker_version": servers.git.commits["personaplex"][-1],
            "docker_toolkit_repository_url": servers.toolkit.url,
            "docker_toolkit_repository_key_url": servers.toolkit.key_url,
            "docker_toolkit_repository_fingerprint": servers.toolkit.fingerprint,
            "docker_pip_arguments": f"--trusted-host {servers.index.host}", "docker_apt_mirror": mirror(), **settings,
        }
        variables = self.state / "variables.yml"
        variables.write_text(yaml.safe_dump(given))
        argv = [str(Path(sys.executable).parent / "provision"), command, "--json", "-i",
                str(self.lab.inventory([self.host])), *words]
        if command != "rollback":
            argv += ["-e", f"@{variables}", str(TOP / "playbooks" / playbook)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.state),
                       "XDG_STATE_HOME": str(self.state / "state"), "XDG_CACHE_HOME": str(self.state / "cache")}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=TOP, env=environment, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.said[name] = Said(done.returncode, done.stdout[-4000:] + done.stderr[-4000:], events)
        self.looks[name] = self.host.fingerprint()
        return self.said[name]

    def docker(self, *words: str) -> str:
        """What Docker says on the host."""
        return self.host.run(["docker", *words]).stdout

    def container(self) -> str:
        """The id of the container that runs."""
        return self.docker("ps", "--quiet").strip()

    def image(self) -> str:
        """The name of its image."""
        return self.docker("ps", "--format", "{{.Image}}").strip()

    def inside(self, *words: str) -> str:
        """What a program says in the container."""
        return self.docker("exec", self.container(), *words)

    def give_base(self) -> None:
        """The image to build on, under the name that the role asks for."""
        leave = [f"--exclude=./{one}" for one in LEFT_OUT]
        root = tree("bookworm", ("python3-pip", "python-is-python3"))
        pack = ["tar", "-C", str(root), *leave, "-c", "."]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
            take = [*self.host.entrance(), "docker", "import", "-", BASE]
            subprocess.run(take, stdin=packed.stdout, check=True, stdout=subprocess.DEVNULL)
        assert packed.returncode == 0


def changes(before: Fingerprint, after: Fingerprint) -> list[str]:
    """What differs, without the engine's own."""
    return [line for line in all_changes(before, after) if not ENGINE.fullmatch(line.split()[1])]


@pytest.fixture(scope="module", params=SUITES)
def engine(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with lab.host(request.param, nested=True) as host:
        host.insert_card()
        here = Engine(lab, host, tmp_path_factory.mktemp("engine"))
        here.looks["bare"] = host.fingerprint()
        here.run("blank plan", "plan")
        here.run("files", "apply", "-y", docker_started=False)
        here.give_base()
        here.run("applied", "apply", "-y")
        here.run("again", "apply", "-y")
        here.run("plan", "plan", "--detailed-exitcode")
        yield here


def test_a_bare_machine_gets_engine_image_and_container(engine: Engine) -> None:
    for name in ("blank plan", "files", "applied"):
        assert engine.said[name].code == 0, engine.said[name].text
    assert engine.docker("ps", "--format", "{{.Ports}}").split() == ["127.0.0.1:8998->8998/tcp"]
    promised = set(engine.said["blank plan"].pending())
    done = {*engine.said["files"].changed(), *engine.said["applied"].changed()}
    assert {"docker/Docker", "docker/handler restart docker", "docker/build the image and start the container"} <= done
    assert done <= promised


def test_a_second_run_changes_nothing(engine: Engine) -> None:
    assert engine.said["again"].code == engine.said["plan"].code == 0, engine.said["plan"].text
    assert engine.said["again"].changed() == engine.said["plan"].pending() == []
    assert changes(engine.looks["applied"], engine.looks["plan"]) == []


def test_the_port_is_open_on_the_loopback_only_and_speaks_tls(engine: Engine) -> None:
    listening = engine.host.run(["ss", "-Hltn", "sport = :8998"]).stdout.splitlines()
    assert [line.split()[3] for line in listening] == ["127.0.0.1:8998"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((engine.host.address, 8998), timeout=5)
    ask = "import ssl, sys, urllib.request as u; c = ssl.create_default_context(cafile=sys.argv[1]); "
    ask += "print(u.urlopen('https://localhost:8998/', context=c).status)"
    assert engine.host.run(["python3", "-c", ask, "/home/lab/.personaplex/ssl/cert.pem"]).stdout.strip() == "200"


def test_the_image_has_the_torch_that_knows_the_card_in_spite_of_the_pin(engine: Engine) -> None:
    assert engine.inside("pip", "show", "torch").splitlines()[1] == "Version: 2.9.1"
    assert engine.inside("pip", "show", "moshi-personaplex").splitlines()[1] == "Version: 0.1.0"
    multiply = "a = t.ones(2, 2, device='cuda'); print((a @ a).sum().item(), t.cuda.get_device_name())"
    said = engine.inside("python", "-c", f"import torch as t; {multiply}")
    assert said.strip() == "8.0 NVIDIA GeForce RTX 5090"


def test_verify_tells_a_container_that_stands_from_one_that_answers(engine: Engine) -> None:
    assert engine.run("verified", "verify", "--tags", "docker").code == 0, engine.said["verified"].text
    running = engine.container()
    engine.docker("stop", running)
    said = engine.run("stopped", "verify", "--tags", "docker")
    engine.docker("start", running)
    assert said.code == 6, said.text
    failed = {one["name"] for one in said.events if one["type"] == "task_end" and one["outcome"] == "failed"}
    assert failed == {"the container's page comes over TLS",
                      "the container's port is open where it was told, and nowhere else"}


def test_a_container_that_reserves_no_card_has_none(engine: Engine) -> None:
    look = ["docker", "run", "--rm", "--entrypoint", "test", engine.image(), "-e", "/usr/lib/wsl/lib/libcuda.so.1"]
    assert engine.host.run(look, check=False).returncode == 1


def test_the_token_is_in_no_image_and_no_inspection(engine: Engine) -> None:
    token = engine.lab.standins.hub.token
    assert engine.inside("cat", "/run/secrets/huggingface_token").strip() == token
    told = engine.docker("inspect", engine.container(), engine.image())
    told += engine.docker("history", "--no-trunc", engine.image())
    assert "/run/secrets/huggingface_token" in told and token not in told
    search = ["docker", "run", "--rm", "--entrypoint", "grep", engine.image(), "-rlF", token, "/app", "/etc", "/root"]
    assert engine.host.run(search, check=False).stdout == ""


def test_the_server_runs_as_the_user_and_cannot_write_the_certificate(engine: Engine) -> None:
    assert engine.inside("id", "-u").strip() == "1000"
    assert "Read-only" in engine.host.run(
        ["docker", "exec", engine.container(), "touch", "/app/ssl/new"], check=False).stderr


def test_what_is_described_otherwise_is_made_anew_and_taken_back(engine: Engine) -> None:
    before = engine.docker("inspect", "--format", LABEL, engine.container())
    said = engine.run("otherwise", "apply", "-y", docker_environment={"NO_TORCH_COMPILE": "1"})
    assert said.code == 0, said.text
    assert engine.inside("printenv", "NO_TORCH_COMPILE").strip() == "1"
    back = engine.run("back", "rollback", "-y")
    assert back.code == 0, back.text
    assert engine.docker("inspect", "--format", LABEL, engine.container()) == before
    assert changes(engine.looks["plan"], engine.looks["back"]) == []
    assert engine.run("plan after", "plan", "--detailed-exitcode").code == 0


def test_a_cleanup_takes_the_container_too_and_gives_it_back(engine: Engine) -> None:
    said = engine.run("cleaned up", "apply", "-y", playbook="cleanup.yml")
    assert said.code == 0, said.text
    assert engine.container() == "" and "personaplex" not in engine.docker("images")
    back = engine.run("not cleaned up", "rollback", "-y")
    assert back.code == 0, back.text
    assert engine.docker("ps", "--format", "{{.Ports}}").split() == ["127.0.0.1:8998->8998/tcp"]
    assert changes(engine.looks["plan after"], engine.looks["not cleaned up"]) == []


def test_everything_goes_back_but_the_image_that_was_built_on(engine: Engine) -> None:
    back = engine.run("taken back", "rollback", "-y", engine.said["files"].events[0]["run"])
    assert back.code == 0, back.text
    assert changes(engine.looks["bare"], engine.looks["taken back"]) == []
    assert engine.host.run(["pgrep", "dockerd|containerd"], check=False).stdout == ""
