"""Checks of the recordings that the model answered without a server: the deployment plan's tests 1a and 1b."""

from __future__ import annotations

import json
import os
import re
import wave

from .fault import Fault, Settings, last
from .speech import LOUD, RATE, load, loudness

AGAIN = "remove it and apply the playbook again"
SPECIAL = ("EPAD", "BOS", "EOS", "PAD")
"""Pieces that are no words."""


def answered(s: Settings) -> None:
    """Every answer is as long as its recording, is not silent, has words in it, and was made with all weights."""
    for one in s.recordings:
        stem = f"{s.offline}/{one['name']}"
        if not os.path.exists(f"{stem}.wav"):
            raise Fault(f"the recording {one['name']} was not answered", "the role offline_test was left out or failed",
                        "apply the playbook with -e offline_test_enabled=true")
        with open(f"{stem}.log", errors="replace") as file:
            missing = re.findall(r"(?m)^Missing .*", file.read())
        if missing:
            raise Fault(f"{one['name']} was answered without all weights: {last(missing[0], 1)}", "what is missing was "
                        "filled in by lot", "see `checkup files`")
        _sound(f"{s.source}/{one['input']}", f"{stem}.wav", one["name"])
        with open(f"{stem}.json") as file:
            words = "".join(piece for piece in json.load(file) if piece not in SPECIAL).strip()
        if not words:
            raise Fault(f"nothing was said to {one['name']}", "", AGAIN)
        print(f"{one['name']}: {words[:120]}")


def _sound(heard: str, said: str, name: str) -> None:
    with wave.open(heard, "rb") as file:
        wanted = file.getnframes()
    try:
        samples = load(said)
    except (ValueError, EOFError, wave.Error) as error:
        raise Fault(f"the answer to {name} is no recording: {error}", "", AGAIN) from None
    if len(samples) != wanted:
        raise Fault(f"the answer to {name} lasts {len(samples) / RATE:.1f} s, the recording {wanted / RATE:.1f} s", "", AGAIN)
    if loudness(samples) < LOUD / 10:
        raise Fault(f"the answer to {name} is silent", "", AGAIN)
