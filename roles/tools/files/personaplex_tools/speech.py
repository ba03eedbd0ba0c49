"""Sound: recordings, where somebody speaks in them, and the Opus codec of the virtualenv."""

from __future__ import annotations

import array
import math
import wave
from typing import Any

RATE = 24000
"""Samples a second, one channel: what PersonaPlex hears and says."""
FRAME = RATE * 80 // 1000
"""Samples of the 80 ms in which the model thinks."""
LOUD = 0.01
"""Loudness, as the root mean square of samples between -1 and 1, above which somebody is speaking."""

Samples = array.array


def load(path: str) -> Samples[float]:
    """The samples of a recording, between -1 and 1. Raises ValueError when it is not mono, 16 bit, 24 kHz."""
    with wave.open(path, "rb") as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, RATE):
            raise ValueError(f"{path} has {form[0]} channels of {8 * form[1]} bit at {form[2]} Hz, not 1 of 16 at {RATE}")
        whole = array.array("h", file.readframes(file.getnframes()))
    return array.array("f", (one / 32768 for one in whole))


def loudness(samples: Samples[float]) -> float:
    """The root mean square; 0 for nothing."""
    return math.sqrt(sum(one * one for one in samples) / len(samples)) if samples else 0.0


def frames(samples: Samples[float]) -> list[Samples[float]]:
    """Pieces of 80 ms; the last one is filled with silence."""
    pieces = [samples[at : at + FRAME] for at in range(0, len(samples), FRAME)]
    if pieces and len(pieces[-1]) < FRAME:
        pieces[-1] = pieces[-1] + silence(FRAME - len(pieces[-1]))
    return pieces


def silence(samples: int) -> Samples[float]:
    """Nothing, for so many samples."""
    return array.array("f", bytes(4 * samples))


def sentences(samples: Samples[float], pause: float = 0.4) -> list[list[Samples[float]]]:
    """The stretches in which somebody speaks, as frames; shorter pauses than `pause` seconds belong to a stretch."""
    found: list[list[Samples[float]]] = []
    current: list[Samples[float]] = []
    quiet = 0
    for one in frames(samples):
        loud = loudness(one) >= LOUD
        quiet = 0 if loud else quiet + 1
        if loud or current:
            current.append(one)
        if current and quiet * 0.08 >= pause:
            found.append(current[: len(current) - quiet])
            current = []
    if current:
        found.append(current[: len(current) - quiet])
    return found


class Codec:
    """Ogg/Opus both ways, by the library that the server uses too."""

    def __init__(self) -> None:
        import numpy
        import sphn

        self._numpy: Any = numpy
        self._writer: Any = sphn.OpusStreamWriter(RATE)
        self._reader: Any = sphn.OpusStreamReader(RATE)

    def encode(self, samples: Samples[float]) -> bytes:
        """The pages that are ready after these samples; perhaps none yet."""
        self._writer.append_pcm(self._numpy.frombuffer(samples.tobytes(), dtype="float32"))
        return bytes(self._writer.read_bytes())

    def decode(self, pages: bytes) -> Samples[float]:
        """The samples in these pages."""
        self._reader.append_bytes(pages)
        found = self._reader.read_pcm()
        return array.array("f") if found is None else array.array("f", found.tolist())
