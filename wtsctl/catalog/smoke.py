"""Smoke prompts, what must hold for their answers, and how long they may take."""

import re
import warnings
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from wtsctl.catalog.entry import Entry
from wtsctl.catalog.forms import DnsLabel, Duration
from wtsctl.catalog.quantity import parse_duration


class Metric(StrEnum):
    """What a budget limits; the definitions stand in docs/explanation/latency.md."""

    TTFT = "ttft"
    TPOT = "tpot"
    TOTAL = "total"


class Statistic(StrEnum):
    """Which value of the samples a budget looks at (nearest rank)."""

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"


# YAML gives plain strings; strict mode would want the enum's own member.
MetricName = Annotated[Metric, Field(strict=False)]
StatisticName = Annotated[Statistic, Field(strict=False)]


def _regex(pattern: str) -> str:
    try:
        with warnings.catch_warnings():
            # What Python will read otherwise one day, such as `[[a]`.
            warnings.simplefilter("error")
            re.compile(pattern)
    except RecursionError as error:
        raise ValueError("not a regular expression: nested too deep") from error
    except (re.error, OverflowError, FutureWarning) as error:
        raise ValueError(f"not a regular expression: {str(error)[:1].lower()}{str(error)[1:]}") from error
    return pattern


class Assertion(Entry):
    """One condition on an answer; exactly one key is set."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    contains: str | None = Field(None, min_length=1, description="the answer holds this text")
    icontains: str | None = Field(None, min_length=1, description="the same, ignoring case")
    regex: Annotated[str, AfterValidator(_regex)] | None = Field(
        None, min_length=1, description="the answer matches this Python regular expression somewhere"
    )
    finish_reason: Literal["stop", "length"] | None = Field(None, description="why the model stopped")
    min_tokens: int | None = Field(None, ge=1, description="the server counted at least this many tokens")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            names = ", ".join(to_camel(name) for name in type(self).model_fields)
            raise ValueError(f"expected exactly one of {names}")
        return self


class Prompt(Entry):
    """One smoke prompt: what is asked, and what must hold for the answer."""

    name: DnsLabel = Field(description="short name, unique within the model")
    prompt: str = Field(min_length=1, description="the user message")
    system: str | None = Field(None, min_length=1, description="a system message before it")
    max_tokens: int = Field(64, ge=1, le=131072, description="the answer is cut after this many tokens")
    assertions: tuple[Assertion, ...] = Field(min_length=1, alias="assert", strict=False, description="all must hold")


class Budget(Entry):
    """A limit on one statistic of one metric, for every prompt of the model."""

    metric: MetricName = Field(
        description="time to the first token (ttft), for each later one (tpot), or to the last (total)"
    )
    stat: StatisticName = Field(Statistic.P50, description="which value of the samples counts")
    max: Duration = Field(description="the limit, for example 50ms or 2s")

    @property
    def seconds(self) -> float:
        """The limit in seconds."""
        return parse_duration(self.max)
