"""A ServiceAccount for CI with the rights that wtsctl's own requests need, and no others.

Which requests there are: docs/how-to/ci-access.md; tests/cluster/test_ci_access.py takes each rule away in turn.
Rights on whole kinds are given in the namespaces alone. What lies in no namespace may only be read, by name: the
namespaces themselves, the PriorityClass, and these roles, which whoever deploys first has to make.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.platform import Access
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.plural import plural
from wtsctl.render.pod import labels
from wtsctl.render.secrets import wanted_secrets

_ACCOUNT = "access/serviceaccount.yaml.j2"
_ROLE = "access/role.yaml.j2"
_BINDING = "access/rolebinding.yaml.j2"
_CLUSTER_ROLE = "access/clusterrole.yaml.j2"
_CLUSTER_BINDING = "access/clusterrolebinding.yaml.j2"
_RBAC = "rbac.authorization.k8s.io"
# What `status` lists, by API group; `deploy` watches the same.
_LOOKED_AT: dict[str, tuple[str, ...]] = {
    "": ("persistentvolumeclaims", "pods"),
    "apps": ("deployments", "replicasets"),
    "discovery.k8s.io": ("endpointslices",),
}
# Beside these, where there are some: models of KServe's, models over several nodes, downloads of weights.
_LOOKED_AT_IF_THERE = frozenset(
    (
        ("batch", "Job"),
        ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"),
        ("serving.kserve.io", "InferenceService"),
    )
)
# Kinds that are ruled by name, below.
_NAMED = frozenset((("", "Secret"), ("", "ServiceAccount"), (_RBAC, "Role"), (_RBAC, "RoleBinding")))

Document = Mapping[str, Any]
Rule = dict[str, list[str]]


def jobs(asked: Asked, documents: Iterable[Document]) -> Iterator[Job]:
    """The account, and in each namespace a Role with its binding.

    Args:
        asked: for `platform.access`, and for which Secrets are made.
        documents: everything else that is rendered; only what is there to be applied may be applied.
    """
    catalog, access = asked.catalog, asked.catalog.platform.access
    if access.mode is Mode.OFF or not asked.whole:
        return
    account = access.namespace or catalog.defaults.namespace
    named = variables(catalog, account, account)
    yield Job(_ACCOUNT, named, Stage.CONFIG, None, SHARED_PATH)
    by_namespace: dict[str, list[Document]] = defaultdict(list)
    unbound: list[Document] = []
    if access.level == "deploy":
        # Where the account itself is, which deploy looks at too, and where wtsctl keeps what it knows of the catalog.
        by_namespace |= {account: [], catalog.defaults.namespace: []}
    for doc in documents:
        namespace = doc["metadata"].get("namespace")
        by_namespace[namespace].append(doc) if namespace else unbound.append(doc)
    for namespace, docs in by_namespace.items():
        found = list(_role(asked, namespace, docs))
        if found:
            named = variables(catalog, account, namespace) | {"rules": found}
            yield Job(_ROLE, named, Stage.CONFIG, None, SHARED_PATH)
            yield Job(_BINDING, named, Stage.CONFIG, None, SHARED_PATH)
    if access.level == "deploy":
        named = variables(catalog, account, account)
        named |= {"rules": list(_cluster_role(named["clusterRole"], unbound))}
        yield Job(_CLUSTER_ROLE, named, Stage.CONFIG, None, SHARED_PATH)
        yield Job(_CLUSTER_BINDING, named, Stage.CONFIG, None, SHARED_PATH)


def variables(catalog: Catalog, account: str, namespace: str) -> dict[str, Any]:
    """Variables of `access/`.

    Variables:
        account.name: name of the ServiceAccount, the Roles and their bindings
        account.namespace: namespace of the ServiceAccount
        clusterRole: name of the ClusterRole and its binding
        rules: what may be done
    """
    name = catalog.platform.access.name
    return {
        "namespace": namespace,
        "account": {"name": name, "namespace": account},
        "clusterRole": f"{catalog.name}-{name}",
        "labels": labels(catalog, "access", name, "access"),
    }


def _role(asked: Asked, namespace: str, docs: list[Document]) -> Iterator[Rule]:
    access = asked.catalog.platform.access
    endpoints = _endpoints(asked, namespace)
    keys = [load.endpoint.key for load in asked.everything if load.namespace == namespace and load.endpoint.key]
    looked_at = dict(_LOOKED_AT)
    rendered = {_kind(doc) for doc in docs}
    for kind in sorted(_LOOKED_AT_IF_THERE & rendered):
        looked_at[kind[0]] = (plural(kind[1]),)
    agents = any(one.image is not None and one.namespace == namespace for one in asked.catalog.agents)
    if endpoints or agents:
        # `watch` is how deploy waits; status asks once.
        verbs = ["list", "watch"] if access.level == "deploy" else ["list"]
        for group, plurals in looked_at.items():
            yield _rule([group], plurals, verbs)
        yield _rule([""], ["events"], verbs)
        yield _rule([""], ["pods/log"], ["get"])
        # GET lists the models, POST asks one. Who may deploy can reach every Service anyway, through a pod.
        methods = ["get"] if access.level == "status" else ["get", "create"]
        if endpoints:
            yield _rule([""], ["services/proxy"], methods, () if access.level == "deploy" else endpoints)
        if keys:
            # The proxy passes no API key on, so a model that wants one is asked through a port-forward to its pods,
            # whose names nobody knows before. A websocket is opened by GET, and needs `create` since Kubernetes 1.35.
            yield _rule([""], ["pods/portforward"], ["get", "create"])
            yield _rule([""], ["secrets"], ["get"], dict.fromkeys(key.name for key in keys))
    if access.level == "deploy":
        yield from _writing(asked, access, namespace, docs)


def _writing(asked: Asked, access: Access, namespace: str, docs: list[Document]) -> Iterator[Rule]:
    kinds: dict[str, dict[str, None]] = defaultdict(dict)
    for doc in docs:
        group, kind = _kind(doc)
        if (group, kind) not in _NAMED:
            kinds[group][plural(kind)] = None
    for group, plurals in sorted(kinds.items()):
        # The list before an apply, the apply itself, which creates what is not there, and the delete with its wait.
        yield _rule([group], sorted(plurals), ["list", "watch", "create", "patch", "delete"])
    if any(_kind(doc) == ("route.openshift.io", "Route") and doc["spec"].get("host") for doc in docs):
        yield _rule(["route.openshift.io"], ["routes/custom-host"], ["create", "update"])
    secrets = [one.name for one in wanted_secrets(asked) if one.namespace == namespace and not one.external]
    if secrets:
        yield _rule([""], ["secrets"], ["get", "create", "patch", "delete"], secrets)
    accounts = [doc["metadata"]["name"] for doc in docs if _kind(doc) == ("", "ServiceAccount")]
    if accounts:
        yield _rule([""], ["serviceaccounts"], ["create", "patch", "delete"], accounts)
    yield _rule([""], ["serviceaccounts"], ["list", "watch"] if accounts else ["list"])
    if namespace == asked.catalog.defaults.namespace:
        yield from _keeping(asked.catalog.name)
    # Its own rights it may see, to find that they are as they should be, and not change.
    if namespace == (access.namespace or asked.catalog.defaults.namespace):
        yield _rule([""], ["serviceaccounts"], ["get"], [access.name])
    yield _rule([_RBAC], ["rolebindings", "roles"], ["get"], [access.name])


def _keeping(catalog: str) -> Iterator[Rule]:
    """What wtsctl keeps of a catalog in its own namespace: its lock, what belongs to it, and records of deploys."""
    # What is created has no name yet, to the API server's access control.
    yield _rule(["coordination.k8s.io"], ["leases"], ["create"])
    yield _rule(["coordination.k8s.io"], ["leases"], ["get", "patch", "delete"], [f"wtsctl-{catalog}"])
    # Each deploy has a record of its own, whose name nobody knows before.
    yield _rule([""], ["configmaps"], ["get", "list", "watch", "create", "patch", "delete"])


def _cluster_role(own: str, unbound: Iterable[Document]) -> Iterator[Rule]:
    named: dict[tuple[str, str], list[str]] = defaultdict(list)
    for doc in unbound:
        named[_kind(doc)].append(doc["metadata"]["name"])
    for (group, kind), names in sorted(named.items()):
        yield _rule([group], [plural(kind)], ["get"], names)
    yield _rule([_RBAC], ["clusterrolebindings", "clusterroles"], ["get"], [own])


def _endpoints(asked: Asked, namespace: str) -> list[str]:
    """What the API server's proxy is asked for in a namespace: NAME:PORT of Services."""
    found = [load.endpoint for load in asked.everything if load.endpoint.namespace == namespace]
    named = [f"{endpoint.service}:{endpoint.port}" for endpoint in found]
    if asked.stack and asked.stack.namespace == namespace:
        named.append(f"{asked.stack.service.name}:{asked.stack.service.port}")
    return named


def _rule(groups: Iterable[str], plurals: Iterable[str], verbs: Iterable[str], names: Iterable[str] = ()) -> Rule:
    rule: Rule = {"apiGroups": list(groups), "resources": list(plurals), "verbs": list(verbs)}
    if found := list(names):
        rule["resourceNames"] = found
    return rule


def _kind(doc: Document) -> tuple[str, str]:
    return str(doc["apiVersion"]).rpartition("/")[0], str(doc["kind"])
