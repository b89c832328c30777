"""Whether an object has what is wanted of it, where the API server does not say; no cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.cluster.dryrun import holds


@pytest.mark.parametrize(
    ("there", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 2}, {"a": 1}, False),
        (None, False, True),
        ([], None, True),
        (None, {}, True),
        ({}, {}, True),
        ({"podSelector": {"matchLabels": {"a": "b"}}}, {"podSelector": {}}, False),
        ({}, {"podSelector": {}}, True),
        ([{"a": 1}, {"b": 2}], [{"a": 1}], False),
        ([{"a": 1, "c": 3}], [{"a": 1}], True),
    ],
)
def test_what_an_object_has(there: Any, wanted: Any, *, same: bool) -> None:
    """An empty mapping is only an empty or absent one: as a podSelector it means every pod."""
    assert holds(there, wanted) is same
