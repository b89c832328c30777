"""Profiles: how they are laid over the catalog, and where their mistakes are reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalogs import SMALL, STACK, complaint, loaded
from wtsctl.catalog.profile import MERGED_BY_NAME, merge
from wtsctl.catalog.tree import Mapping, Node, Scalar, Sequence, plain

BASE = SMALL + STACK


def with_profile(body: str) -> str:
    """The catalog with a profile `p`; its first line is line 47."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{BASE}profiles:\n  p:\n{lines}"


@pytest.mark.parametrize("body", ["{}", "description: nothing else", "eachModel: {}", "agents:\n- name: chat-agent"])
def test_an_empty_profile_changes_nothing(body: str) -> None:
    """A profile that says nothing gives the catalog without a profile."""
    assert loaded(with_profile(body), "p").catalog == loaded(BASE).catalog


def test_a_profile_without_a_body_changes_nothing() -> None:
    """`profiles: {p: }` is a profile that says nothing."""
    assert loaded(f"{BASE}profiles: {{p: }}", "p").catalog == loaded(BASE).catalog


def test_without_the_option_no_profile_is_merged() -> None:
    """The catalog alone is what counts when no profile is asked for."""
    assert loaded(with_profile("name: other")).catalog == loaded(BASE).catalog


def test_mappings_merge_and_the_rest_is_replaced() -> None:
    """Keys of a mapping merge to any depth; lists other than models and agents are replaced whole."""
    body = "defaults: {images: {llamacpp: 'x:1'}}\nllamaStack: {models: [llama-3b, granite-8b]}"
    catalog = loaded(with_profile(body), "p").catalog
    assert (catalog.defaults.images.vllm, catalog.defaults.images.llamacpp) == ("vllm/vllm-openai:v0.33.0", "x:1")
    assert catalog.llama_stack is not None
    assert catalog.llama_stack.models == ("llama-3b", "granite-8b")
    assert catalog.llama_stack.namespace == "llama-stack"


def test_prompts_of_a_profile_replace_those_of_the_base() -> None:
    """Prompts have names but are a list like any other: a profile for other weights asks other questions."""
    body = "models:\n- name: granite-8b\n  smoke: [{name: bye, prompt: Say bye., assert: [{icontains: bye}]}]"
    assert [prompt.name for prompt in loaded(with_profile(body), "p").catalog.models[0].smoke] == ["bye"]


def test_models_merge_by_name_and_keep_their_order() -> None:
    """An entry of a known name changes that model where it stands; a new one comes last."""
    body = """\
models:
- {name: llama-guard, maxModelLen: 4096}
- name: extra
  runtime: vllm
  model: org/extra
  role: docs
  maxModelLen: 2048
  resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
"""
    models = loaded(with_profile(body), "p").catalog.models
    assert [(model.name, model.max_model_len) for model in models] == [
        ("granite-8b", 8192),
        ("llama-3b", 8192),
        ("llama-guard", 4096),
        ("extra", 2048),
    ]


def test_each_model_comes_before_the_entries_of_the_profile() -> None:
    """`eachModel` holds for every model, also for one that the profile adds; the profile's own entry wins."""
    body = """\
eachModel: {maxModelLen: 1024, startupTimeout: 1m}
models:
- {name: llama-3b, maxModelLen: 512}
- name: extra
  runtime: vllm
  model: org/extra
  role: docs
  resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
"""
    models = loaded(with_profile(body), "p").catalog.models
    assert [(model.max_model_len, model.startup_timeout) for model in models] == [
        (1024, "1m"),
        (512, "1m"),
        (1024, "1m"),
        (1024, "1m"),
    ]


def test_null_takes_a_key_away() -> None:
    """A key set to null in a profile is as if the base did not have it: its default counts."""
    body = "eachModel: {aliases: null}\nagents: null\nllamaStack: null"
    catalog = loaded(with_profile(body), "p").catalog
    assert catalog.models[0].aliases == ()
    assert (catalog.agents, catalog.llama_stack) == ((), None)


def test_values_are_found_where_they_were_written() -> None:
    """Positions of a merged catalog point into the profile or the base, wherever the value stands."""
    catalog = loaded(with_profile("eachModel:\n  maxModelLen: 1024\nmodels:\n- name: llama-3b\n  replicas: 2"), "p")
    assert catalog.where("models", 0, "maxModelLen") == "models.yaml:48:20"
    assert catalog.where("models", 1, "replicas") == "models.yaml:51:17"
    assert catalog.where("models", 1, "role") == "models.yaml:19:9"


