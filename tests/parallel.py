"""How the tests are dealt out to processes: `pytest -n 2 --dist loadfile`, as `make test` runs them.

The tests of a file stay together and in order, since many share what a module's fixture made. Those of `tests/e2e`
stay together as a whole: they share one node, and some look at the mounts, links and cgroups of the machine. They
take longest and wait most, so they begin first, and everything else runs beside them.

Groups by mark, xdist's `--dist loadgroup`, would need no code. But xdist 3.8 writes the group into `Item._nodeid`,
which pytest 9.2 no longer reads, so that each test becomes a group of its own without a word.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_TOGETHER = "tests/e2e/"
# The longest first, so that no process is left alone with it at the end.
_FOLDERS = (_TOGETHER, "tests/cluster/", "tests/http/", "")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Deals out whole files, and `tests/e2e` as if it were one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _TOGETHER if file.startswith(_TOGETHER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out files in the order of the collection, not those with most tests first."""
    config.option.loadscopereorder = False
    return _ByFile(config, log)


@pytest.hookimpl
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes, collect in the order in which files are dealt out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: next(turn for turn, name in enumerate(_FOLDERS) if item.nodeid.startswith(name)))
