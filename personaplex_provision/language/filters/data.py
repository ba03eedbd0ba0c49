"""Filters between values and their written forms: JSON, YAML, base64, Vault."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

import yaml

from personaplex_provision.agent.values import Secret
from personaplex_provision.language import source
from personaplex_provision.language.source import Float, Int, Text
from personaplex_provision.language.vault import VaultKeys, encrypt, is_vault

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Writer(_Dumper):  # type: ignore[misc]
    """Writes YAML as Ansible's dumper does; text and numbers lose where they were written."""


_Writer.add_multi_representer(Text, lambda dumper, value: dumper.represent_str(str(value)))
_Writer.add_multi_representer(Int, lambda dumper, value: dumper.represent_int(int(value)))
_Writer.add_multi_representer(Float, lambda dumper, value: dumper.represent_float(float(value)))
_Writer.add_multi_representer(dict, lambda dumper, value: dumper.represent_dict(value))
_Writer.add_multi_representer(tuple, lambda dumper, value: dumper.represent_list(value))
_Writer.add_multi_representer(list, lambda dumper, value: dumper.represent_list(value))


def bare(value: Any) -> Any:
    """Plain types all the way down: what was parsed from text is data, not something the author wrote."""
    if isinstance(value, dict):
        return {str(key) if isinstance(key, Text) else key: bare(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bare(item) for item in value]
    for kind, plain in ((Text, str), (Int, int), (Float, float)):
        if isinstance(value, kind):
            return plain.__str__(value) if plain is str else plain(value)
    return value


def _json_default(value: Any) -> Any:
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, set):
        return sorted(value)
    return list(value)


def to_json(value: Any, **options: Any) -> str:
    """`value` as JSON on one line."""
    for ours in ("vault_to_text", "preprocess_unsafe", "profile"):
        options.pop(ours, None)
    return json.dumps(bare(value), default=_json_default, **options)


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, **options: Any) -> str:
    """`value` as JSON for people."""
    options.pop("separators", None)
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def from_json(text: str) -> Any:
    """The value JSON writes."""
    return json.loads(text)


def to_yaml(value: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    """`value` as YAML, short."""
    for ours in ("vault_behavior", "dump_vault_tags"):
        options.pop(ours, None)
    text: str = yaml.dump(
        value, Dumper=_Writer, allow_unicode=True, default_flow_style=default_flow_style, **options
    )
    return text


def to_nice_yaml(value: Any, indent: int = 4, default_flow_style: bool = False, **options: Any) -> str:
    """`value` as YAML for people."""
    return to_yaml(value, default_flow_style, indent=indent, **options)


def from_yaml(text: Any) -> Any:
    """The value YAML writes."""
    return bare(source.load(text, "<from_yaml>")) if isinstance(text, str) else text


def from_yaml_all(text: Any) -> Any:
    """The values of all documents in a text."""
    if not text:
        return []
    return list(yaml.safe_load_all(text)) if isinstance(text, str) else text


def b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    """`value` in base64."""
    data = str(value).encode(encoding)
    return (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(data).decode("ascii")


def b64decode(value: str, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    """The text that base64 writes."""
    return (base64.urlsafe_b64decode if urlsafe else base64.b64decode)(value).decode(encoding)


def vault(value: str, secret: str, salt: Any = None, vault_id: str = "", wrap_object: bool = False) -> str:  # noqa: ARG001
    """`value` sealed by Ansible Vault."""
    if salt is not None:
        raise ValueError("a fixed salt would make the seal weaker; leave it out")
    return encrypt(value.encode("utf-8"), secret, vault_id)


def unvault(value: str, secret: str, vault_id: str = "") -> Secret | str:
    """What is sealed in `value`, as a secret."""
    if not is_vault(value):
        return value
    return Secret(VaultKeys([(vault_id, secret)]).decrypt(value).decode("utf-8"), "unvault")


FILTERS: dict[str, Any] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "from_json": from_json,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_yaml": to_yaml,
    "unvault": unvault,
    "vault": vault,
}
