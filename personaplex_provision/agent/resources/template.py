"""The `template` kind."""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._placing import PlacedFile

EXAMPLE = """
- name: configuration of the inference service
  template:
    src: inference.env.j2
    dest: /etc/inference/env
    owner: root
    group: root
    mode: "0640"
    validate: /bin/sh -n %s
"""


@dataclass
class Template(PlacedFile):
    """A file rendered from a Jinja template on the controller; on the target it is as `copy`.

    Taken back exactly: the file that was there is kept before it is replaced.
    """

    kind = "template"
    unmanaged = (
        *PlacedFile.unmanaged, "newline_sequence", "trim_blocks", "lstrip_blocks", "output_encoding",
        "block_start_string", "block_end_string", "variable_start_string", "variable_end_string",
        "comment_start_string", "comment_end_string",
    )

    newline_sequence: str = "\n"
    "What ends a line in the rendered text."
    trim_blocks: bool = True
    "Whether the first newline after a block is removed."
    lstrip_blocks: bool = False
    "Whether blanks before a block are removed."
    output_encoding: str = "utf-8"
    "Encoding of the rendered text."
    block_start_string: str | None = None
    "What starts a block; `{%` when left out."
    block_end_string: str | None = None
    "What ends a block; `%}` when left out."
    variable_start_string: str | None = None
    "What starts an expression; `{{` when left out."
    variable_end_string: str | None = None
    "What ends an expression; `}}` when left out."
    comment_start_string: str | None = None
    "What starts a comment; `{#` when left out."
    comment_end_string: str | None = None
    "What ends a comment; `#}` when left out."
