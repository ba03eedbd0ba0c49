"""Who holds which hosts, and freeing them."""

from __future__ import annotations

import contextlib

from personaplex_provision.errors import ProvisionError
from personaplex_provision.runs.asking import Report, chosen, each, open_host, reached
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import worst


class Leases:
    """The leases of some hosts; lives as long as the connections to them."""

    def __init__(self, options: Options, tell: Report) -> None:
        project, hosts = chosen(options, "")
        self.found: dict[str, Event] = {}
        "By host: `held`, `holder`, `root` (whether runs of root were looked at), and `how` it was freed."
        self._options = options
        self._tell = tell
        self._hosts = [open_host(project, name, become, tell) for name, become in hosts.items()]

    def look(self) -> None:
        """Asks every host who holds it; a host that cannot be reached is told of."""
        each(self._hosts, self._look, self._tell, self._options)

    def held(self) -> list[HostRun]:
        """The hosts that a run holds."""
        return [host for host in reached(self._hosts) if self.found.get(host.name, {}).get("held")]

    def free(self, patience: float, force: bool) -> None:
        """Has every held host freed of the run that was seen there; a run gets `patience` seconds to stop."""
        def one(host: HostRun) -> None:
            found = self.found[host.name]
            holder = found.get("holder") or {}
            wanted = {"type": "unlock", "run": str(holder.get("run", "")), "timeout": patience, "force": force}
            found.update(host.ask(wanted, "unlocked"))
            if found["how"] == "held":
                host.outcome.exit = 8

        each(self.held(), one, self._tell, self._options)

    def exit(self) -> int:
        """The exit code of all that was done."""
        return worst(host.outcome.exit for host in self._hosts)

    def close(self) -> None:
        """Hangs up everywhere."""
        for host in self._hosts:
            with contextlib.suppress(OSError, ProvisionError):
                host.close()

    def _look(self, host: HostRun) -> None:
        host.connect()
        found = host.ask({"type": "lease"}, "lease")
        self.found[host.name] = {name: found.get(name) for name in ("held", "holder", "root")}
