"""PersonaPlex Provision: declarative provisioning with an honest plan and an exact way back."""

from __future__ import annotations

__version__ = "0.1.0"
