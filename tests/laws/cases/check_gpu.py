"""Cases of the `check_gpu` kind."""

from __future__ import annotations

from tests.laws.case import Case

_CARD = "NVIDIA GeForce RTX 5090, 581.57, 12.0, 32607, 31000, 41, 3"

CASES = [
    Case(
        "check_gpu", "a card that will do",
        {"program": "{dir}/nvidia-smi", "driver": {"ge": "570"},
         "compute_capability": {"ge": "8.0"}, "free_gib": {"ge": 20}},
        setup=[["sh", "-c", f"printf '#!/bin/sh\\necho \"{_CARD}\"\\n' > {{dir}}/nvidia-smi"],
               ["chmod", "755", "{dir}/nvidia-smi"]], changes=False,
    ),
]
