"""Converses with the server in real time and measures it: `python -m personaplex_tools.benchmark --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field

from . import card, drawing
from .conversation import Busy, Conversation, Dropped, Server
from .fault import settings
from .listening import listener
from .speech import FRAME, LOUD, Samples, load, sentences, silence

STALL = 0.4
"""Seconds without sound from a server that sends some every 80 ms, which a listener hears as a gap."""
STEADY = 20.0
"""MiB a minute; memory that grows faster is not steady."""


@dataclass
class Turn:
    """Somebody spoke, and the model answered."""

    began: float
    ended: float
    answered: float | None = None
    hushed: float | None = None
    "When the model fell silent after it was interrupted; None when it was not interrupted, or went on."
    interrupted: bool = False


@dataclass
class Stall:
    """A gap in what was heard."""

    at: float
    "When the last sound before it came."
    seconds: float


@dataclass
class Record:
    """Everything that was seen."""

    began: float
    handshake: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    samples: list[card.Sample] = field(default_factory=list)
    said: str = ""
    ended: str = "done"
    "`done`, or why it ended early."
    lasted: float = 0.0


def converse(server: Server, options: argparse.Namespace, spoken: list[list[Samples]], pid: int | None) -> Record:
    """The whole conversation. Raises what Conversation raises."""
    record = Record(time.monotonic())
    with card.Watch(pid) as watch:
        with Conversation(server, options.voice, options.role, options.patience, watch.guard) as talk:
            record.handshake = talk.handshake
            try:
                _turns(talk, record, options, spoken)
            except card.TooHot:
                record.ended = f"stopped: the card reached {card.STOP} °C"
            times = [one.at for one in talk.heard if not one.text]
            record.stalls = [Stall(one, later - one) for one, later in zip(times, times[1:]) if later - one > STALL]
            record.said = talk.text()
    record.samples = watch.samples
    record.lasted = time.monotonic() - record.began
    return record


def _turns(talk: Conversation, record: Record, options: argparse.Namespace, spoken: list[list[Samples]]) -> None:
    talk.wait(0.5)
    number = 0
    while _goes_on(options, record, number):
        record.turns.append(_turn(talk, spoken[number % len(spoken)], options))
        number += 1
        if options.interrupt and number % options.interrupt == 0:
            record.turns.append(_interruption(talk, spoken[number % len(spoken)], options))


def _goes_on(options: argparse.Namespace, record: Record, number: int) -> bool:
    if options.minutes:
        return time.monotonic() - record.began < 60 * options.minutes
    return number < options.turns


def _turn(talk: Conversation, words: list[Samples], options: argparse.Namespace) -> Turn:
    """Speaks, then listens until the model has answered and is silent again, or for as long as one waits for a person."""
    began = time.monotonic()
    for one in words:
        talk.say(one)
    turn = Turn(began, time.monotonic())
    while time.monotonic() - turn.ended < options.answer:
        talk.say(silence(FRAME))
        turn.answered = turn.answered or talk.answer(turn.ended)
        if turn.answered and _silent_since(talk, turn.ended) > options.listen:
            break
    return turn


def _interruption(talk: Conversation, words: list[Samples], options: argparse.Namespace) -> Turn:
    """Waits until the model speaks, and speaks over it: it should fall silent."""
    asked = time.monotonic()
    for one in words:
        talk.say(one)
    ended = time.monotonic()
    while talk.answer(ended) is None and time.monotonic() - ended < options.answer:
        talk.say(silence(FRAME))
    turn = Turn(asked, time.monotonic(), talk.answer(ended), interrupted=True)
    spoke = time.monotonic()
    for one in words:
        talk.say(one)
        if turn.hushed is None and _silent_since(talk, spoke) >= 0.24:
            turn.hushed = time.monotonic() - 0.24
    talk.wait(options.listen)
    return turn


def _silent_since(talk: Conversation, since: float) -> float:
    """Seconds for which the model has been silent by now, counted from `since` at the earliest."""
    loud = [one.at for one in talk.heard if one.loudness >= LOUD]
    return time.monotonic() - max([since, *loud[-1:]])


@dataclass
class Row:
    """One line of the table."""

    metric: str
    target: str
    measured: str
    good: bool | None
    "None: it could not be measured here."


def judged(record: Record) -> list[Row]:
    """The record beside the deployment plan's targets."""
    plain = [one for one in record.turns if not one.interrupted]
    delays = sorted(1000 * (one.answered - one.ended) for one in plain if one.answered)
    unanswered = len(plain) - len(delays)
    rows = [Row("first response", "< 5 s", f"{record.handshake + delays_first(record):.2f} s" if delays else "none",
                bool(delays) and record.handshake + delays_first(record) < 5)]
    typical = delays[len(delays) // 2] if delays else None
    rows.append(Row("latency, median of turns", "< 500 ms", "none" if typical is None else f"{typical:.0f} ms",
                    typical is not None and typical < 500))
    rows.append(Row("turns answered", "all", f"{len(delays)} of {len(plain)}", not unanswered))
    rows.append(Row("interruption", "falls silent", *_interruptions(record)))
    worst = f", the longest {1000 * max(one.seconds for one in record.stalls):.0f} ms" if record.stalls else ""
    rows.append(Row(f"stalls over {STALL * 1000:.0f} ms", "0", f"{len(record.stalls)}{worst}", not record.stalls))
    rows += _of_card(record.samples)
    rows.append(Row("ended", "done", record.ended, record.ended == "done"))
    return rows


def delays_first(record: Record) -> float:
    """Seconds from the end of the first question to its answer."""
    return next((one.answered - one.ended for one in record.turns if one.answered), 0.0)


def _interruptions(record: Record) -> tuple[str, bool | None]:
    tried = [one for one in record.turns if one.interrupted]
    hushed = [1000 * (one.hushed - one.ended) for one in tried if one.hushed is not None]
    if not tried:
        return "not tried", None
    return (f"after {max(hushed):.0f} ms" if len(hushed) == len(tried) else f"{len(hushed)} of {len(tried)}"), len(hushed) == len(tried)


def _of_card(samples: list[card.Sample]) -> list[Row]:
    memory = [one.memory for one in samples if one.memory is not None]
    heat = [one.temperature for one in samples if one.temperature is not None]
    rows = [
        Row("VRAM", "< 28 GB", f"{max(memory) / 1024:.1f} GiB" if memory else "no card", max(memory) * 2**20 < 28e9 if memory else None),
        Row("temperature", f"< {card.ALERT} °C", f"{max(heat)} °C" if heat else "no card", max(heat) < card.ALERT if heat else None),
        Row("held back by heat", "never", f"{sum(one.throttled for one in samples)} of {len(samples)} s" if heat else "no card",
            not any(one.throttled for one in samples) if heat else None),
    ]
    for name, label in (("memory", "VRAM trend"), ("resident", "host memory trend")):
        slope = card.trend(samples, name)
        text = "too short to tell" if slope is None else f"{slope:+.1f} MiB/min"
        rows.append(Row(label, f"< {STEADY:.0f} MiB/min", text, None if slope is None else slope < STEADY))
    return rows


def table(rows: list[Row]) -> str:
    """The rows, aligned; a tick, a cross, or a dash for what could not be measured."""
    lines = [("", "metric", "target", "measured"), *(
        ({True: "✓", False: "✗", None: "–"}[one.good], one.metric, one.target, one.measured) for one in rows
    )]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in lines)


