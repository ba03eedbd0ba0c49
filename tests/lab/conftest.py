"""The main job, done once for all tests that ask about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab
from .mainjob import MainJob


@pytest.fixture(scope="session")
def main_job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MainJob]:
    """`playbooks/wsl2.yml` planned, applied twice, planned again and rolled back on one host."""
    with lab.host("bookworm") as host:
        yield MainJob(lab, host, tmp_path_factory.mktemp("main-job")).everything()
