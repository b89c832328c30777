"""The forms that text takes in models.yaml: names, images, amounts, times; and what to call each in a message."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from wtsctl.catalog.quantity import (
    DURATION_PATTERN,
    QUANTITY_PATTERN,
    parse_bytes,
    parse_duration,
    parse_quantity,
)


def _number_as_text(value: Any) -> Any:
    """YAML reads `cpu: 8` as a number; Kubernetes takes both spellings, so do we."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value


def _checked(parse: Any) -> AfterValidator:
    """Keep the text as it is written, once it can be parsed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def _network(text: str) -> str:
    from ipaddress import ip_network

    try:
        # Kubernetes takes 10.1.2.3/8 for 10.0.0.0/8 too.
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"expected {FORMS[_CIDR][1]}, got '{text}'") from None
    return text


# Lengths and characters: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_SERVICE = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
_SUBDOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
_LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_MODEL_ID = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$"
_TASK = r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$"
_SECRET_KEY = r"^[A-Za-z0-9._-]{1,253}$"  # noqa: S105 - a pattern
_FOLDER = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)*$"
_RESOURCE = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"
_ABSOLUTE = r"^/\S+$"
_WORD = r"^\S+$"
VERSION = r"^[0-9]{1,4}(\.[0-9]{1,4}){0,2}$"
_STACK_VERSION = r"^0\.[27](\.[0-9]{1,4})?$"
_ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_HOST = r"^(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
_CIDR = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"
_KIND = r"^[A-Z][A-Za-z0-9]*$"
_URI = r"^[a-z][a-z0-9+.-]*://\S+$"
URL_PATH = r"^/\S*$"
_POINTER = r"^(/[^/]*)+$"
_METRIC = r"^[A-Za-z_:][A-Za-z0-9_:]*$"

FORMS: dict[str, tuple[str, str]] = {
    _LABEL: ("label", "lower-case letters, digits and '-', at most 63, with a letter or digit at both ends"),
    _SERVICE: ("service name", "lower-case letters, digits and '-', at most 63, with a letter first and no '-' last"),
    _SUBDOMAIN: (
        "subdomain",
        "lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part",
    ),
    _LABEL_VALUE: ("label value", "letters, digits, '.', '_' and '-', at most 63, with a letter or digit at both ends"),
    _MODEL_ID: ("model id", "letters, digits, '.', '_', '-' and '/', at most 128, with a letter or digit at both ends"),
    _TASK: ("task", "a letter, then letters, digits, '_', '-' and '.', at most 63"),
    _SECRET_KEY: ("secret key", "letters, digits, '.', '_' and '-', at most 253"),
    _FOLDER: (
        "folder",
        "a relative path of lower-case letters, digits, '-', '.' and '/', such as llama-serve/granite-8b",
    ),
    _RESOURCE: ("resource", "a resource such as nvidia.com/gpu"),
    _IMAGE: ("image", "an image such as registry.example.com/vllm:v1.0, without spaces"),
    _ABSOLUTE: ("absolute path", "an absolute path"),
    _WORD: ("word", "text without spaces"),
    VERSION: ("version", "a version such as 0.7 or 0.7.3"),
    _STACK_VERSION: (
        "Llama Stack release",
        (
            "0.7 or 0.2, with or without a third number: 0.3 to 0.6 each read another configuration, which is not "
            "written; OGX, its successor, has no shields"
        ),
    ),
    _ENV_NAME: ("variable", "the name of an environment variable: letters, digits and '_', no digit first"),
    _LABEL_KEY: ("label key", "a label's name such as nvidia.com/gpu.product, its part after the '/' at most 63 long"),
    _HOST: ("host", "a DNS name such as models.example.com, in lower case"),
    _CIDR: ("address range", "an address and the length of its prefix, such as 10.0.0.0/8"),
    _KIND: ("kind", "a Kubernetes kind such as Deployment"),
    _URI: ("URI", "an address with its scheme, such as http://milvus.example.com:19530"),
    URL_PATH: ("path", "a path that begins with /, without spaces"),
    _METRIC: ("metric", "the name of a metric: letters, digits, '_' and ':', no digit first"),
    _POINTER: ("JSON pointer", "a path such as /spec/template/spec/containers/0/args/-"),
}
"""What each pattern is called in the reference, and what it means."""

DnsLabel = Annotated[str, Field(pattern=_LABEL)]
ServiceName = Annotated[str, Field(pattern=_SERVICE)]
DnsSubdomain = Annotated[str, Field(pattern=_SUBDOMAIN, max_length=253)]
ServedName = Annotated[str, Field(pattern=_LABEL_VALUE)]
ServedId = Annotated[str, Field(pattern=_MODEL_ID)]
TaskName = Annotated[str, Field(pattern=_TASK)]
SecretKey = Annotated[str, Field(pattern=_SECRET_KEY)]
RelativePath = Annotated[str, Field(pattern=_FOLDER)]
ResourceName = Annotated[str, Field(pattern=_RESOURCE)]
AbsolutePath = Annotated[str, Field(pattern=_ABSOLUTE)]
Word = Annotated[str, Field(pattern=_WORD)]
Image = Annotated[str, Field(pattern=_IMAGE)]
EnvName = Annotated[str, Field(pattern=_ENV_NAME)]
LabelKey = Annotated[str, Field(pattern=_LABEL_KEY)]
Host = Annotated[str, Field(pattern=_HOST)]
AddressRange = Annotated[str, Field(pattern=_CIDR), AfterValidator(_network)]
KindName = Annotated[str, Field(pattern=_KIND)]
Uri = Annotated[str, Field(pattern=_URI)]
UrlPath = Annotated[str, Field(pattern=URL_PATH)]
JsonPointer = Annotated[str, Field(pattern=_POINTER)]
MetricName = Annotated[str, Field(pattern=_METRIC)]
StackVersion = Annotated[str, Field(pattern=_STACK_VERSION)]
_QUANTITY_SCHEMA = {"type": ["string", "number"], "pattern": QUANTITY_PATTERN, "exclusiveMinimum": 0}
Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    _checked(parse_quantity),
    Field(json_schema_extra=_QUANTITY_SCHEMA),
]
Bytes = Annotated[
    str,
    BeforeValidator(_number_as_text),
    _checked(parse_bytes),
    Field(json_schema_extra=_QUANTITY_SCHEMA),
]
Duration = Annotated[
    str,
    BeforeValidator(_number_as_text),
    _checked(parse_duration),
    Field(json_schema_extra={"pattern": DURATION_PATTERN}),
]
Port = Annotated[int, Field(ge=1, le=65535)]
