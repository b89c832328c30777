"""What applying would do, found without doing it: from the objects alone where they say it, else from the API server.

An object that is as it should be costs no request. Of the others the API server is asked, by an apply that it does
not carry out, so that defaults, admission, conflicts and what may not be changed are its own answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import POD
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.cluster.prepare import Options, Prepared, key_wanted
from wtsctl.errors import Problem
from wtsctl.plan import ownership
from wtsctl.plan.changes import Action, Change, Field, comparable, declared, differences
from wtsctl.plan.unchanged import applied_fields, unchanged

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Kind
    from wtsctl.render.manifest import Manifest

_BAD, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _INVALID = 400, 403, 404, 409, 422
# How API servers, and the rules and webhooks of CRDs, say that a field is not to be changed.
_IMMUTABLE = re.compile(
    r"immutable|may not be changed|cannot be changed|may not change once set|updates to .* spec for"
)
_CLAIM = "PersistentVolumeClaim"
NOT_CHECKED = "not checked: its namespace does not exist yet"


@dataclass(frozen=True, slots=True)
class Compared:
    """One manifest beside what is in the cluster.

    Attributes:
        manifest: what is wanted.
        action: what an apply does.
        live: the object as it is; None where there is none, or none that may be looked at.
        after: the object as it would be; None where the API server was not asked.
        write: whether it has to be sent: what is unchanged and recorded as ours has not.
        force: conflicts are with earlier tools alone, or are to be ignored: fields are taken over.
        taken: those fields, each with whose it is.
        note: what else is to be said.
        problem: why it cannot be applied.
    """

    manifest: Manifest
    action: Action
    live: Object | None = None
    after: Object | None = None
    write: bool = True
    force: bool = False
    taken: tuple[str, ...] = ()
    note: str = ""
    problem: Problem | None = None

    @property
    def change(self) -> Change:
        """The same in the words of a plan, without the objects."""
        fields: tuple[Field, ...] = ()
        if self.live is not None and self.action in {Action.CONFIGURE, Action.RECREATE}:
            fields = differences(self.live, self.after) if self.after else declared(self.live, self.manifest.doc)
        made = self.manifest
        return Change(
            made.identity, made.stage.word, made.model, self.action, fields, self.note, self.taken, self.problem
        )


@dataclass(frozen=True, slots=True)
class Recreate:
    """What may be deleted and made again where it cannot be changed.

    Attributes:
        models: names of models: any object of theirs but a volume.
        objects: kind and name in lower case, such as `job/fetch`: those are made again in any case.
    """

    models: Collection[str] = ()
    objects: Collection[str] = ()

    def named(self, manifest: Manifest) -> bool:
        """Whether this very object is to be made again."""
        return f"{manifest.kind}/{manifest.name}".lower() in self.objects

    def allowed(self, manifest: Manifest) -> bool:
        """Whether it may be, where it cannot be changed."""
        return self.named(manifest) or (manifest.kind != _CLAIM and manifest.model in self.models)


def compare(
    client: Client,
    prepared: Prepared,
    options: Options,
    *,
    check_new: bool = False,
    look_only: bool = False,
    recreate: Recreate | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> list[Compared]:
    """Every manifest beside what is there, in their order; nothing is changed.

    Args:
        client: the cluster.
        prepared: from `prepare`.
        options: how it would be applied.
        check_new: ask the API server also about objects that are not there yet.
        look_only: nothing will be applied: what could not be is compared all the same, and noted.
        recreate: what may be deleted and made again.
        told: hears how many objects the API server is asked about, before it is.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    again = recreate or Recreate()
    known = [_known(prepared, one, check_new=check_new) for one in prepared.manifests]
    asked = [one for one, found in zip(prepared.manifests, known, strict=True) if found is None]
    if asked:
        told(len(asked))
    answers = iter(each(lambda one: _asked(client, prepared, options, one, again), asked, options.parallel))
    compared = [found if found is not None else next(answers) for found in known]
    if look_only:
        return [_looked_at(one) for one in compared]
    return [_made_again(one) if again.named(one.manifest) else one for one in compared]


