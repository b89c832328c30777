"""What all parts of models.yaml share.

The modules of its entries do without `from __future__ import annotations`: pydantic would compile the text of each
annotation again, which took 40 of the 300 ms in which they are imported.
"""

from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


def without_null(value: Any) -> Any:
    """A mapping of free keys without those that have no value."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class Entry(BaseModel):
    """What all parts of models.yaml share: unknown keys are errors, values cannot change, keys are camelCase.

    A key without a value (null) is a key that is not there, so that a profile can take one away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            # An unknown key stays, null or not: it is an error either way.
            return {key: value for key, value in data.items() if value is not None or key not in keys(cls)}
        return data


@cache
def keys(entry: type[Entry]) -> dict[str, str]:
    """The keys of an entry as models.yaml spells them, each with its description."""
    return {field.alias or name: field.description or "" for name, field in entry.model_fields.items()}


class Mode(StrEnum):
    """Whether something optional is made."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"


# YAML gives plain strings; strict mode would want the enum's own member.
Switch = Annotated[Mode, Field(strict=False)]
