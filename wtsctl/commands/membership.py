"""Which objects are a catalog's while it is deployed: recorded before they are applied, and pruned after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wtsctl.catalog.document import Catalog
    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.cluster.applyset import Leftovers, Record
    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery, Kind
    from wtsctl.cluster.prepare import Key, Prepared
    from wtsctl.cluster.prune import PruneResult
    from wtsctl.commands.desired import Wanted
    from wtsctl.plan.changes import Change
    from wtsctl.plan.impact import Impact, Served
    from wtsctl.plan.membership import Home, Scope
    from wtsctl.plan.prune import Left
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.terminal import Terminal

# How long what is pruned may take to go, with its pods.
_GONE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Members:
    """Which of a catalog's objects a command is about.

    Attributes:
        home: where they are recorded.
        whole: the manifests are all that the catalog wants; else what is no longer wanted cannot be known.
        prune: what is no longer wanted is deleted.
        kept: what is wanted though no manifest says it: Secrets whose values are not here.
        spared: kinds that this command leaves as they are: a rollback has no values of Secrets, and takes none away.
    """

    home: Home
    whole: bool
    prune: bool = False
    kept: frozenset[Key] = field(default_factory=frozenset)
    spared: frozenset[str] = frozenset()

    def marked(self, manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
        """The manifests with the label of members.

        Raises:
            TemplateError: one says that it is another set's.
        """
        from dataclasses import replace

        from wtsctl.plan.membership import member

        return tuple(replace(one, doc=member(one.doc, self.home)) for one in manifests)

    def looked(self, client: Client, discovery: Discovery, prepared: Prepared, *, writes: bool = True) -> Membership:
        """What is recorded, and what of it is no longer wanted.

        Args:
            client: the cluster.
            discovery: its kinds.
            prepared: from `prepare`.
            writes: it is going to be written; else a selection asks nothing.

        Raises:
            ClusterRefused: what is recorded is not ours.
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.cluster.applyset import Leftovers, Record, leftovers, read

        record = read(client, self.home) if writes or self.whole else Record(self.home)
        found = Leftovers()
        if self.whole:
            found = leftovers(client, discovery, prepared, record, self.kept, left_alone=self.spared)
        return Membership(self, prepared, record, found)


