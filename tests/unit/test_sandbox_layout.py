"""Where a sandbox keeps its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from wtsctl.errors import UsageError
from wtsctl.sandbox.layout import Layout


def test_the_xdg_variables_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """State and cache lie under the user's own base folders."""
    monkeypatch.setenv("XDG_STATE_HOME", "/a/state")
    monkeypatch.setenv("XDG_CACHE_HOME", "/a/cache")
    layout = Layout.of("try")
    assert layout.state == Path("/a/state/wtsctl/sandbox/try")
    assert layout.cache == Path("/a/cache/wtsctl/sandbox")


def test_a_relative_base_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG specification has relative values ignored, so no sandbox lands in the current folder."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    layout = Layout.of()
    assert layout.state == Path("/home/me/.local/state/wtsctl/sandbox/wtsctl")
    assert layout.cache == Path("/home/me/.cache/wtsctl/sandbox")


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a-", "a" * 33, "a b", "ä"])
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    """A name becomes part of paths, a context and a label, so what one of them cannot hold is an error."""
    with pytest.raises(UsageError, match="cannot be the name of a sandbox"):
        Layout.of(name)


def test_two_users_sandboxes_of_one_name_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces and cgroups are the machine's, so their names come from the whole path."""
    ids = set()
    for home in ("/home/a", "/home/b"):
        monkeypatch.setenv("XDG_STATE_HOME", home)
        ids.add(Layout.of("same").id)
    assert len(ids) == 2
    assert all(len(f"wts-{one}") <= 15 for one in ids), "the kernel's limit for the name of an interface"


def test_the_lock_outlives_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """`down --purge` removes the state while it holds the lock."""
    monkeypatch.setenv("XDG_STATE_HOME", "/a")
    layout = Layout.of("try")
    assert not layout.lock.is_relative_to(layout.state)
