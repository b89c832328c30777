"""Records of deploys on a real API server, and going back to them."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from signal import SIGKILL, SIGTERM
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import entry as model
from tests.cluster.conftest import namespace
from tests.cluster.disturbed import started, wait_for
from tests.cluster.faultproxy import Answer, Asked, Fault, fault_proxy
from wtsctl.cluster import objects
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, SERVICE
from wtsctl.cluster.history import History
from wtsctl.cluster.lease import LEASE
from wtsctl.plan.history import DETAILS, KEPT, STATE, TEXT, Entry, packed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.command import Wtsctl
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

TOKEN = "the-value-of-the-token"
AROUND = "secrets: {huggingface: {name: token, key: HF_TOKEN, fromFile: token}}\n"


def change(wtsctl: Wtsctl, *replaced: tuple[str, str], added: str = "") -> None:
    """Edit models.yaml."""
    text = wtsctl.catalog.read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new, 1)
    wtsctl.catalog.write_text(text + added)


def there(client: Client, space: str) -> dict[str, Any]:
    """What is in the cluster, without what the API server counts along."""
    found = {}
    for kind in (DEPLOYMENT, SERVICE):
        for item in objects.list_all(client, kind, space)[0]:
            metadata = {key: item["metadata"].get(key) for key in ("labels", "annotations")}
            (metadata["annotations"] or {}).pop("deployment.kubernetes.io/revision", None)
            spec = {key: value for key, value in item["spec"].items() if not key.startswith("clusterIP")}
            found[f"{kind.kind}/{item['metadata']['name']}"] = (metadata, spec)
    return found


def revisions(wtsctl: Wtsctl) -> list[tuple[int, str, str]]:
    """Revision, result and what was asked for, as the table shows them."""
    done = wtsctl("history")
    assert done.code == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["REVISION", "WHEN", "WHO", "RESULT", "CHANGES", "SELECTION"]
    cells = [[part.strip() for part in row.split("  ") if part.strip()] for row in rows]
    return [(int(row[0]), row[3], row[5]) for row in cells]


def test_three_deploys_and_back(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Each deploy is recorded once, a part laid over the whole; a rollback restores each state, object for object."""
    wtsctl = catalog("first", "second", runtime="vllm", model="a/b", more=AROUND)
    (wtsctl.catalog.parent / "token").write_text(TOKEN)
    # One.
    assert wtsctl.json("deploy").code == 0
    one = there(client, space)
    # Two: a model more, another changed.
    fields = {"runtime": "vllm", "model": "a/b"}
    change(wtsctl, ("maxModelLen: 512", "maxModelLen: 256"), added=model("third", fields))
    assert wtsctl.json("deploy").code == 0
    two = there(client, space)
    # Three: a part, while something else has changed too.
    change(wtsctl, ("maxModelLen: 256", "maxModelLen: 300"), ("maxModelLen: 512", "maxModelLen: 600"))
    assert wtsctl.json("deploy", "second").code == 0
    three = there(client, space)
    assert revisions(wtsctl) == [(3, "ready", "second"), (2, "ready", "everything"), (1, "ready", "everything")]
    whole = wtsctl.json("history", "2").data
    assert whole["counts"]["create"] == 2
    done = {found["identity"]: found for found in whole["changes"]}
    assert done[f"{space}/Deployment/third"]["action"] == "create"
    assert done[f"{space}/Deployment/first"]["fields"] == ["spec.template.spec.containers[server].args"]
    assert "maxModelLen: 256" in wtsctl("history", "2", "--models-yaml").stdout
    # The newest before the current: all of what the first two models were, and the third stays.
    (wtsctl.catalog.parent / "token").write_text("another-token")
    back = wtsctl.json("rollback")
    assert back.code == 0, back.stderr
    assert "going back to revision 2" in back.stderr
    assert f"left as they are: {space}/Secret/token" in back.stderr
    assert there(client, space) == two
    held = objects.get(client, SECRET, space, "token")["data"]["HF_TOKEN"]
    assert base64.b64decode(held).decode() == TOKEN
    # A part's record has the whole state: also of models that it did not touch.
    assert wtsctl.json("rollback", "3").code == 0
    assert there(client, space) == three
    # What came in since is listed, and goes with --prune; the models that are waited for are the revision's.
    # Of models.yaml only the name and the namespace are read.
    change(wtsctl, ("name: third", "nonsense: third"))
    dry = wtsctl.json("rollback", "1", "--dry-run")
    assert dry.code == 0
    assert there(client, space) == three
    pruned = wtsctl.json("rollback", "1", "--prune")
    assert pruned.code == 0, pruned.stderr
    assert [found["name"] for found in pruned.data["models"]] == ["first", "second"]
    assert there(client, space) == one
    # A model that is no longer in models.yaml nor in the cluster comes back.
    again = wtsctl.json("rollback", "3")
    assert again.code == 0, again.stderr
    assert there(client, space) == three
    assert revisions(wtsctl)[0] == (7, "ready", "rollback to 3")
    records = [item for item in objects.list_all(client, CONFIG_MAP, space)[0] if ".v" in item["metadata"]["name"]]
    assert len(records) == 7
    text = "".join(opened(item) for item in records)
    assert "maxModelLen" in text
    assert TOKEN not in text
    assert base64.b64encode(TOKEN.encode()).decode() not in text
    # All of it goes with the catalog.
    change(wtsctl, ("nonsense: third", "name: third"))
    assert wtsctl.json("delete", "--yes").code == 0
    assert wtsctl.json("history").data == {"revisions": []}


