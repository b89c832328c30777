"""From manifests to a plan that may be applied: what changes, whether someone agrees, and whether it still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.catalog.workload import Workload
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.cluster.dryrun import Compared, Recreate
    from wtsctl.cluster.prepare import Options, Prepared
    from wtsctl.commands.desired import Wanted
    from wtsctl.commands.membership import Members, Membership
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.plan.impact import Served
    from wtsctl.plan.preflight.record import Record
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.changes import ChangeReport
    from wtsctl.report.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a catalog is deployed, and how.

    Attributes:
        client: the cluster.
        discovery: its kinds.
        catalog: name of the catalog.
        home: the namespace in which is kept what wtsctl knows of the catalog.
        served: the servers that users know.
        options: how to apply.
        recreate: what may be deleted and made again.
        members: which objects are the catalog's.
    """

    client: Client
    discovery: Discovery
    catalog: str
    home: str
    served: Sequence[Served]
    options: Options
    recreate: Recreate
    members: Members

    @property
    def labels(self) -> str:
        """The selector of what is the catalog's."""
        from wtsctl.cluster.observe import own_labels

        return own_labels(self.catalog)


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done: the cluster's part, and the same to be shown; with what the checks before it found."""

    prepared: Prepared
    compared: Sequence[Compared]
    membership: Membership
    report: ChangeReport
    checked: Sequence[Record] = ()

    @property
    def writes(self) -> bool:
        """Whether anything is to be written."""
        return any(one.write for one in self.compared) or self.membership.writes


def planned(
    place: Place,
    manifests: Sequence[Manifest],
    screen: Terminal,
    *,
    check_new: bool,
    usual: Mapping[str, float] | None = None,
) -> Planned:
    """What a deploy of the manifests does, and what it means; said on stderr, unless it is all that is asked for.

    Args:
        place: where.
        manifests: in the order of a deploy.
        screen: hears of it.
        check_new: also what is not there yet is checked by the API server, and nothing will be applied.
        usual: seconds that a start took before, by model.

    Raises:
        ClusterError: the cluster cannot be spoken to, or cannot take the manifests.
    """
    from wtsctl.cluster.dryrun import compare
    from wtsctl.cluster.prepare import prepare

    manifests = place.members.marked(manifests)
    prepared = prepare(place.client, place.discovery, manifests, place.labels, place.options)
    membership = place.members.looked(place.client, place.discovery, prepared)

    def told(count: int) -> None:
        screen.detail(f"asking the API server about {count} of {len(manifests)} objects")

    compared = compare(place.client, prepared, place.options, check_new=check_new, recreate=place.recreate, told=told)
    pruning = place.members.prune
    report = _report(place.client, compared, place.served, place.labels, membership, pruning=pruning, usual=usual)
    if not check_new:
        for line in report.lines(created=bool(screen.verbosity)):
            screen.note(line)
    return Planned(prepared, compared, membership, report)


def foreseen(
    wanted: Wanted,
    found: tuple[LoadedCatalog, tuple[Workload, ...]],
    client: Client,
    screen: Terminal,
    *,
    check_new: bool,
) -> tuple[Sequence[Compared], Membership, ChangeReport]:
    """What a deploy with --prune would change, where nothing is: what could not be applied is compared all the same.

    Args:
        wanted: which part of the catalog.
        found: from `desired.read`.
        client: the cluster.
        screen: hears of Secrets that cannot be compared.
        check_new: the API server is asked also about what is not there yet, so that its defaults are shown.

    Raises:
        ClusterError: the cluster cannot be spoken to.
        UsageError: a file with the value of a Secret cannot be read.
    """
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.cluster.dryrun import compare
    from wtsctl.cluster.observe import own_labels
    from wtsctl.cluster.prepare import Options, prepare
    from wtsctl.commands.desired import desired, served
    from wtsctl.commands.membership import members

    loaded, chosen = found
    labels = own_labels(loaded.catalog.name)
    discovery = Discovery(client)
    mine = members(wanted, loaded)
    manifests = mine.marked(desired(wanted, found, client, discovery, screen, look_only=True))
    # By force: whose a field is does not matter where nothing is applied.
    how = Options(force=True)
    prepared = prepare(client, discovery, manifests, labels, how, look_only=True)
    membership = mine.looked(client, discovery, prepared, writes=False)
    compared = compare(client, prepared, how, check_new=check_new, look_only=True)
    servers = served(loaded, chosen, llama_stack=not wanted.some)
    return compared, membership, _report(client, compared, servers, labels, membership, pruning=True)