WRONG = {
    "unknown profile": (
        "name: other",
        "q",
        "models.yaml:45:1: profiles: no profile 'q'\n  hint: known profiles: p",
    ),
    "wrong value, profile chosen": (
        "models:\n- name: granite-8b\n  gpus: two",
        "p",
        "models.yaml:49:13: profiles.p.models[0].gpus: expected an integer, got 'two'",
    ),
    "wrong value, profile not chosen": (
        "models:\n- name: granite-8b\n  gpus: two",
        None,
        "models.yaml:49:13: profiles.p.models[0].gpus: expected an integer, got 'two'",
    ),
    "wrong value for each model": (
        "eachModel: {gpus: two}",
        "p",
        "models.yaml:47:23: profiles.p.eachModel.gpus: expected an integer, got 'two'",
    ),
    "unknown key": (
        "eachmodel: {gpus: 1}",
        None,
        "models.yaml:47:5: profiles.p: unknown key 'eachmodel'\n  hint: did you mean eachModel?",
    ),
    "name for each model": (
        "eachModel: {name: same}",
        None,
        "models.yaml:47:17: profiles.p.eachModel.name: every model would get this name",
    ),
    "version of the format": (
        "apiVersion: wtsctl/v1",
        None,
        "models.yaml:47:5: profiles.p.apiVersion: a profile cannot change this",
    ),
    "no name": (
        "models:\n- gpus: 1",
        None,
        (
            "models.yaml:48:7: profiles.p.models[0]: missing key 'name'\n"
            "  hint: name the entry of the base that it changes, or the new one that it adds"
        ),
    ),
    "the same name twice": (
        "models:\n- name: granite-8b\n- name: granite-8b",
        None,
        "models.yaml:49:13: profiles.p.models[1].name: the name 'granite-8b' is already that of models[0]",
    ),
    "a list for the profile": ("- a", None, "models.yaml:46:3: profiles.p: expected a mapping (key: value)"),
    "wrong reference from a profile": (
        "agents:\n- name: chat-agent\n  fallback: granit",
        "p",
        "models.yaml:49:17: agents[0].fallback: no model is named 'granit'\n  hint: did you mean granite?",
    ),
    "a key without effect, for each model": (
        "eachModel: {threads: 1}",
        "p",
        (
            "models.yaml:47:17: models[0].threads: has no effect with runtime vllm: only llamacpp reads it\n"
            "  hint: leave it out\n"
            "models.yaml:47:17: models[1].threads: has no effect with runtime kserve: only llamacpp reads it\n"
            "  hint: leave it out"
        ),
    ),
}


@pytest.mark.parametrize(("body", "profile", "expected"), WRONG.values(), ids=WRONG)
def test_mistakes_of_profiles(body: str, profile: str | None, expected: str) -> None:
    """A mistake in a profile is reported where it stands, whether the profile is asked for or not."""
    assert complaint(with_profile(body), profile) == expected


def test_no_profiles_at_all() -> None:
    """Asking for a profile of a catalog without any says so."""
    assert complaint(BASE, "p") == "models.yaml:1:1: no profile 'p'\n  hint: there are no profiles"


def test_a_misspelt_model_of_a_profile() -> None:
    """A name that the base does not have makes a new model, so what that one lacks hints at the misspelling."""
    first, hint, *_ = complaint(with_profile("models:\n- name: granit-8b\n  gpus: 1"), "p").splitlines()
    assert first == "models.yaml:48:7: models[3] (granit-8b): missing key 'runtime'"
    assert hint == "  hint: profile 'p' adds this entry, as the base has none of that name; did you mean granite-8b?"


def test_what_a_profile_hides_is_still_checked() -> None:
    """A wrong value that the chosen profile replaces is wrong all the same."""
    text = with_profile("eachModel: {maxModelLen: 1024}").replace("maxModelLen: 8192", "maxModelLen: two", 1)
    assert complaint(text, "p") == "models.yaml:12:16: models[0].maxModelLen: expected an integer, got 'two'"


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Mapping((1, 1), {key: ((1, 1), _node(item)) for key, item in value.items()}, 1, 1)
    if isinstance(value, list):
        return Sequence((1, 1), tuple(_node(item) for item in value), 1, 1)
    return Scalar((1, 1), value, str(value))


_KEYS = st.sampled_from(["a", "b", "models", "agents"])
_NAMED = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("xyz"), "v": st.integers(0, 3)}),
    max_size=3,
    unique_by=lambda e: e["name"],
)
_VALUES = st.recursive(
    st.integers(0, 5) | st.text("ab", max_size=2) | _NAMED,
    lambda inner: st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4)


def _merged(base: Any, *overlays: Any) -> Any:
    node = _node(base)
    for overlay in overlays:
        node = merge(node, _node(overlay), by_name=MERGED_BY_NAME)
    return plain(node)


@given(_DOCUMENTS)
def test_merging_a_document_with_itself_changes_nothing(document: dict[str, Any]) -> None:
    """Merge is idempotent."""
    assert _merged(document, document) == document


@given(_DOCUMENTS, _DOCUMENTS)
def test_merging_twice_is_merging_once(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    """The same overlay again changes nothing more."""
    assert _merged(base, overlay, overlay) == _merged(base, overlay)


@given(_DOCUMENTS, _DOCUMENTS)
def test_a_merge_has_the_keys_of_both(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    """No key gets lost, and those of the base keep their order before new ones."""
    assert list(_merged(base, overlay)) == [*base, *(key for key in overlay if key not in base)]
