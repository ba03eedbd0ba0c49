"""Whether a host has room for what a plan would put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personaplex_provision.agent.space import shortage
from personaplex_provision.errors import DeclinedError, Diagnostic

if TYPE_CHECKING:
    from personaplex_provision.runs.hostrun import HostRun


def check(host: HostRun) -> None:
    """Raises DeclinedError when what the plan takes is not free on the host."""
    why = shortage(host.outcome.space) if host.outcome.exit == 0 else {}
    if why:
        raise DeclinedError(Diagnostic(f"{host.name}: {why['summary']}", why["detail"], hint=why["hint"]))
