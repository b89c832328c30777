"""Which models a command is about."""

from __future__ import annotations

import pytest

from tests.catalogs import SMALL, loaded
from wtsctl.catalog.selection import select
from wtsctl.errors import ExitCode, SelectionError

WORKLOADS = loaded(SMALL).workloads
ALL = ["granite-8b", "llama-3b", "llama-guard"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], ALL),
        (["*"], ALL),
        (["llama-3b"], ["llama-3b"]),
        (["granite"], ["granite-8b"]),
        (["gran*"], ["granite-8b"]),
        (["llama-guard", "granite-8b", "granite"], ["granite-8b", "llama-guard"]),
        (["llama-[3g]*"], ["llama-3b", "llama-guard"]),
        (["*-?b"], ["granite-8b", "llama-3b"]),
    ],
)
def test_names_aliases_and_globs(patterns: list[str], expected: list[str]) -> None:
    """A pattern is a name, an alias or a glob; models come once each, in file order; none means all."""
    assert [workload.name for workload in select(WORKLOADS, patterns)] == expected


def test_every_pattern_must_match() -> None:
    """A typo beside a right name must not pass: every pattern that matches nothing is named."""
    with pytest.raises(SelectionError) as caught:
        select(WORKLOADS, ["granite", "lama-3b", "Granite", "qwen*"])
    assert caught.value.exit_code is ExitCode.NO_MATCH
    assert str(caught.value) == (
        "no model is called 'lama-3b'\n  hint: did you mean llama-3b?\n"
        "no model is called 'Granite'\n  hint: did you mean granite?\n"
        "no model matches 'qwen*'\n  hint: known models: granite-8b, granite, llama-3b, llama-guard"
    )
