"""A blank machine becomes a workstation by one command, stays one, and becomes blank again by another."""

from __future__ import annotations

import pytest

from .fingerprint import difference
from .mainjob import MainJob

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]


def test_planning_changes_nothing(main_job: MainJob) -> None:
    assert main_job.said["plan"].code == 0, main_job.said["plan"].text
    assert difference(main_job.looks["blank"], main_job.looks["plan"]) == []


def test_one_command_makes_the_workstation(main_job: MainJob) -> None:
    assert main_job.said["apply"].code == 0, main_job.said["apply"].text
    made = main_job.looks["apply"]
    for path in ("/home/lab/personaplex/launcher.py", "/etc/systemd/system/personaplex.service"):
        assert path in made and path not in main_job.looks["blank"]


def test_the_same_command_again_changes_nothing(main_job: MainJob) -> None:
    again = main_job.said["again"]
    assert again.code == 0, again.text
    assert again.changed() == []
    assert difference(main_job.looks["apply"], main_job.looks["again"]) == []


def test_a_plan_of_the_workstation_has_nothing_to_do(main_job: MainJob) -> None:
    plan = main_job.said["plan again"]
    assert plan.code == 0, plan.text
    assert plan.pending() == []


def test_rollback_leaves_the_blank_machine(main_job: MainJob) -> None:
    back = main_job.said["rollback"]
    assert back.code == 0, back.text
    assert difference(main_job.looks["blank"], main_job.looks["rollback"]) == []
