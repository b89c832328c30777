"""Whether we may do something, asked before it is done: the API server's own answers.

Every account may ask about itself by default (ClusterRole `system:basic-user`).
Protocol: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.plan.preflight.facts import NotRead
from wtsctl.plan.preflight.rights import Right, Rule, granted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wtsctl.cluster.client import Client

_API = "/apis/authorization.k8s.io/v1"
_EVERYTHING = Right("*", "*", "*", "")
# Of what may not be done on a whole kind, so many objects are asked about by their names.
_NAMED = 20


class Access:
    """What we may do in one cluster; each question is asked once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._everything: bool | None = None
        self._rules: dict[str, list[Rule]] = {}
        self._answers: dict[Right, bool] = {}

    def lacking(self, wanted: Iterable[Right]) -> list[Right] | NotRead:
        """Those of some rights that we have not.

        One request where we may do everything, which is an administrator's case. Else the rules of each namespace say
        most of it, and what they do not grant is asked for by itself: rules may be incomplete. Of a right that we have
        not on a whole kind, at most twenty objects are asked about by name; further ones count as lacking.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        try:
            return self._lacking(dict.fromkeys(wanted))
        except ApiRefused as error:
            return NotRead(f"the API server does not say what we may do: {error.problem.message}")

    def _lacking(self, wanted: Iterable[Right]) -> list[Right]:
        wanted = list(wanted)
        if self._everything is None:
            self._everything = self._review(_EVERYTHING)
        if self._everything:
            return []
        spaces = {one.namespace for one in wanted if one.namespace} - self._rules.keys()
        self._rules |= dict(zip(spaces, each(self._of_namespace, spaces), strict=True))
        # Rules say not whether they hold outside of the namespace that was asked about.
        left = [one for one in wanted if not (one.namespace and granted(one, self._rules[one.namespace]))]
        self._ask({one.whole for one in left})
        left = [one for one in left if not self._answers[one.whole]]
        named: dict[Right, list[Right]] = defaultdict(list)
        for one in left:
            if one.name:
                named[one.whole].append(one)
        self._ask({one for each_of in named.values() for one in each_of[:_NAMED]})
        return [one for one in left if not self._answers.get(one, False)]

    def _ask(self, rights: Iterable[Right]) -> None:
        new = sorted(set(rights) - self._answers.keys())
        self._answers |= dict(zip(new, each(self._review, new), strict=True))

    def _review(self, right: Right) -> bool:
        resource, _, part = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": part,
            "namespace": right.namespace,
            "name": right.name,
        }
        spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        return bool((self._create("SelfSubjectAccessReview", spec).get("status") or {}).get("allowed"))

    def _of_namespace(self, namespace: str) -> list[Rule]:
        status = self._create("SelfSubjectRulesReview", {"namespace": namespace}).get("status") or {}
        return list(status.get("resourceRules") or ())

    def _create(self, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        # A question that is asked twice changes nothing.
        return self._client.exchange("POST", f"{_API}/{kind.lower()}s", body=body, where=kind, repeatable=True)[1]
