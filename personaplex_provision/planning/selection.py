"""Which tasks `--tags` and `--skip-tags` choose."""

from __future__ import annotations

from collections.abc import Collection


def selected(tags: Collection[str], only: Collection[str], skip: Collection[str]) -> bool:
    """Whether a task with `tags` is chosen; `always never tagged untagged all` as in Ansible.

    Source: Ansible documentation, "Tags", special tags.
    """
    own = set(tags)
    chosen = bool(own & set(only)) or "always" in own
    if "all" in only and "never" not in own:
        chosen = True
    if "tagged" in only and own - {"never"} and "never" not in own:
        chosen = True
    if "untagged" in only and not own:
        chosen = True
    if not chosen:
        return False
    dropped = bool(own & set(skip)) or ("tagged" in skip and bool(own)) or ("untagged" in skip and not own)
    if "all" in skip and "always" not in own:
        dropped = True
    return not dropped
