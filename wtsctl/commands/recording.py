"""Recording a deploy in the cluster: before anything is applied, and again once it is known what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.cluster.client import Client
    from wtsctl.commands.desired import Wanted
    from wtsctl.commands.planned import Planned
    from wtsctl.errors import ClusterError, ExitCode, Problem
    from wtsctl.health.wait import Waited
    from wtsctl.plan.history import Entry
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.terminal import Terminal


@dataclass(frozen=True, slots=True)
class About:
    """What is deployed, for the record.

    Attributes:
        catalog: its name.
        home: the namespace of the records.
        text: of models.yaml.
        profile: of it.
        selection: what is asked for; empty: everything.
        rollback: the revision that is gone back to.
        whole: the manifests are of the whole catalog, or of all that a revision knew.
    """

    catalog: str
    home: str
    text: str
    profile: str | None
    selection: tuple[str, ...] = ()
    rollback: int | None = None
    whole: bool = True


def about(wanted: Wanted, loaded: LoadedCatalog) -> About:
    """What a command line deploys."""
    selection = (*wanted.models, *(f"--role {one.value}" for one in wanted.roles))
    selection += tuple(f"--only {one.value}" for one in wanted.only)
    catalog = loaded.catalog
    return About(catalog.name, catalog.defaults.namespace, loaded.text, loaded.profile, selection, whole=not selection)


class Recorder:
    """The record of one deploy.

    A cluster that refuses to keep it is told to the user, and is no reason not to deploy.

    Args:
        client: the cluster.
        about: what is deployed.
        screen: hears of what cannot be recorded.
    """

    def __init__(self, client: Client, about: About, screen: Terminal) -> None:
        from wtsctl.cluster.history import History

        self._about, self._screen = about, screen
        self._client = client
        self._history = History(client, about.home, about.catalog)
        self._known: Sequence[Entry] | None = None
        self._refused: ClusterError | None = None
        self._entry: Entry | None = None

    def look(self) -> Mapping[str, float]:
        """Read the earlier records; returns how long the last start of each model took.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.cluster.faults import ApiRefused
        from wtsctl.plan.history import estimates

        try:
            self._known = self._history.entries()
        except ApiRefused as error:
            self._refused = error
        return estimates(self._known or ())

    def newer(self) -> Entry | None:
        """The newest deploy that was recorded after this one; None where there is none, or that cannot be known."""
        from wtsctl.errors import ClusterError

        known = self._entry or (self._known[0] if self._known else None)
        try:
            newest = next(iter(self._history.entries()), None)
        except ClusterError:
            return None
        return newest if newest and known and newest.revision > known.revision else None

    def begin(self, plan: Planned, manifests: Sequence[Manifest], *, writes: bool) -> None:
        """Write that it has begun; nothing where it changes nothing and the newest record says the same.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl import __version__
        from wtsctl.cluster.faults import ApiRefused
        from wtsctl.cluster.identity import cluster_user, local_user
        from wtsctl.errors import ClusterError
        from wtsctl.plan import changes, history
        from wtsctl.plan.public import public

        about = self._about
        hashed = history.digest(about.text)
        if self._entry or (
            self._known is not None
            and not writes
            and not history.tells_more(self._known[0] if self._known else None, hashed, about.profile)
        ):
            return
        if self._known is None:
            if writes:
                self._warn(self._refused)
            return
        try:
            made: list[Mapping[str, Any]] = [stored(one) for one in manifests]
            whole = about.whole
            if not whole:
                # Anew, since another deploy may have been waited for meanwhile.
                self._known = self._history.entries()
                base = history.base(self._known)
                former = self._history.state(base.revision) if base else None
                whole = base is not None and base.whole and former is not None
                made = history.laid_over(former or [], made)
            details = {
                # Which fields, and not what was in them: that is in the manifests.
                "changes": [
                    one.data() | {"fields": [found.path for found in one.fields]} for one in plan.report.changes
                ],
                "impact": [one.data() for one in plan.report.impacts],
            }
            parts = history.packed(
                {
                    history.TEXT: public(about.text),
                    history.STATE: json.dumps(made, ensure_ascii=False),
                    history.DETAILS: json.dumps(details, ensure_ascii=False),
                }
            )
            self._entry = self._history.add(
                history.Entry(
                    0,
                    started=_now(),
                    user=local_user(),
                    cluster_user=cluster_user(self._client),
                    version=__version__,
                    catalog_hash=hashed,
                    profile=about.profile,
                    selection=about.selection,
                    rollback=about.rollback,
                    plan_hash=changes.digest(plan.report.changes),
                    counts=history.counts(plan.report.changes),
                    whole=whole,
                    stored=tuple(parts),
                    seconds=history.estimates(self._known),
                ),
                parts,
                self._known,
            )
        except ApiRefused as error:
            self._warn(error)
            return
        try:
            self._history.trim([self._entry, *self._known])
        except ClusterError as error:
            self._screen.note(f"an old record could not be deleted; the next deploy tries again: {error.problems[0]}")

    def applied(self) -> None:
        """Write that everything was applied, before anything else is waited for: whoever is killed then is no part."""
        from wtsctl.errors import ClusterError

        if self._entry is None:
            return
        self._entry = replace(self._entry, complete=True)
        try:
            self._history.update(self._entry)
        except ClusterError as error:
            # Once more at the end, which says so if it fails again.
            self._screen.note(f"the record of this deploy does not say yet that all was applied: {error.problems[0]}")

    def ended(
        self,
        code: ExitCode,
        *,
        complete: bool,
        waited: Mapping[str, Waited],
        plan: Planned | None,
        problems: Sequence[Problem],
    ) -> None:
        """Write what came of it, if it was recorded that it began."""
        from wtsctl.errors import ClusterError
        from wtsctl.plan import history

        if self._entry is None:
            return
        one = history.ended(
            self._entry,
            _result(code, waited=bool(waited)),
            complete=complete,
            at=_now(),
            verdicts={name: found.verdict.value for name, found in waited.items()},
            errors=list(dict.fromkeys(problem.code for problem in problems)),
        )
        one = replace(one, seconds=history.started_in(one.seconds, _took(waited, plan)))
        self._entry = None
        try:
            self._history.update(one)
        except ClusterError as error:
            self._warn(error)

    def _warn(self, error: ClusterError | None) -> None:
        text = error.problems[0].message if error else "the records cannot be read"
        self._screen.warn(f"warning: this deploy is not recorded, so that `wtsctl rollback` does not know it: {text}")


def stored(manifest: Manifest) -> dict[str, Any]:
    """A manifest as it is recorded."""
    from wtsctl.plan.history import without_values

    return {
        "doc": without_values(manifest.doc),
        "stage": manifest.stage.word,
        "template": manifest.template,
        "model": manifest.model,
        "path": manifest.path,
    }


def restored(found: Mapping[str, Any]) -> Manifest:
    """A recorded manifest.

    Raises:
        ValueError: it is none that this wtsctl can read.
    """
    from wtsctl.render.job import Stage
    from wtsctl.render.manifest import Manifest

    try:
        stage = {one.word: one for one in Stage}[found["stage"]]
        made = Manifest(found["doc"], stage, found["template"], found["model"], found["path"])
        if not (made.kind and made.name and made.api_version):
            raise ValueError("an object without a name")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a recorded object: {error}") from error
    return made


def _result(code: ExitCode, *, waited: bool) -> str:
    from wtsctl.errors import ExitCode
    from wtsctl.plan.history import Ended

    known = {ExitCode.NOT_READY: Ended.NOT_READY, ExitCode.INTERRUPTED: Ended.INTERRUPTED}
    if code is ExitCode.OK:
        return Ended.READY if waited else Ended.APPLIED
    return known.get(code, Ended.FAILED)


def _took(waited: Mapping[str, Waited], plan: Planned | None) -> dict[str, float]:
    """How long the models took that started in this deploy; one pod after another says nothing about one start."""
    from wtsctl.health.wait import Verdict
    from wtsctl.plan.impact import Effect

    begun = {Effect.STARTS, Effect.RESTARTS}
    started = {one.name for one in plan.report.impacts if one.effect in begun and not one.rolling} if plan else set()
    return {
        name: round(one.seconds, 1) for name, one in waited.items() if name in started and one.verdict is Verdict.READY
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
