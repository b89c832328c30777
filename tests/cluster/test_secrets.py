"""`deploy` and `delete` with Secrets that wtsctl makes, on a real API server; values are looked for in all outputs."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import namespace
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import SECRET
from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from tests.cluster.conftest import MakeCatalog
    from tests.command import Ran
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

VALUE = "sk-aValueThatNobodyMaySee0000000000000"
ENCODED = base64.b64encode(VALUE.encode()).decode()
KEY = "{name: key, key: API_KEY, fromFile: key}"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The file with the value, beside the catalog."""
    path = tmp_path / "key"
    path.write_text(f"{VALUE}\n")
    return path


def value(client: Client, space: str) -> str:
    """What the Secret holds."""
    return base64.b64decode(objects.get(client, SECRET, space, "key")["data"]["API_KEY"]).decode()


def secret(client: Client, space: str, **data: str) -> None:
    """Make the Secret as someone else would."""
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": space}}
    client.exchange("POST", f"/api/v1/namespaces/{space}/secrets", body=document | {"stringData": data})


def shown(*runs: Ran) -> bool:
    """Whether a value stands in any output, as it is or encoded."""
    return any(form in run.stdout + run.stderr for run in runs for form in (VALUE, ENCODED))


def test_made_changed_and_deleted(catalog: MakeCatalog, client: Client, space: str, key: Path) -> None:
    """Deploy makes the Secret, changes it with its file, and delete takes it; no output has a value."""
    wtsctl = catalog("only", apiKey=KEY)
    runs = [wtsctl.json("deploy", "-vv", "--dry-run"), wtsctl("deploy", "-vv"), wtsctl.json("deploy", "-v")]
    assert [run.code for run in runs] == [0, 0, 0], [run.stderr for run in runs]
    assert runs[2].outcomes[f"{space}/Secret/key"] == "unchanged"
    assert value(client, space) == VALUE
    key.write_text("another one")
    assert wtsctl.json("deploy").outcomes[f"{space}/Secret/key"] == "configured"
    assert value(client, space) == "another one"
    key.write_text(VALUE)
    runs += [wtsctl("status", "-v"), wtsctl("deploy", "--no-wait")]
    runs.append(wtsctl.json("delete", "--yes"))
    assert runs[-1].outcomes[f"{space}/Secret/key"] == "deleted"
    assert not shown(*runs)


def test_without_the_value(catalog: MakeCatalog, client: Client, space: str, key: Path) -> None:
    """Without its file a Secret that is there stays as it is, and that is said; one that is not stops the deploy."""
    wtsctl = catalog("only", apiKey=KEY)
    key.unlink()
    refused = wtsctl.json("deploy")
    assert refused.code == 2
    (error,) = refused.errors
    assert error["where"] == f"{space}/Secret/key"
    assert "is not in the cluster either" in error["message"]
    with pytest.raises(ApiRefused, match="not found"):
        objects.get(client, SECRET, space, "key")
    namespace(client, space)
    secret(client, space, OTHER="x")
    lacking = wtsctl.json("deploy")
    assert lacking.code == 2
    assert "has no key API_KEY" in lacking.errors[0]["message"]
    # In the background, so that it is gone with the answer: in the foreground it may still be there, being deleted.
    client.request("DELETE", SECRET.path(space, "key"))
    secret(client, space, API_KEY=VALUE)
    done = wtsctl("deploy")
    assert done.code == 0
    assert f"{space}/Secret/key is left as it is: the file {os.fspath(key)} is not there" in done.stderr
    assert value(client, space) == VALUE
    assert not shown(refused, lacking, done)


@pytest.mark.usefixtures("key")
def test_somebody_elses_is_left(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A Secret that someone else made is neither changed nor deleted, and whoever gave another value hears of it."""
    namespace(client, space)
    secret(client, space, API_KEY="theirs")
    wtsctl = catalog("only", apiKey=KEY)
    done = wtsctl("deploy")
    assert done.code == 0
    assert f"{space}/Secret/key: it was there before and is left as it is" in done.stderr
    assert value(client, space) == "theirs"
    gone = wtsctl("delete", "--yes")
    assert gone.code == 0
    assert value(client, space) == "theirs"
    # Unless it is taken over, which has to be said.
    forced = wtsctl("deploy", "--force-conflicts")
    assert forced.code == 0, forced.stderr
    assert value(client, space) == VALUE
    assert not shown(done, gone, forced)


@pytest.mark.usefixtures("key")
def test_a_value_that_the_api_server_refuses(catalog: MakeCatalog, client: Client, space: str) -> None:
    """What the API server says about a Secret that it does not take has no value of it."""
    namespace(client, space)
    limits: dict[str, Any] = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    body = limits | {"spec": {"hard": {"count/secrets": "0"}}}
    client.exchange("POST", f"/api/v1/namespaces/{space}/resourcequotas", body=body)
    anyway = ("deploy", "-vv", "--ignore-preflight-errors", "quota")
    runs = [catalog("only", apiKey=KEY).json(*anyway), catalog("only", apiKey=KEY)(*anyway)]
    assert [run.code for run in runs] == [4, 4]
    assert "exceeded quota" in runs[1].stderr
    assert not shown(*runs)
