"""Profiles: variants of the catalog in the same file, laid over it before it is checked.

The merge works on the tree of values that know their lines, so a wrong value is reported where it was written, in
the profile or in the base. Its laws stand in docs/reference/models-yaml.md, under "Profiles".
"""

from __future__ import annotations

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import keys
from wtsctl.catalog.fault import Code, Fault, Path, listed, missing_name, suggestion
from wtsctl.catalog.model import Model
from wtsctl.catalog.shape import check, faults
from wtsctl.catalog.tree import Mapping, Node, Position, Scalar, Sequence, locate, plain

PROFILES = "profiles"
EACH_MODEL = "eachModel"
DESCRIPTION = "description"
# Entries of these lists are the same entry when they have the same name; every other list is replaced whole.
MERGED_BY_NAME = ("models", "agents")
_NOT_IN_A_PROFILE = ("apiVersion", PROFILES)


def split(root: Mapping) -> tuple[Mapping, Node | None]:
    """The base catalog, and what stands under `profiles`."""
    entries = {key: entry for key, entry in root.entries.items() if key != PROFILES}
    return _mapping(root, entries), root.get(PROFILES)


def apply(base: Mapping, profiles: Node | None, name: str) -> Mapping:
    """The base with a profile merged in; unchanged where the profile is not there or has no content."""
    profile = profiles.get(name) if isinstance(profiles, Mapping) else None
    if not isinstance(profile, Mapping):
        return base
    each = profile.get(EACH_MODEL)
    overlay = _mapping(
        profile, {key: entry for key, entry in profile.entries.items() if key not in (EACH_MODEL, DESCRIPTION)}
    )
    if isinstance(each, Mapping):
        base, overlay = _over_each_model(base, overlay, each)
    merged = merge(base, overlay, by_name=MERGED_BY_NAME)
    assert isinstance(merged, Mapping)  # noqa: S101 - two mappings merge into one
    return merged


def merge(base: Node, overlay: Node, *, by_name: tuple[str, ...] = ()) -> Node:
    """`overlay` laid over `base`.

    Mappings merge key by key, to any depth. The lists under the keys `by_name` of the outermost mapping merge entry
    by entry: equal names merge, new ones are appended, the order of the base is kept. Everything else is replaced,
    also by null, which takes a key away.
    """
    if not (isinstance(base, Mapping) and isinstance(overlay, Mapping)):
        return overlay
    entries = dict(base.entries)
    for key, (at, value) in overlay.entries.items():
        old = base.get(key)
        if old is None:
            entries[key] = (at, value)
        elif key in by_name and isinstance(old, Sequence) and isinstance(value, Sequence):
            entries[key] = (at, _merge_by_name(old, value))
        else:
            entries[key] = (at, merge(old, value))
    return _mapping(base, entries)


def _merge_by_name(base: Sequence, overlay: Sequence) -> Sequence:
    # An entry without a name is reported by `problems`, so nothing gets lost here.
    own = {name: entry for entry in overlay.items if (name := _name(entry)) is not None}
    kept = [merge(entry, own.pop(name)) if (name := _name(entry)) in own else entry for entry in base.items]
    return _sequence(base, [*kept, *own.values()])


def problems(profiles: Node | None, chosen: str | None) -> list[Fault]:
    """What is wrong with the profiles themselves, chosen or not.

    Each is held against the same types as the catalog, except that nothing is missing from it: what it leaves out
    comes from the base.
    """
    found: list[Fault] = []
    names: list[str] = []
    if isinstance(profiles, Mapping):
        names = list(profiles.entries)
        for name, (_, profile) in profiles.entries.items():
            path = (PROFILES, name)
            if isinstance(profile, Mapping):
                found += [
                    Fault(fault.code, (*path, *fault.path), fault.text, fault.hint, fault.at_key)
                    for fault in _of_one(profile)
                ]
            elif not _is_null(profile):
                found.append(Fault(Code.TYPE, path, "expected a mapping (key: value)"))
    elif not _is_null(profiles):
        found.append(Fault(Code.TYPE, (PROFILES,), "expected a mapping of names to profiles"))
    if chosen is not None and chosen not in names:
        hint = missing_name(chosen, names, "profiles")
        found.append(Fault(Code.PROFILE, (PROFILES,) if names else (), f"no profile '{chosen}'", hint))
    return found