def main() -> int:
    """0: every target met; 1: one was missed; 2: there was no conversation; 3: stopped because the card was too hot."""
    parser = argparse.ArgumentParser(prog="benchmark", description="A conversation with PersonaPlex, measured.")
    parser.add_argument("settings", help="settings.json, as the playbook wrote it")
    parser.add_argument("--recording", help="mono 16 bit 24 kHz WAV; its sentences are the questions")
    parser.add_argument("--voice", default="NATF2.pt")
    parser.add_argument("--role", default="You enjoy having a good conversation.")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=0, help="converse for so long instead of a number of turns")
    parser.add_argument("--interrupt", type=int, default=5, help="speak over the model after every so many turns; 0: never")
    parser.add_argument("--answer", type=float, default=8, help="seconds to wait for an answer")
    parser.add_argument("--listen", type=float, default=0.8, help="seconds of silence after which an answer is over")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for the handshake")
    parser.add_argument("--out", required=True, help="directory for benchmark.json and benchmark.svg")
    options = parser.parse_args()
    with open(options.settings) as file:
        given = settings(json.load(file))
    options.recording = options.recording or given.recording
    server = Server(given.probe, given.port, f"{given.tls}/cert.pem")
    spoken = sentences(load(options.recording))
    if not spoken:
        print(f"nobody speaks in {options.recording}", file=sys.stderr)
        return 2
    try:
        record = converse(server, options, spoken, listener(server.port))
    except Busy:
        print("another conversation is on, and the server holds one at a time: close it and try again", file=sys.stderr)
        return 2
    except (Dropped, OSError) as error:
        print(f"no conversation with {server.address}:{server.port}: {error}", file=sys.stderr)
        return 2
    rows = judged(record)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "benchmark.json"), "w") as file:
        json.dump({"rows": [asdict(one) for one in rows], **asdict(record)}, file, indent=1)
    with open(os.path.join(options.out, "benchmark.svg"), "w") as file:
        file.write(drawing.timeline(record))
    print(table(rows))
    if record.lasted > 240:
        print("After 240 s the role leaves the model's window: what it says of itself then is no fault.")
    if record.ended != "done":
        return 3
    return 0 if all(one.good is not False for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