def _looked_at(one: Compared) -> Compared:
    """An object of which an apply would be refused, compared without the API server."""
    if one.problem is None:
        return one
    note = f"without what the API server fills in, since it refuses: {one.problem.message}"
    if one.live is not None and not declared(one.live, one.manifest.doc):
        return replace(one, action=Action.UNCHANGED, write=False, problem=None, note=note)
    return replace(one, problem=None, note=note)


def _made_again(one: Compared) -> Compared:
    """An object that is there, deleted and made again because someone said so."""
    if one.live is None or one.action is Action.RECREATE:
        return one
    return replace(one, action=Action.RECREATE, write=True, problem=None)


def _known(prepared: Prepared, manifest: Manifest, *, check_new: bool) -> Compared | None:
    """What is known of an object without asking; None where the API server has to be asked."""
    key = key_wanted(manifest)
    if key in prepared.foreign:
        # Ours would be the label by which `delete` later takes it for its own, with all that others put there.
        note = "it was there before and is left as it is"
        return Compared(manifest, Action.UNCHANGED, prepared.before.get(key), write=False, note=note)
    if manifest.namespace in prepared.missing:
        return Compared(manifest, Action.CREATE, note=NOT_CHECKED if check_new else "")
    if (manifest.api_version, manifest.kind) in prepared.coming:
        return Compared(manifest, Action.CREATE, note="not checked: its kind does not exist yet")
    live = prepared.live(manifest)
    if live is not None:
        return _seen(manifest, live)
    return None if check_new or key in prepared.unseen else Compared(manifest, Action.CREATE)


def _seen(manifest: Manifest, live: Object) -> Compared | None:
    """What is known of an object that is there; None where the API server has to be asked."""
    if "deletionTimestamp" in live["metadata"]:
        return Compared(manifest, Action.RECREATE, live, note="it is being deleted")
    if not unchanged(live, manifest.doc, objects.FIELD_MANAGER) or ownership.applied_by_kubectl(live):
        return None
    return Compared(manifest, Action.UNCHANGED, live, live, write=False)


def _asked(client: Client, prepared: Prepared, options: Options, manifest: Manifest, again: Recreate) -> Compared:
    kind = prepared.kinds[manifest.api_version, manifest.kind]
    live = prepared.live(manifest)
    base = Compared(manifest, Action.CREATE if live is None else Action.CONFIGURE, live, force=options.force)
    migrates = live is not None and ownership.applied_by_kubectl(live)
    doc = manifest.doc
    if live is not None:
        kept = ownership.replicas_to_keep(as_ours(live, manifest), doc, objects.FIELD_MANAGER)
        if kept is not None:
            # As it will be once the autoscaler has them: see `apply`.
            doc = {**doc, "spec": {**doc["spec"], "replicas": kept}}
    try:
        created, after, base = _tried(client, kind, doc, base)
    except ApiRefused as error:
        return _refused(client, kind, base, error, again)
    if migrates:
        after = ownership.without_leftovers(after)
    if created:
        return replace(base, action=Action.CREATE, after=after)
    if live is None:
        return replace(base, action=Action.CONFIGURE, after=after, note="what is there may not be looked at")
    if comparable(live) != comparable(after):
        return replace(base, after=after)
    # Ours by its values, but not yet recorded as such: once it is, nobody has to be asked again.
    recorded = applied_fields(live, objects.FIELD_MANAGER, manifest.api_version)
    same = recorded == applied_fields(after, objects.FIELD_MANAGER, manifest.api_version)
    return replace(base, action=Action.UNCHANGED, after=after, write=not same or migrates)


def as_ours(live: Object, manifest: Manifest) -> Object:
    """An object as if what `kubectl apply` set had been applied by us."""
    if not ownership.applied_by_kubectl(live):
        return live
    entries = ownership.migrated(live, objects.FIELD_MANAGER, manifest.api_version)
    return {**live, "metadata": {**live["metadata"], "managedFields": entries}}


