"""What a stand-in of NVIDIA's repository for containers holds: the toolkit, whose hook gives a container the card."""

from __future__ import annotations

from pathlib import Path

from .deb import Package

HOOK = Path(__file__).parent / "files/toolkit/nvidia-container-runtime-hook"
RUNTIME = '#!/bin/sh\nexec runc "$@"\n'

PACKAGES = (
    Package(
        "nvidia-container-toolkit", "1.17.8-1", "NVIDIA Container toolkit",
        "nvidia-container-toolkit-base (= 1.17.8-1)",
        files={"/usr/bin/nvidia-container-runtime-hook": HOOK.read_text()},
    ),
    Package(
        "nvidia-container-toolkit-base", "1.17.8-1", "NVIDIA Container Toolkit Base",
        files={"/usr/bin/nvidia-container-runtime": RUNTIME},
    ),
)  # fmt: skip