def opened(item: dict[str, Any]) -> str:
    """A record as text, whatever is packed in it."""
    parts = [gzip.decompress(base64.b64decode(one)).decode() for one in item["binaryData"].values()]
    return json.dumps(item["metadata"]) + "".join(parts)


def test_nothing_new_records_nothing(catalog: MakeCatalog, forwarder: Forwarder, client: Client, space: str) -> None:
    """A deploy that changes nothing asks once for the records, and neither writes one nor takes the lock."""
    wtsctl = catalog("only")
    assert wtsctl.json("deploy").code == 0
    assert type(wtsctl)(wtsctl.catalog, forwarder.kubeconfig).json("deploy", "--no-wait").code == 0
    kept = [path for path in forwarder.asked if "/leases" in path or path.endswith("/configmaps")]
    assert kept == [CONFIG_MAP.path(space)]
    assert "selfsubjectreviews" not in " ".join(forwarder.asked)
    # Another text that comes to the same is worth a record: it is what the cluster now follows.
    change(wtsctl, added="# a comment\n")
    assert wtsctl.json("deploy", "--no-wait").code == 0
    assert revisions(wtsctl) == [(2, "applied", "everything"), (1, "ready", "everything")]
    assert len(objects.list_all(client, CONFIG_MAP, space, labels="app.kubernetes.io/component=history")[0]) == 2


def test_eleven_records_leave_ten(client: Client, space: str) -> None:
    """The oldest goes as one too many comes; two that take the same number get two."""
    namespace(client, space)
    records = History(client, space, "it")
    for _ in range(KEPT + 1):
        records.add(Entry(0, result="ready"), packed({TEXT: "x"}), records.entries())
    records.trim(records.entries())
    assert [one.revision for one in records.entries()] == list(range(KEPT + 1, 1, -1))
    stale = records.entries()
    assert records.add(Entry(0, user="ada"), {}, stale).revision == KEPT + 2
    assert records.add(Entry(0, user="bob"), {}, stale).revision == KEPT + 3
    records.update(Entry(KEPT + 3, result="failed"))
    assert records.entries()[0].result == "failed"
    assert records.parts(KEPT + 1) == {TEXT: "x"}


