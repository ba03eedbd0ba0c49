"""Judging a result: until, failed_when, changed_when, read with the variables of the task."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar


@dataclass(frozen=True)
class Judge:
    """The conditions of one task, ready to be applied to its result."""

    keywords: Mapping
    templar: Templar
    register: str

    def verdict(self, result: dict[str, Any], attempt: int) -> dict[str, Any]:
        """`{"changed", "failed", "again", "reason"}` for a result as the agent reports it."""
        seen = {**result, "attempts": attempt}
        templar = self.templar.with_variables({self.register or "result": seen, **seen_alone(seen)})
        failed, changed, reason = bool(result.get("failed")), bool(result.get("changed")), str(result.get("msg", ""))
        try:
            if "failed_when" in self.keywords:
                failed = self._any(templar, "failed_when")
                reason = f"failed_when: {_text(self.keywords['failed_when'])}" if failed else ""
            if "changed_when" in self.keywords:
                changed = self._any(templar, "changed_when")
            again = failed
            if "until" in self.keywords:
                again = not templar.condition(self.keywords["until"], self.keywords.at("until"))
                if again and not failed:
                    reason = f"until: {_text(self.keywords['until'])} never held"
        except ProvisionError as error:
            return {"changed": changed, "failed": True, "again": False, "reason": str(error)}
        return {"changed": changed, "failed": failed or (again and "until" in self.keywords), "again": again,
                "reason": reason or "it failed"}

    def _any(self, templar: Templar, keyword: str) -> bool:
        """A list of failed_when or changed_when holds when all of it does, as in Ansible."""
        return templar.condition(self.keywords[keyword], self.keywords.at(keyword))


def seen_alone(result: dict[str, Any]) -> dict[str, Any]:
    """The parts of a result that conditions may name without the register (`rc`, `stdout`, …)."""
    return {key: result[key] for key in ("rc", "stdout", "stderr", "changed", "failed") if key in result}


def _text(value: Any) -> str:
    return "; ".join(str(one) for one in value) if isinstance(value, list) else str(value)
