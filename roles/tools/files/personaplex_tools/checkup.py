"""One check, or all: `python -m personaplex_tools.checkup SETTINGS [CHECK…]`. Says what is wrong, why, and what to do.

Ends with 0 when all is well, 6 when something is not. `--json` writes one object a check.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Callable

from . import installed, model, offline, served
from .conversation import Busy, Dropped
from .fault import Fault, Settings, Unknown, settings
from .websocket import Closed

CHECKS: dict[str, tuple[Callable[[Settings], object], tuple[str, ...]]] = {
    # check: what it does, and the checks without which it says nothing new
    "driver": (installed.driver, ()),
    "gpu": (served.gpu, ("driver",)),
    "source": (installed.source, ()),
    "python": (installed.python, ()),
    "packages": (installed.packages, ("python",)),
    "torch": (installed.torch, ("packages", "gpu")),
    "server_starts": (installed.server_starts, ("packages", "torch")),
    "lock": (installed.lock, ("packages", "torch")),
    "env_file": (model.env_file, ()),
    "gate": (model.gate, ("env_file",)),
    "files": (model.files, ()),
    "voices": (model.voices, ("files",)),
    "certificate": (served.certificate, ()),
    "unit": (served.unit, ("server_starts", "certificate", "files")),
    "listens": (served.listens, ("unit",)),
    "web": (served.web, ("listens",)),
    "conversation": (served.conversation, ("web", "voices")),
    "offline": (offline.answered, ()),
    "voices_differ": (served.voices_differ, ("conversation",)),
}
LONG = ("offline", "voices_differ")
"""Checks that are made only when they are named."""
SHORT = [one for one in CHECKS if one not in LONG]
SHARED = "/run/personaplex-checkup.json"
"""What the last look found, for calls that belong together: a directory that is root's, and gone with a reboot."""


def check(name: str, given: Settings) -> tuple[str, dict[str, str]]:
    """`ok`, `unknown` or `fault`, and what is to be said about it."""
    try:
        CHECKS[name][0](given)
    except Unknown as error:
        return "unknown", {"what": str(error)}
    except Fault as error:
        return "fault", {"what": error.what, "cause": error.cause, "fix": error.fix}
    except (OSError, Busy, Closed, Dropped) as error:
        return "fault", {"what": f"{type(error).__name__}: {error}", "cause": "", "fix": "look at the journal of the service"}
    except ImportError as error:
        return "fault", {"what": str(error), "cause": "the virtualenv is not whole", "fix": "apply the playbook again"}
    return "ok", {}


def checked(names: list[str], given: Settings) -> list[dict[str, str]]:
    """The result of each check; one whose ground is missing is `blocked`, so that one fault is one fault."""
    found: list[dict[str, str]] = []
    bad: set[str] = set()
    for name in names:
        if set(CHECKS[name][1]) & bad:
            bad.add(name)
            found.append({"check": name, "outcome": "blocked"})
            continue
        outcome, words = check(name, given)
        if outcome == "fault":
            bad.add(name)
        found.append({"check": name, "outcome": outcome, **words})
    return found


def shared(run: str, names: list[str], given: Settings) -> list[dict[str, str]]:
    """The results of these checks, of one look at everything for all calls with the same `run`; they wait for it."""
    try:
        number = os.open(SHARED, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return checked(names, given)  # not root: every call looks for itself
    with open(number, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            known = json.load(file)
        except ValueError:
            known = {}
        if known.get("run") != run:
            known = {"run": run, "found": checked(SHORT, given)}
            file.seek(0)
            file.truncate()
            json.dump(known, file)
    return [one for one in known["found"] if one["check"] in names]


def told(one: dict[str, str]) -> str:
    """A result as a person reads it."""
    if one["outcome"] == "fault":
        more = "".join(f"\n    {label}: {one[key]}" for key, label in (("cause", "why"), ("fix", "do")) if one.get(key))
        return f"✗ {one['check']}: {one['what']}{more}"
    if one["outcome"] == "blocked":
        needs = " and ".join(CHECKS[one["check"]][1])
        return f"– {one['check']}: not looked at before {needs} is well"
    return f"✓ {one['check']}" if one["outcome"] == "ok" else f"– {one['check']}: {one['what']}"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="checkup", description="Looks whether PersonaPlex is well on this machine.")
    parser.add_argument("settings", help="settings.json, as the playbook wrote it")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"one of {', '.join(CHECKS)}; all short ones when left out")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", default="", metavar="ID", help="look once for all calls with this ID, as root")
    options = parser.parse_intermixed_args()
    odd = [one for one in options.checks if one not in CHECKS]
    if odd:
        parser.error(f"no check {', '.join(odd)}; there are {', '.join(CHECKS)}")
    with open(options.settings) as file:
        given = settings(json.load(file))
    names = options.checks or SHORT
    found = shared(options.run, names, given) if options.run and set(names) <= set(SHORT) else checked(names, given)
    for one in found:
        print(json.dumps({**one, "text": told(one)}) if options.json else told(one))
    return 6 if any(one["outcome"] == "fault" for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