def test_an_old_record_that_stays_is_no_harm(
    catalog: MakeCatalog, control_plane: Path, client: Client, space: str, tmp_path: Path
) -> None:
    """Where the oldest cannot be deleted the new record is whole, and that is said; the next deploy tries again."""
    namespace(client, space)
    records = History(client, space, space)
    for _ in range(KEPT):
        records.add(Entry(0, result="ready"), packed({TEXT: "x"}), records.entries())

    def refused(one: Asked) -> Fault | None:
        return Answer(403) if one.method == "DELETE" and one.path.endswith(f"wtsctl-{space}.v1") else None

    wtsctl = catalog("only")
    with fault_proxy(connect(control_plane)) as proxy:
        proxy.fault = refused
        done = type(wtsctl)(wtsctl.catalog, proxy.kubeconfig(tmp_path / "proxy")).json("deploy", "--no-wait")
    assert done.code == 0, done.stderr
    assert "an old record could not be deleted" in done.stderr
    assert "not recorded" not in done.stderr
    there = records.entries()
    assert (len(there), there[0].revision, there[0].result) == (KEPT + 1, KEPT + 1, "applied")
    change(wtsctl, ("maxModelLen: 512", "maxModelLen: 256"))
    assert wtsctl.json("deploy", "--no-wait").code == 0
    assert [one.revision for one in records.entries()] == list(range(KEPT + 2, 2, -1))


