"""Extra variables that point `playbooks/wsl2.yml` at the lab: the roles' names left, the lab's facts right.

Who changes a role's variables changes this file, and nothing else of the lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tree import SUITES

if TYPE_CHECKING:
    from .lab import Lab


def variables(lab: Lab, suite: str = "bookworm") -> dict[str, object]:
    """Extra variables for a playbook that runs against a host of `suite` in `lab`; PersonaPlex needs `bookworm`."""
    servers = lab.standins
    return {
        # Who: the hosts are entered as root, and the server must not be.
        "personaplex_user": "lab",
        # A small host without a card.
        "preflight_require_gpu": False,
        "preflight_minimum_memory_gib": 0.5,
        "preflight_disk_space": [{"path": "/", "gib": 1, "what": "the laboratory"}],
        "server_device": "cpu",
        "preflight_packages_gib": 0.1,
        "offline_test_enabled": True,
        # NVIDIA's repository, signed with a key of the lab's own.
        "cuda_toolkit_repository_url": servers.apt.url,
        "cuda_toolkit_repository_key_url": servers.apt.key_url,
        "cuda_toolkit_repository_fingerprint": servers.apt.fingerprint,
        # Rust.
        "rust_server": servers.rust.url,
        "rust_rustup_version": servers.rust.rustup,
        "rust_rustup_checksums": {servers.rust.triple: servers.rust.sha256},
        "rust_toolchain": servers.rust.toolchain,
        # Python: what the stand-in builds is a copy of the host's own.
        "pyenv_repository": servers.git.url("pyenv"),
        "pyenv_version": servers.git.commits["pyenv"][-1],
        "python_version": SUITES[suite],
        "python_mirror": servers.python.url,
        "python_source_sha256": servers.python.sha256[SUITES[suite]],
        # PersonaPlex and its packages.
        "personaplex_repository": servers.git.url("personaplex"),
        "personaplex_version": servers.git.commits["personaplex"][-1],
        "personaplex_index_url": servers.index.url,
        "personaplex_pip_arguments": f"--trusted-host {servers.index.host}",
        # The hub, and the files of its small model.
        "huggingface_endpoint": servers.hub.url,
        "huggingface_token": servers.hub.token,
        "huggingface_revision": servers.hub.commit,
        "huggingface_files": [
            {"name": name, "sha256": file.sha256} for name, file in servers.hub.files.items() if name[0] != "."
        ],
    }
