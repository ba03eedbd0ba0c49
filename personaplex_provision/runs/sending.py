"""Sending a content that an agent asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

from personaplex_provision.agent.protocol import Channel
from personaplex_provision.planning.coerce import Stock


def send(channel: Channel, stock: Stock, message: Mapping[str, Any]) -> dict[str, Any]:
    """Sends what the host does not have of it yet; returns the answer. Raises OSError when the connection is gone."""
    sha256, have = str(message["sha256"]), int(message.get("have", 0))
    source: BinaryIO
    if sha256 in stock.blobs:
        source = io.BytesIO(stock.blobs[sha256][have:])
    elif sha256 in stock.files:
        try:
            source = stock.files[sha256].open(have)
        except OSError as error:
            return {"refused": str(error)}
    else:
        return {"refused": "the controller does not have it"}
    with source:
        channel.send_blob(sha256, source)
    return {}
