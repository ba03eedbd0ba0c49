"""The run that holds a host, in words: who it is, for whom we wait, from whom a lease was taken over."""

from __future__ import annotations

import time
from typing import Any

from personaplex_provision.errors import Diagnostic

Holder = dict[str, Any]
STALE = 30.0
"Seconds without a heartbeat after which a holder is said not to move; it beats every five."


def locked(host: str, holder: Holder) -> Diagnostic:
    """The diagnostic for a host that another run holds."""
    return Diagnostic(f"{host}: another run holds this host", f"held by {described(holder)}",
                      hint="wait for it with --lock-timeout SECONDS; `provision unlock` shows it, and frees the host")


def news(message: Holder) -> Diagnostic:
    """What is said when the lease is waited for, or was taken over from a run that did not end it."""
    holder = message["holder"]
    if message["news"] == "waiting":
        return Diagnostic(f"waiting for {described(holder)}", severity="warning",
                          hint="`provision unlock` asks that run to stop")
    return Diagnostic(
        f"took the host over from {described(holder)}", "that run ended without giving it back; what it left "
        "unfinished is finished or undone first", severity="warning",
    )


def described(holder: Holder) -> str:
    """`alice@pc1, run 2026…, apply of site.yml since 14:02, process 4711`."""
    what = str(holder.get("purpose") or "")
    playbook = str(holder.get("playbook") or "").rsplit("/", 1)[-1]
    what += f" of {playbook}" if playbook else ""
    began = holder.get("since")
    if isinstance(began, (int, float)):
        what += f" since {moment(began)}"
    parts = [str(holder.get("who") or "someone"), f"run {holder.get('run', '?')}", *([what.strip()] if what else []),
             f"process {holder.get('pid', '?')}"]
    if holder.get("alive") and float(holder.get("quiet") or 0) > STALE:
        parts.append(f"which has not moved for {float(holder['quiet']):.0f} s")
    elif holder.get("alive") is False:
        parts.append("which is gone")
    return ", ".join(parts)


def moment(stamp: float) -> str:
    """A time of today as `14:02`, else with its date."""
    then, now = time.localtime(stamp), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)
