"""The extra variables that point a playbook at the lab: names of the roles on the left, facts of the lab on the right.

Who changes a role's variables changes this file, and nothing else of the lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tree import SUITES

if TYPE_CHECKING:
    from .lab import Lab


def variables(lab: Lab, suite: str = "bookworm") -> dict[str, object]:
    """Extra variables for a playbook that runs against a host of `suite` in `lab`."""
    standins = lab.standins
    apt, git, python, index, hub, rust = (
        standins.apt,
        standins.git,
        standins.python,
        standins.index,
        standins.hub,
        standins.rust,
    )
    return {
        "cuda_repository_url": apt.url,
        "cuda_repository_key_url": apt.key_url,
        "cuda_repository_fingerprint": apt.fingerprint,
        "personaplex_repository": git.url("personaplex"),
        "personaplex_version": git.commits["personaplex"][-1],
        "pyenv_repository": git.url("pyenv"),
        "pyenv_version": git.commits["pyenv"][-1],
        "python_version": SUITES[suite],
        "python_build_mirror_url": python.url,
        "pip_index_url": index.url,
        "pip_trusted_host": index.host,
        "torch_version": "2.9.1",
        "torch_cuda_version": "12.8",
        "hf_endpoint": hub.url,
        "hf_token": hub.token,
        "rustup_dist_server": rust.url,
        "rustup_version": rust.rustup,
        "rustup_sha256": rust.sha256,
        "rust_toolchain": rust.toolchain,
        "personaplex_device": "cpu",
    }