def _report(
    client: Client,
    compared: Sequence[Compared],
    servers: Sequence[Served],
    labels: str,
    membership: Membership,
    *,
    pruning: bool,
    usual: Mapping[str, float] | None = None,
) -> ChangeReport:
    """The changes, what is pruned among them if it is, and what they mean for the servers."""
    from wtsctl.cluster.dryrun import last_pods
    from wtsctl.plan.impact import impacts
    from wtsctl.report.changes import ChangeReport

    changes = [(one.change, one.live, one.manifest.doc) for one in compared]
    effects = impacts(changes, servers, last_pods(client, compared, labels), usual)
    done = [one for one, _, _ in changes]
    if pruning:
        done += membership.changes()
        effects += membership.impacts(servers)
    return ChangeReport(done, effects, membership.left(unasked=not pruning))


def stopped(place: Place, plan: Planned, screen: Terminal, *, ask: bool) -> tuple[ExitCode, list[Problem]] | None:
    """Why a plan is not applied: the person at the terminal says no, or the cluster is another one by now.

    Args:
        place: where.
        plan: what is to be done.
        screen: where it stands already, unless it is quiet.
        ask: whether a person may be asked; of what nobody notices nobody is.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    from wtsctl.commands.asking import agreed
    from wtsctl.errors import ExitCode, Problem
    from wtsctl.plan.impact import disruptive

    if ask and any(disruptive(one) for one in plan.report.changes):
        if screen.quiet:
            for line in plan.report.lines(created=False):
                screen.warn(line)
        if not agreed("apply?"):
            return ExitCode.INTERRUPTED, [Problem("interrupted", "nothing was applied")]
    # Where nobody is asked no time has passed, and it is looked once the lock is held.
    problems = changed(place, plan) if ask else []
    return (ExitCode.CLUSTER, problems) if problems else None


def changed(place: Place, plan: Planned, *, made: bool = False) -> list[Problem]:
    """Why a plan does not hold any more.

    Args:
        place: where.
        plan: what is to be done.
        made: also because something is there by now that was not; the first stage has been applied.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    from wtsctl.cluster.prepare import prepare
    from wtsctl.cluster.recheck import moved
    from wtsctl.errors import Problem
    from wtsctl.plan.changes import Action
    from wtsctl.render.job import Stage

    compared = [one for one in plan.compared if not made or one.manifest.stage is not Stage.NAMESPACE]
    if not any(one.write and (made or one.live is not None) for one in compared):
        return []
    # All of them, since some bring the kinds of others.
    manifests = [one.manifest for one in plan.compared]
    now = prepare(place.client, place.discovery, manifests, place.labels, place.options)
    found = moved(compared, now)
    if made:
        new = [one for one in compared if one.action is Action.CREATE]
        text = "it was made since the plan was made"
        found += [(one.manifest.identity, text) for one in new if now.live(one.manifest) is not None]
    hint = "deploy again to see the plan for what is there now"
    if not made:
        hint = f"nothing was applied; {hint}"
    return [Problem("deploy.changed", text, where, hint) for where, text in found]


def overtaken(place: Place, plan: Planned) -> list[str]:
    """The objects, by their identities, that are not any more as the plan has made or found them.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    from wtsctl.cluster.objects import FIELD_MANAGER
    from wtsctl.cluster.prepare import key_wanted, prepare
    from wtsctl.plan.changes import declared
    from wtsctl.plan.unchanged import unchanged

    manifests = [one.manifest for one in plan.compared]
    now = prepare(place.client, place.discovery, manifests, place.labels, place.options, look_only=True)
    ours = [one for one in manifests if key_wanted(one) not in now.foreign | now.unseen]
    found = [(one, now.live(one)) for one in ours]
    return [
        one.identity
        for one, live in found
        if live is None
        or (
            not unchanged(live, one.doc, FIELD_MANAGER)
            # Replicas are an autoscaler's, where there is one.
            and any(field.path != "spec.replicas" for field in declared(live, one.doc))
        )
    ]


def recreating(names: Sequence[str], manifests: Sequence[Manifest]) -> Recreate:
    """What `--recreate` names.

    Raises:
        SelectionError: a name is nothing's that is deployed.
    """
    from wtsctl.cluster.dryrun import Recreate
    from wtsctl.errors import Problem, SelectionError

    models = {one.model for one in manifests if one.model}
    objects = {f"{one.kind}/{one.name}".lower() for one in manifests if one.kind != "Namespace"}
    lost = [name for name in names if name not in models and name.lower() not in objects]
    if lost:
        hint = "name a model, or an object as deployment/NAME; `wtsctl render` shows them"
        problems = [Problem(SelectionError.code, f"--recreate: nothing is called '{name}'", hint=hint) for name in lost]
        raise SelectionError.of(problems)
    return Recreate([name for name in names if name in models], [name.lower() for name in names if "/" in name])
