"""Taking one resource through its life on this machine, in a scratch directory: the engine's own steps, no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from personaplex_provision.agent import image as images
from personaplex_provision.agent import step
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.store import Store


class Life:
    """One state directory, and resources applied, planned and taken back in it."""

    def __init__(self, tmp_path: Path, environment: dict[str, str] | None = None) -> None:
        self.store = Store(str(tmp_path / "state"))
        self.environment = environment or {}
        self.taken: list[images.Image] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.machine = Machine()
        self.prediction = Prediction()

    def host(self) -> Host:
        """A host as one task sees it; each begins anew, as a run does."""
        self.machine.forget()
        return Host(
            self.machine, self.store, environment=self.environment, record=self._record,
            event=lambda kind, **fields: self.events.append((kind, fields)),
        )

    def planning(self, task: str = "an earlier task") -> PlanningHost:
        """The planning host; predictions carry over."""
        return PlanningHost(self.host(), self.prediction, task)

    def check(self, resource: Resource) -> list[str]:
        """Names of the fields that differ."""
        return [one.field for one in step.observe(resource, self.host()).changes]

    def apply(self, resource: Resource) -> step.Outcome:
        """What applying gave; images are kept for `back`. Raises ResourceError."""
        self.taken = []
        return step.apply(resource, self.host(), lambda _: None)

    def back(self) -> None:
        """Puts back the images of the last apply."""
        for image in reversed(self.taken):
            images.restore(image, self.store)
        self.machine.forget()

    def plan(self, resource: Resource) -> str:
        """The planned action, with its prediction made. Raises Unpredictable, ResourceError."""
        host = self.planning(type(resource).__name__)
        found = step.observe(resource, host)
        if found.changes:
            step.predict(resource, found.now, host)
        return found.action

    def _record(self, taken: list[images.Image]) -> None:
        self.taken += taken
