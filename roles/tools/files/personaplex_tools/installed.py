"""Checks of what was installed: sources, interpreter, packages, PyTorch."""

from __future__ import annotations

import os
import re

from .fault import Fault, Settings, Unknown, error, last, said

AGAIN = "apply the playbook again"
NO_CARD = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


def source(s: Settings) -> None:
    """The checkout is at its commit, and nothing in it was changed."""
    # Looking must not refresh the index: a rollback would take that for a change of somebody.
    git = ["git", "--no-optional-locks", "-c", "safe.directory=*", "-C", s.source]
    status, head = said([*git, "rev-parse", "HEAD"])
    if status:
        raise Fault(f"{s.source} is no checkout of PersonaPlex", last(head), AGAIN)
    if head != s.commit:
        raise Fault(f"the checkout is at {head[:12]}, not at {s.commit[:12]}", "somebody pulled or switched", AGAIN)
    _, changed = said([*git, "status", "--porcelain", "--untracked-files=no"])
    if changed:
        raise Fault(f"files of the checkout were changed: {last(changed, 5)}", "", f"see `git -C {s.source} diff`; {AGAIN}")


def python(s: Settings) -> None:
    """The virtualenv has an interpreter that PersonaPlex's wheels are for, with all its modules."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    status, version = said([s.python, "-c", ask])
    if status:
        raise Fault(f"{s.python} does not start", last(version), f"the Python it was made with is gone: {AGAIN}")
    if version not in ("3.10", "3.11", "3.12"):
        cause = "torch, sentencepiece and sphn have wheels for 3.10 to 3.12 only"
        raise Fault(f"the virtualenv has Python {version}", cause, f"set python_version, remove {s.venv}; {AGAIN}")
    for name in s.modules:
        status, text = said([s.python, "-c", f"import {name}"])
        if status:
            raise Fault(f"Python lacks the module {name}", error(text), "it was built without the module's headers: remove "
                        f"that Python; {AGAIN}")


def packages(s: Settings) -> None:
    """PersonaPlex's own distribution is there, the other one with its import name is not, and no requirement is open."""
    status, text = said([s.python, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"])
    if status:
        raise Fault("pip does not run in the virtualenv", last(text), AGAIN)
    have = {line.partition("==")[0].lower().replace("_", "-"): line for line in text.splitlines() if "==" in line}
    for name in s.forbidden:
        if name in have:
            raise Fault(f"{have[name]} is installed", "it is another distribution that installs the same import package over "
                        "PersonaPlex's", f"{s.python} -m pip uninstall {name}; then {AGAIN}")
    for name in ("moshi-personaplex", *s.packages):
        if name not in have:
            why = "--cpu-offload needs it" if name == "accelerate" else ""
            raise Fault(f"{name} is not installed", why, AGAIN)
    _, text = said([s.python, "-m", "pip", "--disable-pip-version-check", "check"])
    # The one line that is meant: PersonaPlex asks for a torch that knows no card of today.
    meant = re.compile(r"moshi-personaplex \S+ has requirement torch<2\.5,>=2\.2\.0, but you have torch .*")
    wrong = [line for line in text.splitlines() if line and not meant.fullmatch(line) and "No broken" not in line]
    if wrong:
        raise Fault(f"requirements are open: {last(os.linesep.join(wrong), 5)}", "something was installed by hand", AGAIN)


def lock(s: Settings) -> None:
    """The lock file says what is installed."""
    try:
        with open(s.lock_file) as file:
            written = set(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", file.read().lower()))
    except OSError as error:
        raise Fault(f"there is no lock file: {error}", "", AGAIN) from None
    _, text = said([s.python, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"])
    have = set(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", text.lower().replace("_", "-")))
    have = {(name, version) for name, version in have if name != "moshi-personaplex"}
    written = {(name.replace("_", "-").replace(".", "-"), version) for name, version in written}
    have = {(name.replace(".", "-"), version) for name, version in have}
    if written != have:
        odd = ", ".join(sorted({name for name, _ in written ^ have})[:5])
        raise Fault(f"{s.lock_file} and the virtualenv differ in {odd}", "something was installed by hand", AGAIN)


def torch(s: Settings) -> None:
    """PyTorch is the one that was asked for, was built for the right CUDA, and computes on the card."""
    ask = "import torch; print(torch.__version__.partition('+')[0], torch.version.cuda)"
    status, text = said([s.python, "-c", ask])
    if status:
        raise Fault("torch cannot be imported", error(text), AGAIN)
    version, _, cuda = last(text, 1).partition(" ")
    if version != s.torch:
        cause = "installing PersonaPlex the plain way replaces it: its pin is torch < 2.5, which knows no Blackwell"
        raise Fault(f"torch is {version}, not {s.torch}", cause if version.startswith("2.4") else "", AGAIN)
    if cuda != s.torch_cuda:
        what = "for the processor only" if cuda == "None" else f"for CUDA {cuda}"
        raise Fault(f"torch was built {what}, not for CUDA {s.torch_cuda}", "the package index holds another build", AGAIN)
    if s.device == "cpu":
        return
    ask = (
        "import torch; a, b = torch.cuda.get_device_capability(); print(f'sm_{a}{b}', *torch.cuda.get_arch_list());"
        "x = torch.ones(2, 2, device='cuda'); print((x @ x).sum().item())"
    )
    status, text = said([s.python, "-c", ask])
    if status:
        raise Fault("torch cannot compute on the card", error(text), "see what nvidia-smi says; the driver may be gone")


def server_starts(s: Settings) -> None:
    """Everything that the server imports is there. Its help starts nothing; importing it would start the server."""
    status, text = said([s.python, "-m", "moshi.server", "--help"], NO_CARD)
    if status:
        raise Fault("the server cannot be started", error(text), AGAIN)


def driver(_: Settings) -> None:
    """In WSL there is no Linux driver: it would hide Windows's, and the card would be gone."""
    if not os.path.exists("/usr/lib/wsl/lib"):
        raise Unknown("this is not WSL")
    patterns = ["nvidia-driver*", "nvidia-dkms*", "libnvidia-compute*", "cuda-drivers*", "libcuda1"]
    _, text = said(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *patterns])
    there = [line.split()[-1] for line in text.splitlines() if line.startswith("ii")]
    if there:
        raise Fault(f"a Linux driver is installed in WSL: {', '.join(there)}", "it hides the driver of Windows",
                    f"apt-get purge {' '.join(there)}; in Windows: wsl --shutdown")
