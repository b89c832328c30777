"""Which rights a deploy needs, and which of them are lacking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.plan.preflight.facts import NotRead, Step
from wtsctl.plan.preflight.record import Check, Record, error, ok, skipped

PERMISSIONS = Check(
    "permissions",
    "permissions",
    "we may do everything that this deploy does",
    "One SelfSubjectAccessReview for everything; where that is refused, the rules of each namespace "
    "(SelfSubjectRulesReview), and for each right that they do not grant a SelfSubjectAccessReview of its own. Asked "
    "for are: to list each kind of the catalog in its namespaces; to list and watch what is waited for, and to reach "
    "its endpoints through the API server's proxy; and to make what is new. That what is there already may be changed "
    "is found by the plan's dry run.",
    "An error: a right is lacking. Rights without which a deploy only tells less (events, logs) are not asked for, nor "
    "those that a new Role or ClusterRole would grant, which only who has them may grant.",
    "Ask someone with more rights, use another `--context`, or let an administrator deploy once with "
    "`platform.access`.",
    "kubernetes.io/docs/reference/access-authn-authz/authorization",
)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one kind of object.

    Attributes:
        verb: of RBAC: `list`, `create`, `patch`.
        group: API group; empty for the core's.
        resource: name of the kind in paths; with a part of it, `pods/log`.
        namespace: empty for what lies in none.
        name: of one object; empty for all of them.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    @property
    def whole(self) -> Right:
        """The same for every object of the kind."""
        return Right(self.verb, self.group, self.resource, self.namespace)

    @property
    def about(self) -> str:
        """What it is on, as RBAC names it: `deployments.apps`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


Rule = Mapping[str, Any]


def granted(right: Right, rules: Iterable[Rule]) -> bool:
    """Whether rules of the API server's SelfSubjectRulesReview grant a right.

    As RBAC compares: kubernetes/kubernetes, pkg/apis/rbac/v1/evaluation_helpers.go.
    """
    part = right.resource.partition("/")[2]
    names = {right.resource, "*", *([f"*/{part}"] if part else [])}
    return any(
        {right.verb, "*"} & set(rule.get("verbs") or ())
        and {right.group, "*"} & set(rule.get("apiGroups") or ())
        and names & set(rule.get("resources") or ())
        and (not rule.get("resourceNames") or right.name in rule["resourceNames"])
        for rule in rules
    )


def making(steps: Iterable[Step]) -> list[Right]:
    """The rights to make what is not there, two for a server-side apply; and to delete what is made again."""
    return [
        Right(verb, one.group, one.resource, one.namespace, one.name)
        for one in steps
        if one.new and one.resource
        for verb in ("create", "patch", *(("delete", "get") if one.again else ()))
    ]


def permissions(asked: Sequence[Right], lacking: Sequence[Right] | NotRead, who: str) -> Iterator[Record]:
    """What is lacking, one record a kind and namespace.

    Args:
        asked: the rights that are needed.
        lacking: those of them that the API server says we have not.
        who: as whom the API server knows us; empty where it did not say.
    """
    if isinstance(lacking, NotRead):
        yield skipped(PERMISSIONS, lacking.why)
        return
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in lacking:
        found[one.namespace, one.about][one.verb] |= {one.name} if one.name else set()
    hint = "someone with more rights has to grant this, or use another --context; see docs/how-to/ci-access.md"
    for (namespace, about), verbs in sorted(found.items()):
        names = sorted({name for each in verbs.values() for name in each})
        what = f"{about} {', '.join(names)}" if names else about
        within = f' in the namespace "{namespace}"' if namespace else ""
        text = f"{f'User {chr(34)}{who}{chr(34)}' if who else 'we'} may not {', '.join(verbs)} {what}{within}"
        yield error(PERMISSIONS, text, hint=hint)
    if not lacking:
        count = len({one.whole for one in asked})
        yield ok(PERMISSIONS, f"{count} right{'s' * (count != 1)}, all granted")