class Membership:
    """The members of one deploy.

    Args:
        members: what is asked for.
        prepared: what is wanted.
        record: what the cluster says.
        found: what is no longer wanted.
    """

    def __init__(self, members: Members, prepared: Prepared, record: Record, found: Leftovers) -> None:
        from wtsctl.cluster.applyset import wanted_scope
        from wtsctl.plan.membership import Scope

        self.members, self.found = members, found
        self._prepared, self._record = prepared, record
        self._wanted = wanted_scope(prepared)
        # What another deploy has recorded since, and this one has not looked at.
        self._later = Scope()

    @property
    def prunes(self) -> bool:
        """Whether something is to be deleted."""
        return self.members.prune and bool(self.found.removed)

    @property
    def writes(self) -> bool:
        """Whether something is to be deleted or recorded."""
        from wtsctl.plan.membership import is_current, parent

        if self._record.problem:
            return self.prunes
        scopes = [self._record.scope | self._wanted]
        if self.members.whole:
            scopes.append(self._staying(self.found.removed))
        return self.prunes or not all(is_current(self._record.item, parent(self.members.home, one)) for one in scopes)

    def changes(self, *, note: str = "") -> list[Change]:
        """The deletions, as a part of a plan."""
        from wtsctl.plan.prune import removed

        return [removed(item, note) for _, item in self.found.removed]

    def impacts(self, served: Sequence[Served]) -> tuple[Impact, ...]:
        """What the deletions mean for those who use the models."""
        from wtsctl.plan.impact import removals

        wanted = [one.doc for one in self._prepared.manifests]
        return removals([item for _, item in self.found.removed], wanted, served)

    def left(self, *, unasked: bool) -> list[Left]:
        """What stays; with `unasked` also what would go with --prune."""
        from wtsctl.plan.prune import Standing, left

        waiting = [left(item, Standing.REMOVED) for _, item in self.found.removed] if unasked else []
        return [*waiting, *self.found.left]

    def widen(self, client: Client, screen: Terminal) -> None:
        """Record where objects are going to be, beside where they are: before there are any.

        Raises:
            ClusterError: the cluster cannot be spoken to, or refuses it.
        """
        from wtsctl.cluster.applyset import read, write

        if not self.writes:
            return
        known, looked_at = self._record.problem is None, self._record.scope
        if known:
            self._record = read(client, self.members.home)
            self._later = self._record.scope - looked_at
        self._record = write(client, self._record, self._record.scope | self._wanted)
        if self._record.problem and known:
            home = self.members.home
            screen.warn(
                f"{home.namespace}/ConfigMap/{home.name} cannot be written, so that not all of the catalog's objects "
                f"may be found once it no longer has them: {self._record.problem.message}"
            )

    def finish(self, client: Client, labels: str, screen: Terminal, check: Callable[[], None]) -> PruneResult:
        """Delete what is no longer wanted, where that is asked for; then record where objects are now.

        Args:
            client: the cluster.
            labels: the selector of what is the catalog's.
            screen: hears of it.
            check: called before each part; a ClusterError from it means that nothing may be written any more.
        """
        from dataclasses import replace

        from wtsctl.cluster.applyset import write
        from wtsctl.cluster.prune import PruneResult, prune
        from wtsctl.errors import ClusterError
        from wtsctl.report.deploy import pruned_line

        result, staying = PruneResult(), self.found.removed
        if not self.writes:
            return result
        try:
            check()
        except ClusterError as error:
            return replace(PruneResult.foreseen(staying if self.prunes else (), refused=True), error=error)
        if self.prunes:
            result = prune(
                client,
                staying,
                self.members.home,
                labels,
                timeout=_GONE_SECONDS,
                check=check,
                told=lambda one: screen.detail(pruned_line(one)),
                note=screen.note,
            )
            for one in result.spared:
                screen.warn(f"{one.identity} stays: {one.note}")
            staying = tuple(one for one in staying if one[1]["metadata"]["uid"] not in result.gone)
        if not self.members.whole or result.error or result.interrupted:
            return result
        try:
            # Someone may have taken the lock over while things went.
            check()
            self._record = write(client, self._record, self._staying(staying))
        except KeyboardInterrupt:
            return replace(result, interrupted=True)
        except ClusterError as error:
            return replace(result, error=error)
        return result

    def _staying(self, removed: Iterable[tuple[Kind, Object]]) -> Scope:
        """Where objects are when these are still there."""
        from wtsctl.cluster.prepare import BY_NAME
        from wtsctl.plan.membership import places

        return self._later | self._wanted | self.found.staying | places((item for _, item in removed), by_name=BY_NAME)


def members(wanted: Wanted, loaded: LoadedCatalog, *, prune: bool = False) -> Members:
    """The members that a command line is about.

    Raises:
        UsageError: a selection is to prune.
    """
    from wtsctl.errors import UsageError
    from wtsctl.plan.membership import Home

    whole = not (wanted.some or wanted.only)
    if prune and not whole:
        raise UsageError(
            "--prune goes with the whole catalog: what is not selected cannot be told from what was taken out",
            hint="leave MODEL, --role and --only out",
        )
    catalog = loaded.catalog
    kept = own_secrets(catalog) if whole else frozenset()
    return Members(Home(catalog.name, catalog.defaults.namespace), whole, prune, kept)


def own_secrets(catalog: Catalog) -> frozenset[Key]:
    """The Secrets that wtsctl makes for a catalog, also those whose values are not here."""
    from wtsctl.render.manifest import ask
    from wtsctl.render.secrets import wanted_secrets

    return frozenset(("Secret", one.namespace, one.name) for one in wanted_secrets(ask(catalog)) if one.sources)
