"""A graphics card for a lab host: the driver's library and `nvidia-smi`, where WSL has them, telling what card it is.

The library is a description that the stand-in of PyTorch reads; nothing can be computed with it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

SMI = Path(__file__).parent / "files/card/nvidia-smi"
PLACE = "usr/lib/wsl/lib"


@dataclass(frozen=True)
class Card:
    """A card and its driver."""

    name: str = "NVIDIA GeForce RTX 5090"
    capability: tuple[int, int] = (12, 0)
    "Compute capability; the architecture sm_120 is 12.0."
    memory: int = 32607
    "MiB."
    free: int = 30500
    "MiB."
    driver: str = "581.57"
    cuda: str = "13.0"
    "The newest CUDA that the driver supports. It says nothing of what is installed."

    temperature: int = 61
    "Degrees Celsius."
    clock: int = 2407
    "MHz."
    throttle: int = 0
    "Why the clocks are held back, as bits: 0x20 and 0x40 are heat."
    error: str = ""
    "What nvidia-smi says instead of answering."

    def insert(self, root: Path) -> None:
        """Put the card into the host whose root directory is `root`."""
        place = root / PLACE
        place.mkdir(parents=True, exist_ok=True)
        (place / "libcuda.so.1").write_text(json.dumps(asdict(self)))
        shutil.copy(SMI, place / "nvidia-smi")
        (place / "nvidia-smi").chmod(0o755)
        link = root / "usr/bin/nvidia-smi"
        if not link.is_symlink():
            link.symlink_to(f"/{PLACE}/nvidia-smi")
