"""A saved plan: one file that holds all that applying it needs, and no secret.

The file is a zip with `digest`, `plan.json` and `blobs/<sha256>`; equal plans give equal bytes. `digest` is over all
else in the file and is checked when the plan is read. Tasks name secrets (`{"$secret": name}`); `secrets` tells where
each comes from, so that applying can ask the vault again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from personaplex_provision import __version__
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.redact import Redactor
from personaplex_provision.agent.task import Task
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, InvalidError, MissingFileError, Position, StaleError
from personaplex_provision.planning.shape import misfit

FORMAT = 1
"Version of the file's layout."
MAX_AGE = 7 * 86400.0
"Seconds after which a plan is too old to be applied, unless `plan_max_age` is configured."
TELLING = 8
"Characters from which a secret's value is looked for in what is written; shorter ones occur by chance."


@dataclass
class HostPlan:
    """What is to be done on one host."""

    tasks: list[Task] = field(default_factory=list)
    "The host's graph, in the order of the list."
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    "What the plan said of each task, by address: action, diff, reason (JSON)."
    observed: dict[str, str] = field(default_factory=dict)
    "Digest of the state each task found, by address."
    settings: dict[str, Any] = field(default_factory=dict)
    "How the host is to be run: connection, privilege, what to do on a failure (JSON)."


@dataclass
class Plan:
    """A plan for some hosts."""

    playbook: str
    "Path of the playbook, as it was given."
    hosts: dict[str, HostPlan] = field(default_factory=dict)
    "By name of the host."
    inputs: dict[str, str] = field(default_factory=dict)
    "sha256 of each playbook, role and variable file the plan was made from, by path; see `digest_files`."
    blobs: dict[str, bytes] = field(default_factory=dict)
    "Contents that tasks name, by sha256."
    secrets: dict[str, str] = field(default_factory=dict)
    "Where each secret that tasks name comes from, by its name."
    options: dict[str, Any] = field(default_factory=dict)
    "Options of the command that made the plan and that applying it follows (JSON)."
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    "When it was made: ISO 8601 with a time zone."
    engine: str = __version__
    "Version of the engine that made it."


def write(path: str | os.PathLike[str], plan: Plan, values: Mapping[str, str] | None = None) -> None:
    """Writes a plan in one step, readable by its owner only.

    `values` are the secrets in use by name: when one of them stands in the plan, nothing is written and InvalidError
    tells which. Raises MissingFileError when the folder cannot be written to.
    """
    files = {"plan.json": _encode(plan)}
    files |= {f"blobs/{sha}": data for sha, data in plan.blobs.items()}
    _refuse_secrets(path, files, values or {})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in [("digest", _digest(files).encode()), *sorted(files.items())]:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, beside = tempfile.mkstemp(prefix=".plan-", dir=folder)
    except OSError as error:
        summary = f"cannot write {path}: {(error.strerror or str(error)).lower()}"
        raise MissingFileError(Diagnostic(summary)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(packed.getvalue())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def read(path: str | os.PathLike[str], max_age: float | None = MAX_AGE) -> Plan:
    """The plan of a file; `max_age` is in seconds, None for any.

    Raises MissingFileError, InvalidError when the file is no plan, was damaged or has another layout, StaleError when
    another version of the engine made it or it is too old.
    """
    where = Position(str(path))
    files = _unpack(path, where)
    told = files.pop("digest", b"").decode("ascii", "replace")
    if told != _digest(files):
        detail = "its content is not what was written: the file was changed or cut short"
        raise InvalidError(Diagnostic(f"{path} is damaged", detail, where, "make the plan again"))
    data = _json(path, files["plan.json"], where)
    if data.get("format") != FORMAT:
        detail = f"its layout is {data.get('format')}, this version reads {FORMAT}"
        raise InvalidError(Diagnostic(f"{path} was written by another version of provision", detail, where,
                                      "make the plan again"))
    if data.get("engine") != __version__:
        detail = f"it was made by {data.get('engine')}, this is {__version__}, which may decide differently"
        raise StaleError(Diagnostic(f"stale plan: {path}", detail, where, "make the plan again"))
    blobs = {name.removeprefix("blobs/"): body for name, body in files.items() if name != "plan.json"}
    plan = _shaped(path, data, blobs, where)
    if max_age is not None:
        check_age(path, plan, max_age)
    return plan


def check_age(path: str | os.PathLike[str], plan: Plan, max_age: float) -> None:
    """Raises StaleError when a plan was made more than `max_age` seconds ago."""
    age = (datetime.now(timezone.utc) - datetime.fromisoformat(plan.created)).total_seconds()
    if age > max_age:
        old = f"{age / 86400:.1f} days" if age >= 86400 else f"{age / 3600:.1f} hours"
        detail = f"it was made {old} ago, on {plan.created}"
        raise StaleError(Diagnostic(f"stale plan: {path}", detail, Position(str(path)),
                                    "make the plan again; `plan_max_age` in provision.toml says how old one may be"))


def is_saved(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a saved plan rather than a playbook."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def digest_files(paths: Iterable[str | os.PathLike[str]]) -> dict[str, str]:
    """sha256 of each file by path; a file that cannot be read has an empty one."""
    found = {}
    for path in paths:
        try:
            found[str(path)] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError:
            found[str(path)] = ""
    return found


def moved_inputs(plan: Plan) -> list[str]:
    """The files the plan was made from that are not as they were."""
    now = digest_files(plan.inputs)
    return sorted(path for path, digest in plan.inputs.items() if now[path] != digest)


def _encode(plan: Plan) -> bytes:
    data = {key: value for key, value in vars(plan).items() if key not in ("hosts", "blobs")}
    data["format"] = FORMAT
    data["hosts"] = {
        name: {**vars(host), "tasks": [one.to_json() for one in host.tasks]}
        for name, host in plan.hosts.items()
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _decode(data: dict[str, Any], blobs: dict[str, bytes]) -> Plan:
    del data["format"]
    hosts = {}
    for name, host in data.pop("hosts").items():
        tasks = [Task.from_json(one) for one in host.pop("tasks")]
        hosts[name] = HostPlan(tasks, **host)
    return Plan(**data, hosts=hosts, blobs=blobs)


def _json(path: str | os.PathLike[str], text: bytes, where: Position) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError(Diagnostic(f"{path} is damaged", str(error), where, "make the plan again")) from None
    if not isinstance(found, dict):
        raise InvalidError(Diagnostic(f"{path} is damaged", "it holds no plan", where, "make the plan again"))
    return found


def _shaped(
    path: str | os.PathLike[str], data: dict[str, Any], blobs: dict[str, bytes], where: Position,
) -> Plan:
    """The plan, every field of its type."""
    try:
        plan = _decode(data, blobs)
        wrong = misfit(plan, Plan)
        if not wrong and datetime.fromisoformat(plan.created).tzinfo is None:
            wrong = "created: without a time zone"
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        wrong = str(error)
    if wrong:
        raise InvalidError(Diagnostic(f"{path} is damaged", wrong, where, "make the plan again"))
    return plan


def _digest(files: Mapping[str, bytes]) -> str:
    """sha256 over the names, lengths and contents of all files."""
    found = hashlib.sha256()
    for name, data in sorted(files.items()):
        found.update(f"{name}\0{len(data)}\0".encode())
        found.update(data)
    return found.hexdigest()


def _unpack(path: str | os.PathLike[str], where: Position) -> dict[str, bytes]:
    try:
        packed = Path(path).read_bytes()
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot read {path}: {(error.strerror or str(error)).lower()}")) from None
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            files = {one.filename: archive.read(one) for one in archive.infolist()}
    except Exception as error:  # zipfile answers damage with errors of many kinds
        started = packed.startswith(b"PK\3\4")
        summary = f"{path} is damaged" if started else f"{path} is not a saved plan"
        hint = "make the plan again" if started else "`provision plan PLAYBOOK --out FILE` makes one"
        raise InvalidError(Diagnostic(summary, str(error), where, hint)) from None
    if "plan.json" not in files:
        hint = "`provision plan PLAYBOOK --out FILE` makes one"
        raise InvalidError(Diagnostic(f"{path} is not a saved plan", "it holds no plan.json", where, hint))
    return files


def _refuse_secrets(path: object, files: Mapping[str, bytes], values: Mapping[str, str]) -> None:
    """The last net: no file is made that holds a secret's value, in whatever usual encoding."""
    found = []
    for name, value in sorted(values.items()):
        if len(value) < TELLING:
            continue
        net = Redactor([Secret(value, name)])
        for data in files.values():
            text = data.decode("utf-8", "surrogateescape")
            if net.text(text) != text:
                hint = f"find where the value of {name} is written in plain text, and use the variable there"
                found.append(Diagnostic(f"the plan would hold the secret {name}: {path} is not written", hint=hint))
                break
    if found:
        raise InvalidError(found)
