"""How the tests are dealt out to processes: `pytest -n 2 --dist loadfile`, as `make test` runs them.

The tests of a file stay together and in order, since many share what a module's fixture made. Those of `tests/e2e`
stay together as a whole: they share one node, and some look at the mounts, links and cgroups of the machine. So do
those of `tests/cluster`, whose API servers would otherwise be waited for by two. Both take longest and wait most, so
they begin first, and everything else is done by whoever is free. Files of `tests/cluster` that make neither nodes nor
kinds, and look at nothing beyond their own namespaces, are dealt out by themselves.

Groups by mark, xdist's `--dist loadgroup`, would need no code. But xdist 3.8 writes the group into `Item._nodeid`,
which pytest 9.2 no longer reads, so that each test becomes a group of its own without a word.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_TOGETHER = ("tests/e2e/", "tests/cluster/")
_APART = frozenset(
    f"tests/cluster/test_{name}.py" for name in ("faults", "history", "killed_api_server", "lease", "prune")
)
# The longest first, so that no process is left alone with it at the end.
_ORDER = (*_TOGETHER, "tests/http/", "")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Deals out whole files, and some folders as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in _APART:
            return file
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out files in the order of the collection, not those with most tests first."""
    config.option.loadscopereorder = False
    return _ByFile(config, log)


@pytest.hookimpl
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes, collect in the order in which files are dealt out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: next(turn for turn, name in enumerate(_ORDER) if item.nodeid.startswith(name)))
