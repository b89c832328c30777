"""Before anything is applied: whether the cluster has what the deploy rests on, and we the rights to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.cluster.dryrun import Compared
    from wtsctl.cluster.prepare import Prepared
    from wtsctl.commands.membership import Membership
    from wtsctl.commands.planned import Place
    from wtsctl.commands.readiness import Looked
    from wtsctl.plan.preflight.record import Record
    from wtsctl.plan.preflight.rights import Right
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.preflight import PreflightReport
    from wtsctl.report.terminal import Terminal


class Preflight:
    """The checks of one deploy.

    Args:
        place: where.
        looked: what is waited for; None: nothing is.
        ignored: names of checks whose errors are warnings; `all` names all of them.
    """

    def __init__(self, place: Place, looked: Looked | None, ignored: Sequence[str]) -> None:
        from wtsctl.cluster.access import Access

        self._place, self._looked, self._ignored = place, looked, ignored
        self._access = Access(place.client)

    def may_look(self, manifests: Sequence[Manifest]) -> None:
        """Go on only with the rights to look at what is there and to wait for it: all that are lacking at once.

        Raises:
            ClusterRefused: a right is lacking; `problems` has each.
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.errors import ClusterRefused
        from wtsctl.report.preflight import problems

        found = problems(self._permissions(self._reads(manifests)))
        if found:
            raise ClusterRefused.of(found)

    def records(
        self, prepared: Prepared, compared: Sequence[Compared], membership: Membership | None = None
    ) -> tuple[Record, ...]:
        """What all checks come to for what is about to be done.

        Args:
            prepared: what is wanted.
            compared: the same beside what is there.
            membership: what is no longer wanted; None: that is not known.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.cluster.surroundings import read, steps
        from wtsctl.plan.preflight.check import check, ignoring, wanted
        from wtsctl.plan.preflight.rights import making

        planned = steps(prepared, compared)
        facts = read(self._place.client, prepared, planned, wanted(planned))
        needed = [*self._reads(prepared.manifests), *making(planned)]
        permissions = self._permissions(needed)
        removed = [item for _, item in membership.found.removed] if membership and membership.prunes else []
        return ignoring(check(facts, planned, self._place.catalog, permissions, removed), self._ignored)

    def only(self, manifests: Sequence[Manifest], screen: Terminal) -> PreflightReport:
        """What the checks come to where nothing is to be applied, whatever a deploy would already have refused.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.cluster.dryrun import compare
        from wtsctl.cluster.prepare import prepare
        from wtsctl.plan.preflight.check import ignoring, unlooked
        from wtsctl.plan.preflight.record import Outcome
        from wtsctl.report.preflight import PreflightReport

        place = self._place
        lacking = self._permissions(self._reads(manifests))
        if any(one.outcome is Outcome.ERROR for one in lacking):
            # What is there may not be looked at, so nothing else is known.
            return PreflightReport(ignoring(unlooked(lacking), self._ignored))
        screen.detail("looking at what is there")
        prepared = prepare(place.client, place.discovery, manifests, place.labels, place.options, look_only=True)
        compared = compare(place.client, prepared, place.options, look_only=True)
        # Only a prune frees anything.
        membership = place.members.looked(place.client, place.discovery, prepared) if place.members.prune else None
        return PreflightReport(self.records(prepared, compared, membership))

    def _reads(self, manifests: Sequence[Manifest]) -> list[Right]:
        """The rights to look at what is there, and to wait for it."""
        from wtsctl.cluster.prepare import is_asked_for
        from wtsctl.plan.preflight.rights import Right

        discovery = self._place.discovery
        found: dict[Right, None] = {}
        for one in manifests:
            if one.namespace is None or is_asked_for(one) or not discovery.serves(one.api_version, one.kind):
                continue
            kind = discovery.kind(one.api_version, one.kind)
            found[Right("list", kind.group, kind.plural, one.namespace)] = None
        for selection in self._looked.selections if self._looked else ():
            kind = selection.kind
            if not selection.dispensable:
                for verb in ("list", "watch"):
                    found[Right(verb, kind.group, kind.plural, selection.namespace)] = None
        asked = {one.name for one in self._looked.subjects if one.asked and one.replicas} if self._looked else set()
        for name, endpoint in self._looked.endpoints.items() if self._looked else ():
            # One that wants an API key is asked through a port-forward, to pods whose names nobody knows yet.
            if name in asked and not endpoint.key:
                for verb in ("get", "create"):
                    service = f"{endpoint.service}:{endpoint.port}"
                    found[Right(verb, "", "services/proxy", endpoint.namespace, service)] = None
        return list(found)

    def _permissions(self, needed: Sequence[Right]) -> tuple[Record, ...]:
        from wtsctl.cluster.identity import cluster_user
        from wtsctl.plan.preflight.check import ignoring
        from wtsctl.plan.preflight.rights import permissions

        lacking = self._access.lacking(needed)
        who = cluster_user(self._place.client) if isinstance(lacking, list) and lacking else ""
        return ignoring(tuple(permissions(needed, lacking, who)), self._ignored)


def names(given: Sequence[str]) -> tuple[str, ...]:
    """The checks of `--ignore-preflight-errors`, which may hold several with commas between them.

    Raises:
        UsageError: one of them is no check; it would ignore nothing, in silence.
    """
    from wtsctl.catalog.fault import suggestion
    from wtsctl.errors import UsageError
    from wtsctl.plan.preflight.check import BY_NAME

    found = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in found:
        if name != "all" and name not in BY_NAME:
            hint = suggestion(name, BY_NAME) or f"all, or one of {', '.join(BY_NAME)}"
            raise UsageError(f"--ignore-preflight-errors: there is no check '{name}'", hint=hint)
    return tuple(found)
