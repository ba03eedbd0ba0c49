"""Long work in a thread of its own, so that signals and questions find the main thread free.

First Ctrl-C: running steps finish, none is started; second: running steps are ended too; third: we leave. While
nothing has been changed yet the first one leaves at once. SIGTERM does the same, and ends with 143.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from personaplex_provision.cli.output import Output

Stop = Callable[[bool], None]
_PACE = 0.2


class Job:
    """One piece of long work; `question` asks the person and may be called from the work's thread."""

    def __init__(self, output: Output, stop: Stop | None = None, again: str = "") -> None:
        self.output = output
        self.stop = stop
        self.again = again
        "The command that goes on where this one was interrupted; empty for `resume` and `rollback` of the run."
        self.unchanged = "Interrupted: nothing was changed."
        "What is said when it is interrupted before it may have changed anything."
        self.changing = False
        "Whether hosts may have been changed: from then on an interrupt lets running steps finish."
        self.signals = 0
        self.code = 0
        "130 or 143 once a signal came."
        # What a signal puts in may interrupt the very thread that takes out: only this queue stands that.
        self._questions: queue.SimpleQueue[tuple[Callable[[], Any], queue.Queue[Any] | None]] = queue.SimpleQueue()

    def ask(self, question: Callable[[], Any]) -> Any:
        """Has the main thread ask; the work waits for the answer. None when it was interrupted."""
        answer: queue.Queue[Any] = queue.Queue()
        self._questions.put((question, answer))
        return answer.get()

    def run(self, work: Callable[[], int]) -> int:
        """Does the work; returns its exit code, or that of the signal that ended it. Raises what the work raises."""
        ended: list[Any] = []

        def guarded() -> None:
            try:
                ended.append(work())
            except BaseException as error:
                ended.append(error)
            # Wakes the main thread at once, which else would notice at its next look.
            self._questions.put((lambda: None, None))

        # Only a program's main thread can take signals; used as a library we leave them alone.
        mine = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        handlers = {one: signal.signal(one, self._signalled) for one in mine}
        try:
            thread = threading.Thread(target=guarded, name="work", daemon=True)
            thread.start()
            while not ended:
                try:
                    question, answer = self._questions.get(timeout=_PACE)
                except queue.Empty:
                    continue
                if answer is None:
                    question()
                else:
                    answer.put(self._asked(question))
        finally:
            for one, handler in handlers.items():
                signal.signal(one, handler)
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return int(ended[0])

    def final(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with the exit code of SIGTERM where that is what ended the run."""
        if event["type"] == "summary" and event["exit"] == 130 and self.code:
            return {**event, "exit": self.code}
        return event

    def _asked(self, question: Callable[[], Any]) -> Any:
        # A person at the prompt is not in the middle of a step: Ctrl-C there is an answer like any other.
        def interrupt(number: int, frame: FrameType | None) -> None:
            del frame
            self.signals, self.code = self.signals + 1, 143 if number == signal.SIGTERM else 130
            raise KeyboardInterrupt

        handlers = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            return question()
        except KeyboardInterrupt:
            self._leave()
        except Exception as error:
            return error
        finally:
            for one, handler in handlers.items():
                signal.signal(one, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signals += 1
        self.code = 143 if number == signal.SIGTERM else 130
        if not self.changing or self.stop is None or self.signals >= 3:
            self._leave()
        kill = self.signals == 2
        # Not here: what says it may be held by the very code that the signal interrupted.
        self._questions.put((lambda: self._stop(kill), None))

    def _stop(self, kill: bool) -> None:
        self._say("Ending the running steps now; once more leaves without waiting." if kill else
                  "Stopping: the running steps finish, no other is started. Once more ends them.")
        # Sending may have to wait for a lock that the work holds.
        threading.Thread(target=self.stop, args=(kill,), daemon=True).start()

    def _leave(self) -> None:
        """Leaves at once, saying where things stand; whoever holds the view or waits for a host is not waited for."""
        farewell = threading.Thread(target=self._farewell, daemon=True)
        farewell.start()
        farewell.join(2.0)
        os._exit(self.code)

    def _farewell(self) -> None:
        if self.output.view is not None:
            # The view may be held by the very code that the signal interrupted.
            closing = threading.Thread(target=self.output.view.close, daemon=True)
            closing.start()
            closing.join(1.0)
            self.output.view = None
        if not self.changing:
            self._say(self.unchanged)
        else:
            run = self.output.run
            on = f"go on with: {self.again}" if self.again else (
                f"finish it: provision resume {run}; take it back: provision rollback {run}"
            )
            self._say(
                "Left. The hosts finish or undo the step they are in and then stop; their journals are whole.\n"
                f"See: provision runs show {run}; {on}"
            )
        self.output.ended(self.code)
        sys.stdout.flush()
        sys.stderr.flush()

    def _say(self, text: str) -> None:
        if self.output.json:
            self.output.event({"type": "diagnostic", "severity": "warning", "summary": text})
        elif self.output.view is not None:
            self.output.view.say(text)
        else:
            self.output.say(text)