def _of_one(profile: Mapping) -> list[Fault]:
    found: list[Fault] = []
    known = [key for key in (DESCRIPTION, EACH_MODEL, *keys(Catalog)) if key not in _NOT_IN_A_PROFILE]
    for key in profile.entries:
        if key in _NOT_IN_A_PROFILE:
            found.append(Fault(Code.PROFILE, (key,), "a profile cannot change this", at_key=True))
        elif key not in known:
            hint = suggestion(key, known) or f"known keys: {listed(known)}"
            found.append(Fault(Code.UNKNOWN_KEY, (key,), f"unknown key '{key}'", hint, at_key=True))
    description = profile.get(DESCRIPTION)
    if description is not None and not (isinstance(description, Scalar) and isinstance(description.value, str | None)):
        found.append(Fault(Code.TYPE, (DESCRIPTION,), "expected text"))
    checked = {
        key: entry for key, entry in profile.entries.items() if key in known and key not in (DESCRIPTION, EACH_MODEL)
    }
    found += _types(Catalog, _mapping(profile, checked))
    for key in MERGED_BY_NAME:
        found += _names(profile, key)
    each = profile.get(EACH_MODEL)
    if each is not None and not _is_null(each):
        found += [
            Fault(fault.code, (EACH_MODEL, *fault.path), fault.text, fault.hint, fault.at_key)
            for fault in _types(Model, each)
        ]
        if isinstance(each, Mapping) and "name" in each.entries:
            found.append(Fault(Code.PROFILE, (EACH_MODEL, "name"), "every model would get this name", at_key=True))
    return found


def _types(entry: type[Catalog | Model], node: Node) -> list[Fault]:
    _, errors = check(entry, plain(node))
    return faults([error for error in errors if error["type"] != "missing"], entry, node)


def _names(profile: Mapping, key: str) -> list[Fault]:
    """A list that is merged by name needs a name in each entry, and each name once."""
    own = profile.get(key)
    if not isinstance(own, Sequence):
        return []
    found: list[Fault] = []
    seen: dict[str, int] = {}
    for index, entry in enumerate(own.items):
        name, path = _name(entry), (key, index)
        if name is None:
            if isinstance(entry, Mapping) and _is_null(entry.get("name")):
                hint = "name the entry of the base that it changes, or the new one that it adds"
                found.append(Fault(Code.MISSING, path, "missing key 'name'", hint))
        elif name in seen:
            text = f"the name '{name}' is already that of {key}[{seen[name]}]"
            found.append(Fault(Code.DUPLICATE, (*path, "name"), text))
        else:
            seen[name] = index
    return found


def added(base: Mapping, profile_name: str | None, merged: Mapping, path: Path) -> str:
    """A hint for a fault inside an entry that a profile adds, which is often a misspelt name of the base."""
    if profile_name is None or len(path) < 2 or path[0] not in MERGED_BY_NAME:  # noqa: PLR2004 - list and index
        return ""
    _, entries = locate(base, path[:1])
    _, entry = locate(merged, path[:2])
    names = [name for item in entries.items if (name := _name(item))] if isinstance(entries, Sequence) else []
    name = _name(entry) if entry is not None else None
    if name is None or name in names:
        return ""
    hint = f"profile '{profile_name}' adds this entry, as the base has none of that name"
    return f"{hint}; {near}" if (near := suggestion(name, names)) else hint


def _over_each_model(base: Mapping, overlay: Mapping, each: Mapping) -> tuple[Mapping, Mapping]:
    """Lay `each` over the models of the base, and under those that the profile adds."""
    models, own = base.get("models"), overlay.get("models")
    names = set()
    if isinstance(models, Sequence):
        names = {_name(entry) for entry in models.items}
        laid = [merge(entry, each) if isinstance(entry, Mapping) else entry for entry in models.items]
        base = _with(base, "models", _sequence(models, laid))
    if isinstance(own, Sequence):
        laid = [
            merge(_moved(each, entry), entry) if isinstance(entry, Mapping) and _name(entry) not in names else entry
            for entry in own.items
        ]
        overlay = _with(overlay, "models", _sequence(own, laid))
    return base, overlay


def _moved(mapping: Mapping, to: Mapping) -> Mapping:
    """The same entries, standing where `to` stands: what is missing is missing there."""
    return Mapping(to.at, mapping.entries, mapping.size, mapping.height)


def _with(mapping: Mapping, key: str, value: Node) -> Mapping:
    return _mapping(mapping, {**mapping.entries, key: (mapping.entries[key][0], value)})


def _mapping(like: Mapping, entries: dict[str, tuple[Position, Node]]) -> Mapping:
    values = [value for _, value in entries.values()]
    return Mapping(like.at, entries, *_extent(values))


def _sequence(like: Sequence, items: list[Node]) -> Sequence:
    return Sequence(like.at, tuple(items), *_extent(items))


def _extent(values: list[Node]) -> tuple[int, int]:
    return 1 + sum(value.size for value in values), 1 + max((value.height for value in values), default=0)


def _name(entry: Node) -> str | None:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return name.value if isinstance(name, Scalar) and isinstance(name.value, str) else None


def _is_null(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.value is None)
