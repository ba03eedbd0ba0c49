"""The `group` kind."""

from __future__ import annotations

from typing import Iterator, List, Literal

from personaplex_provision.agent import machine
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.overlay import PlanningHost
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Resource, ResourceError
from personaplex_provision.agent.resources._accounts import ACCOUNT_FILES, ACCOUNT_TRACES

EXAMPLE = """
- name: people who may use the GPUs
  group:
    name: gpu
    gid: 2000
"""

@dataclass
class Group(Resource):
    """A local Unix group.

    Rollback is exact: the account files are put back as they were.
    """

    kind = "group"
    reversible_why = "The account files come back as they were; other changes to them since are refused first."
    exclusive = ("accounts",)
    unmanaged = ("system", "non_unique", "force")

    name: str
    "Group name."
    gid: int | None = None
    "Numeric id; the system chooses when left out."
    state: Literal["present", "absent"] = "present"
    "Whether the group should exist."
    system: bool = False
    "Whether a new group gets its id from the range for system groups."
    non_unique: bool = False
    "Whether `gid` may be the id of another group too."
    force: bool = False
    "Whether the group is removed even while it is some user's primary group."

    def validate(self) -> Iterator[str]:
        if not self.name or self.name.startswith("-") or any(c in self.name for c in ":,/ \t\n"):
            yield f'"{self.name}" is no name of a group: colon, comma, slash, space and a first dash are not allowed'
        if self.gid is not None and not 0 <= self.gid < 2**32 - 1:
            yield f"gid {self.gid} is outside the ids that exist (0 to 4294967294)"
        if self.non_unique and self.gid is None:
            yield "non_unique says something about gid, which is not given"

    def observe(self, host: Host) -> Group:
        found = host.group(self.name)
        if found is None:
            return Group(self.name, state="absent")
        return Group(self.name, gid=found.gid)

    def managed(self) -> List[str]:
        return ["state"] if self.state == "absent" else ["gid", "state"]

    def converge(self, now: Group, host: Host) -> None:
        if self.state == "absent":
            argv = ["groupdel", *(["-f"] if self.force else []), self.name]
        else:
            argv = ["groupadd" if now.state == "absent" else "groupmod"]
            if self.gid is not None:
                argv += ["-g", str(self.gid), *(["-o"] if self.non_unique else [])]
            if self.system and now.state == "absent":
                argv.append("-r")
            argv.append(self.name)
        found = host.run(argv, touches=[*ACCOUNT_FILES, *ACCOUNT_TRACES], check=False)
        if found.rc != 0:
            raise ResourceError(f"{argv[0]} refused: {found.stderr.strip()}", hint=_HINTS.get((argv[0], found.rc), ""))

    def predict(self, now: Group, host: Host) -> None:
        if self.state == "absent":
            host.declare("group", self.name, False)
            return
        assert isinstance(host, PlanningHost)
        before = host.group(self.name)
        gid = self.gid if self.gid is not None else before.gid if before else host.new_id()
        host.declare("group", self.name, machine.Group(self.name, gid, before.members if before else ()))

    def provides(self) -> List[Address]:
        return [("group", self.name)] if self.state == "present" else []

    def needs(self) -> List[Address]:
        return []

    def result(self, now: Group, after: Group, host: Host) -> dict[str, object]:
        return {"name": self.name, "gid": after.gid, "state": self.state, "system": self.system}


_HINTS = {
    ("groupadd", 4): "the gid is another group's: choose another, or say `non_unique: true`",
    ("groupmod", 4): "the gid is another group's: choose another, or say `non_unique: true`",
    ("groupdel", 8): "it is some user's primary group: remove the user first, or say `force: true`",
}
