"""YAML as Kubernetes clients read it: text → documents, and objects → text that every YAML reader agrees on."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

_BOOL = "tag:yaml.org,2002:bool"
_FLOAT = "tag:yaml.org,2002:float"
_INT = "tag:yaml.org,2002:int"
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader with Kubernetes' idea of plain scalars, and without silent duplicates.

    kubectl (sigs.k8s.io/yaml) has no dates and no base-60 numbers, and reads `1e3` as a number.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.tag not in {_STR, _MERGE}:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key.value} would be read as a {key.tag.rpartition(':')[2]}; quote it",
                    key.start_mark,
                )
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    _BOOL,
    re.compile(r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
    list("yYnNtTfFoO"),
)
_Loader.add_implicit_resolver(_NULL, re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    _INT, re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[0-9][0-9_]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"^(?:[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(_MERGE, re.compile(r"^<<$"), ["<"])


def parse(text: str) -> list[Any]:
    """Every document of a text that is not empty.

    Raises:
        yaml.MarkedYAMLError: the text is no YAML, or a mapping has a key twice or a key that is no string.
    """
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


class _Dumper(yaml.CSafeDumper):
    """Block style, no anchors, and quotes wherever any reader in use would see something but the string."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, value: str) -> Any:
    return dumper.represent_scalar(_STR, value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
# What YAML 1.1, YAML 1.2 and Go's readers take for a number or a truth value, beyond what PyYAML does.
_Dumper.add_implicit_resolver(
    _FLOAT, re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)
_Dumper.add_implicit_resolver(_INT, re.compile(r"^[-+]?0[oO]?[0-7_]+$"), list("-+0"))
_Dumper.add_implicit_resolver(_BOOL, re.compile(r"^[yYnN]$"), list("yYnN"))


def dump(documents: Iterable[Any]) -> str:
    """Documents in block style, each but the first after `---`; keys keep their order."""
    return "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30) for document in documents
    )
