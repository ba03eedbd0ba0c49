"""Carrying out a transaction of apt-get behind an image of what was there before."""

from __future__ import annotations

from typing import List, Sequence

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._apt_command import run_apt
from personaplex_provision.agent.resources._apt_image import AptImage
from personaplex_provision.agent.resources._apt_transaction import Transaction


def carry_out(
    host: Host, image: AptImage, arguments: List[str], done: Transaction, promised: Sequence[str], lock_timeout: float,
    parts: Sequence[List[str]] = (),
) -> None:
    """Runs `apt-get ARGUMENTS`, which is known to do `done`; nothing when that is nothing.

    `promised` names the packages that the plan said cannot be had again, and `parts` those that each task beyond the
    first answers for. Raises ResourceError.
    """
    image.discard()
    if not done.steps:
        return
    lost = image.keep(done.steps, parts)
    if set(lost) - set(promised):
        image.discard()
        raise ResourceError(
            f"no .deb of the present version is to be had of {', '.join(lost)}, so this could not be taken back",
            "nothing was changed; the plan promised a way back",
            "make room in the state directory, or put the .deb into /var/cache/apt/archives",
        )
    argv = ["apt-get", "-y", "-q", "-o", f"DPkg::Lock::Timeout={lock_timeout}", *arguments]
    ended = run_apt(host, argv, lock_timeout, len(done.steps))
    image.finish()
    if ended.rc != 0:
        said = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        result = {"rc": ended.rc, "stdout": ended.stdout, "stderr": ended.stderr}
        raise ResourceError(f"apt-get exited with {ended.rc}", "\n".join(said[-20:]), result=result)