def test_cut_short_while_models_start(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Killed or told to end while it waits, a deploy has recorded that all was applied; a later part has that."""
    wtsctl = catalog("first", "second")
    assert wtsctl.json("deploy", "--no-wait").code == 0
    records = History(client, space, space)
    # No node is there for it.
    change(wtsctl, ("replicas: 0", "replicas: 1"))

    def waits(revision: int) -> bool:
        """Whether all was applied and recorded, of one list, and then the lock given back, which is not waited with."""
        complete = any(one.complete for one in records.entries() if one.revision == revision)
        return complete and not objects.list_all(client, LEASE, space)[0]

    for revision, number, code, result in ((2, SIGKILL, -SIGKILL, "started"), (3, SIGTERM, 130, "interrupted")):
        with started(wtsctl, "deploy") as process:
            wait_for(lambda: waits(revision))  # noqa: B023
            process.send_signal(number)
            process.communicate(timeout=30)
        newest = records.entries()[0]
        assert (process.returncode, newest.revision, newest.result, newest.complete) == (code, revision, result, True)
    assert objects.list_all(client, LEASE, space)[0] == []
    # A part is laid over it, whatever came of the models.
    change(wtsctl, ("replicas: 0", "replicas: 2"))
    assert wtsctl.json("deploy", "second", "--no-wait").code == 0
    assert records.entries()[0].whole
    assert replicas(records, 4) == {"first": 1, "second": 2}
    # Where nobody knows what the former one left, the part stands for itself.
    records.update(replace(records.entries()[0], complete=False))
    change(wtsctl, ("replicas: 2", "replicas: 0"))
    assert wtsctl.json("deploy", "second", "--no-wait").code == 0
    assert not records.entries()[0].whole
    assert replicas(records, 5) == {"second": 0}
    refused = wtsctl.json("rollback", "5", "--prune")
    assert refused.code == 2
    assert "revision 5 has `second` alone" in refused.errors[0]["message"]
    back = wtsctl.json("rollback", "5", "--no-wait")
    assert back.code == 0, back.stderr
    assert set(back.outcomes.values()) == {"unchanged"}
    assert there(client, space)["Deployment/first"][1]["replicas"] == 1


def replicas(records: History, revision: int) -> dict[str, int]:
    """The replicas of the Deployments that a record has."""
    found = [one["doc"] for one in records.state(revision) or []]
    return {one["metadata"]["name"]: one["spec"]["replicas"] for one in found if one["kind"] == "Deployment"}


def test_records_that_someone_changed(catalog: MakeCatalog, client: Client, space: str) -> None:
    """They are shown as unreadable, stop no deploy, whole or of a part, and cannot be gone back to."""
    wtsctl = catalog("first", "second")
    assert wtsctl.json("deploy", "--no-wait").code == 0
    records = History(client, space, space)
    stored = {TEXT: b"\x1f\x8b no gzip", DETAILS: packed({DETAILS: "[]"})[DETAILS]}
    stored[STATE] = packed({STATE: '[{"x": 1}]'})[STATE]
    records.add(Entry(0, result="ready", complete=True, stored=tuple(stored)), stored, records.entries())
    change(wtsctl, ("maxModelLen: 512", "maxModelLen: 256"))
    part = wtsctl.json("deploy", "first", "--no-wait")
    assert (part.code, "warning" in part.stderr) == (0, False), part.stderr
    assert (records.entries()[0].revision, records.entries()[0].whole) == (3, False)
    assert wtsctl.json("history", "2").data["changes"] == []
    text = wtsctl.json("history", "2", "--models-yaml")
    assert (text.code, text.errors[0]["message"]) == (9, "the models.yaml of revision 2 cannot be read")
    back = wtsctl.json("rollback", "2")
    assert back.code == 9
    assert "the manifests of revision 2 cannot be read" in back.errors[0]["message"]
    for odd in ('{"selection": [1]}', '{"started": null}', '{"seconds": {"m": "abc"}}'):
        made = records.add(Entry(0), {}, records.entries())
        annotate(client, space, made.revision, odd)
    assert [row[1] for row in revisions(wtsctl)[:3]] == ["unreadable"] * 3
    assert wtsctl.json("history", "6").data["result"] == "unreadable"
    unreadable = wtsctl.json("rollback", "6")
    assert unreadable.code == 9
    assert "the record of revision 6 cannot be read" in unreadable.errors[0]["message"]
    for arguments in (("first",), ()):
        change(
            wtsctl, ("maxModelLen: 256", "maxModelLen: 128") if arguments else ("maxModelLen: 512", "maxModelLen: 64")
        )
        done = wtsctl.json("deploy", *arguments, "--no-wait")
        assert (done.code, "warning" in done.stderr) == (0, False), done.stderr
    assert [(one.revision, one.whole) for one in records.entries()[:2]] == [(8, True), (7, False)]


def annotate(client: Client, space: str, revision: int, text: str) -> None:
    """Change the record of a revision as someone with kubectl might."""
    path = CONFIG_MAP.path(space, f"wtsctl-{space}.v{revision}")
    body = {"metadata": {"annotations": {"wtsctl.io/record": text}}}
    client.exchange("PATCH", path, body=body, content_type="application/merge-patch+json")


def test_all_models_elsewhere(catalog: MakeCatalog, client: Client, space: str) -> None:
    """The catalog's own namespace is made for its lock, its members and its records, and goes with it."""
    wtsctl = catalog("first", "second", namespace=f"{space}-models")
    for revision, arguments in ((1, ("first",)), (2, ())):
        done = wtsctl.json("deploy", *arguments, "--no-wait")
        assert (done.code, "warning" in done.stderr) == (0, False), done.stderr
        assert wtsctl.json("history").data["revisions"][0]["revision"] == revision
    assert wtsctl.json("delete", "--yes").code == 0
    left = {one["metadata"]["name"] for one in objects.list_all(client, NAMESPACE, "")[0]}
    assert not {space, f"{space}-models"} & left


def test_what_cannot_be_gone_back_to(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A revision that is not there, one that was too large, and one that this wtsctl cannot read: each with a hint."""
    namespace(client, space)
    wtsctl = catalog("only")
    none = wtsctl.json("rollback")
    assert (none.code, none.errors[0]["code"]) == (9, "selection")
    records = History(client, space, space)
    for parts in ({TEXT: "x"}, {TEXT: "apiVersion: wtsctl/v9", STATE: "[]"}, {TEXT: "x", STATE: '[{"doc": 1}]'}):
        content = packed(parts)
        records.add(Entry(0, result="ready", stored=tuple(content)), content, records.entries())
    unknown = wtsctl.json("rollback", "7")
    assert unknown.code == 9
    assert unknown.errors[0]["message"] == "no revision 7 is recorded"
    assert "there are 3, 2, 1" in unknown.errors[0]["hint"]
    large = wtsctl.json("rollback", "1")
    assert large.code == 9
    assert "too large to be stored" in large.errors[0]["message"]
    later = wtsctl.json("rollback", "2")
    assert later.code == 3
    assert "the models.yaml of revision 2 is not one that this wtsctl can read" in later.errors[0]["message"]
    assert later.errors[1]["where"].startswith("revision 2:1:")
    broken = wtsctl.json("rollback", "3")
    assert broken.code == 9
    assert "cannot be read" in broken.errors[0]["message"]
    assert len(records.entries()) == 3