def _tried(client: Client, kind: Kind, doc: Object, base: Compared) -> tuple[bool, Object, Compared]:
    """A dry run; once more by force where only earlier tools stand in the way."""
    try:
        return *objects.apply(client, kind, doc, force=base.force, dry_run=True), base
    except ApiRefused as error:
        conflicts = error.causes if error.status == _CONFLICT else ()
        if not conflicts or not all(ownership.is_earlier(owner, objects.FIELD_MANAGER) for _, owner in conflicts):
            raise
    taken = tuple(f"{field.removeprefix('.')} from {owner}" for field, owner in conflicts)
    base = replace(base, force=True, taken=taken)
    return *objects.apply(client, kind, doc, force=True, dry_run=True), base


def _refused(client: Client, kind: Kind, base: Compared, error: ApiRefused, again: Recreate) -> Compared:
    """What a refused dry run means."""
    manifest = base.manifest
    if error.status == _FORBIDDEN and base.live is not None and holds(base.live, manifest.doc):
        note = "it is as it should be, and we may not change it"
        return replace(base, action=Action.UNCHANGED, write=False, note=note)
    if error.status == _FORBIDDEN and base.live is None and as_wanted(client, kind, manifest):
        note = "it is as it should be, and we may not change it"
        return replace(base, action=Action.UNCHANGED, write=False, note=note)
    if error.status == _BAD and "dry run" in error.problem.message:
        return replace(base, note=f"not checked: {error.problem.message}")
    fields = immutable(error)
    if fields and again.allowed(manifest):
        return replace(base, action=Action.RECREATE, note=f"{', '.join(fields)} cannot be changed")
    return replace(base, problem=explained(error, manifest))


def immutable(error: ApiRefused) -> list[str]:
    """The fields that may not be changed, where that is why an object was refused."""
    if error.status != _INVALID:
        return []
    return list(dict.fromkeys(field for field, text in error.causes if _IMMUTABLE.search(text)))


def explained(error: ApiRefused, manifest: Manifest) -> Problem:
    """A refusal of the API server with what to do about it."""
    problem = error.problem
    if error.status == _CONFLICT and error.causes:
        return replace(problem, hint=ownership.advice(owner for _, owner in error.causes))
    fields = immutable(error)
    if not fields:
        return problem
    name = f"{manifest.kind}/{manifest.name}".lower()
    data = ", with the data on it" if manifest.kind == _CLAIM else ""
    others = [f"{field}: {text}" for field, text in error.causes if field not in fields]
    message = "; ".join([f"{', '.join(fields)} is immutable: what is there cannot be changed to this", *others])
    return replace(problem, message=message, hint=f"--recreate {name} deletes it{data} and makes it again")


def as_wanted(client: Client, kind: Kind, manifest: Manifest) -> bool:
    """Whether the object already has everything that the manifest says; no, where that cannot be known."""
    try:
        return holds(objects.get(client, kind, manifest.namespace or "", manifest.name), manifest.doc)
    except ApiRefused:
        return False


def holds(there: Any, wanted: Any) -> bool:
    """Whether a value has every part of another; lists have to agree in their length.

    The API server leaves out what is false, zero or empty. An empty mapping is a value of its own: as a podSelector
    it selects every pod, which a narrower one does not.
    """
    if not wanted:
        return not there
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(holds(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(holds(one, other) for one, other in zip(there, wanted, strict=True))
    return bool(there == wanted)


def last_pods(client: Client, compared: Sequence[Compared], labels: str) -> list[Object]:
    """The pods of the namespaces in which something that is there changes, to say how long a start takes.

    What may not be listed is left out: then the longest time that a start may take is said.
    """
    spaces = {one.manifest.namespace for one in compared if one.live is not None and one.action is not Action.UNCHANGED}

    def listed(namespace: str) -> list[Object]:
        try:
            return objects.list_all(client, POD, namespace, labels=labels)[0]
        except ApiRefused:
            return []

    return [pod for pods in each(listed, sorted(one for one in spaces if one)) for pod in pods]
