"""Real clusters for the tests: control planes for `tests/cluster`, and one with a node for `tests/e2e`.

Each is a sandbox with a name of its own, in the user's own cache, so that nothing is compiled for the tests that
`wtsctl sandbox up` has compiled before. It is started once per run. One that was up before the run is used and
left up; else it goes at the end, with its data.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox import build, debian, launch, lifecycle, toolchain
from wtsctl.sandbox.layout import Layout
from wtsctl.sandbox.lock import locked

CONTROL_PLANE = "test-control-plane"
EVERY_KIND = "test-every-kind"
OWN = "test-own"
NODE = "test-node"

REQUIRED = os.environ.get("WTSCTL_TEST_REQUIRE") == "1"
"""Whether a test that cannot run is a failure; CI says so."""

_used = pytest.StashKey[dict[Layout, IO[str]]]()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its kubeconfig, and where its files are."""

    kubeconfig: Path
    layout: Layout


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to run."""
    if REQUIRED:
        pytest.fail(f"WTSCTL_TEST_REQUIRE=1, and {reason}", pytrace=False)
    pytest.skip(reason)


def require_node() -> None:
    """Go on only where pods can run."""
    if reason := launch.without_node():
        unavailable(f"a node needs root, and {reason}")


class Telling:
    """Progress on the terminal, whatever pytest captures: the first run compiles for ten minutes."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._steps: set[str] = set()

    def __call__(self, text: str, *, doing: str = "") -> None:
        """Write lines, and of steps only their beginning."""
        if doing:
            if doing in self._steps or not text:
                return
            self._steps.add(doing)
        line = doing or text
        if self._capture is None:
            sys.stderr.write(f"{line}\n")
            return
        with self._capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n{line} ...\n")


def _start(config: pytest.Config, name: str, *, node: bool) -> Cluster:
    layout, tell = Layout.of(name), Telling(config)
    assets = build.provided(tell)
    # All of it is compiled where a node can run: adding its programs later would take as long again.
    whole = node or not launch.without_node()
    jobs = build.outstanding(layout.cache, assets, node=whole)
    if jobs:
        _require(debian.Purpose.COMPILE, layout, tell)
        try:
            toolchain.find()
        except SandboxError as error:
            unavailable(str(error))
        build.Compiler(layout.cache, tell).compile(assets, node=whole)
    _require(debian.Purpose.CONTROL_PLANE, layout, tell)
    if node:
        for purpose in (debian.Purpose.NODE, debian.Purpose.IMAGES):
            _require(purpose, layout, tell)
    layout.state.parent.mkdir(parents=True, exist_ok=True)
    users = (layout.state.parent / f".{name}.users").open("a")
    fcntl.flock(users, fcntl.LOCK_SH)
    config.stash.setdefault(_used, {})[layout] = users
    if lifecycle.up(layout, tell, node=node).started:
        _marker(layout).touch()
    return Cluster(layout.kubeconfig, layout)


def _require(purpose: debian.Purpose, layout: Layout, tell: Telling) -> None:
    """Go on only if Debian's part is there; where everything has to run, install it."""
    needs = debian.missing(purpose)
    if needs and REQUIRED and os.geteuid() == 0:
        debian.install(needs, layout.cache / "logs" / "packages.log", tell)
    elif needs:
        unavailable(str(debian.error(purpose, needs)))


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Path:
    """The kubeconfig of a real API server without a node: pods are stored and never run."""
    return _start(request.config, CONTROL_PLANE, node=False).kubeconfig


@pytest.fixture(scope="module")
def own_control_plane(request: pytest.FixtureRequest) -> Cluster:
    """A control plane that one file of tests alone uses, which may kill its processes."""
    return _start(request.config, OWN, node=False)


@pytest.fixture(scope="session")
def every_kind(request: pytest.FixtureRequest) -> Cluster:
    """A control plane of its own that knows every custom resource of `tests/cluster/crds.toml`.

    The other one knows none of them, which some tests are about.
    """
    from tests.cluster import crds
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import connect

    tell = Telling(request.config)
    try:
        wanted = crds.definitions(Layout.of(EVERY_KIND).cache, tell)
    except SandboxError as error:
        unavailable(str(error))
    cluster = _start(request.config, EVERY_KIND, node=False)
    with locked(cluster.layout.state / "crds.lock", "another process applies custom resource definitions", tell):
        crds.install(Client(connect(cluster.kubeconfig)), wanted)
    return cluster


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Cluster:
    """A real cluster with a node, where pods run."""
    require_node()
    return _start(request.config, NODE, node=True)


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take down what tests started, and its data, when nobody uses it any more; what is compiled stays.

    Whoever uses one holds a shared lock, so the last of several runs, or of pytest-xdist's workers, does it.
    """
    for layout, users in session.config.stash.get(_used, {}).items():
        with users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _marker(layout).exists():
                lifecycle.purge(layout, Telling(session.config), keep_cache=True)
            Path(users.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                layout.state.parent.rmdir()


def _marker(layout: Layout) -> Path:
    """Says that tests started a sandbox, so that one which the user started stays."""
    return layout.state / "started-by-tests"
