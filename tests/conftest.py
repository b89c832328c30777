"""What every kind of test shares: the plugin modules that hold the fixtures."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.llamacpp", "tests.parallel", "tests.sandboxes"]

# A shell without job control has what it runs in the background ignore Ctrl-C, and what that starts inherits it. Tests
# that press Ctrl-C start commands as a terminal does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine makes single examples slow, which says nothing about the property.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:  # noqa: ARG001 - made while root still may
    """A test that runs as nobody when the run is root's, so that what root may do is refused here too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
