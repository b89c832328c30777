"""What the tests on a real node share: a namespace for each file, and a client."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.sandboxes import Cluster
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect


@pytest.fixture(scope="module")
def space() -> str:
    """The namespace of a file's models, which nothing else uses."""
    return f"e2e-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def client(node: Cluster) -> Client:
    """A client with all rights."""
    return Client(connect(node.kubeconfig))
