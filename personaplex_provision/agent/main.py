"""The agent's conversation: answers the controller's messages until it hangs up."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.protocol import Channel


def serve(channel: Channel) -> None:
    """Answers until the controller closes the stream."""
    while True:
        try:
            message: Any = channel.receive()
        except EOFError:
            return
        if isinstance(message, dict) and message.get("type") == "ping":
            channel.send({"type": "pong", **{key: message[key] for key in message if key != "type"}})
        elif isinstance(message, dict) and message.get("type") == "hello":
            channel.send({"type": "hello", "facts": {}})
