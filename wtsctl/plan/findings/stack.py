"""Findings about Llama Stack: its version, its configuration, and the servers that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Rendered, Subject
from wtsctl.pods.made import identity

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
# `base_url` is read since 0.4, and `url` is an error since then; the seed's form ended with 0.2.
_NEW_FORM = (0, 4)
_OGX = (1, 0)
_HOST = re.compile(r"https?://([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\.[a-z0-9.-]+)?)?(?::\d+)?(?:/|$)")


def image_version(image: str) -> tuple[int, int] | None:
    """Major and minor version in the tag of an image; None where it has none."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    match = _VERSION.match(tag)
    return (int(match[1]), int(match[2])) if match else None


def _image(subject: Subject) -> str:
    stack = subject.catalog.llama_stack
    return (stack.image or subject.catalog.defaults.images.llama_stack or "") if stack else ""


def _stated(subject: Subject) -> tuple[int, int]:
    stack = subject.catalog.llama_stack
    match = _VERSION.match(stack.version) if stack else None
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _no_safety(subject: Subject) -> Iterator[Hit]:
    stack = subject.catalog.llama_stack
    if stack is None or not stack.enabled or stack.safety is None:
        return
    image = _image(subject)
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    version = image_version(image) or _stated(subject)
    if "ogx" in name or version >= _OGX:
        yield Hit(
            ("llamaStack", "safety"), f"{image} has no safety API, so that nothing is checked with {stack.safety}"
        )


def _other_form(subject: Subject) -> Iterator[Hit]:
    stack = subject.catalog.llama_stack
    if stack is None or not stack.enabled:
        return
    version = image_version(_image(subject))
    if version is not None and (version < _NEW_FORM) != (_stated(subject) < _NEW_FORM):
        text = f"the configuration is written for {stack.version}, and the image {_image(subject)} reads another form"
        yield Hit(("llamaStack", "version"), text, f"set llamaStack.version to {version[0]}.{version[1]}")
        return
    new = (version or _stated(subject)) >= _NEW_FORM
    for made, config in _configs(subject):
        for provider in items(config, "providers", "inference"):
            if provider.get("provider_type") != "remote::vllm":
                continue
            wrong, right = ("url", "base_url") if new else ("base_url", "url")
            given = mapping(provider, "config")
            if wrong in given and right not in given:
                text = f"provider {provider.get('provider_id')} gives `{wrong}`, where this version reads `{right}`"
                yield Hit(("llamaStack",), text, "write it so in the template of the configuration", identity(made.doc))


def _configs(subject: Subject) -> Iterator[tuple[Rendered, Any]]:
    """The configurations of Llama Stack in its ConfigMaps."""
    for made in subject.kinds.get("ConfigMap", ()):
        if subject.owner(made) != ("llamaStack",):
            continue
        for text in (value for value in mapping(made.doc, "data").values() if isinstance(value, str)):
            loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
            try:
                yield made, yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
            except yaml.YAMLError:
                # Not a configuration, such as a script beside it.
                continue


def registered_ids(subject: Subject) -> Iterator[str]:
    """The ids that Llama Stack answers to, as its configuration registers them."""
    stack = subject.catalog.llama_stack
    for _, config in _configs(subject):
        listed = (*items(config, "registered_resources", "models"), *items(config, "models"))
        for one in listed:
            if stack is not None and stack.reads_run_yaml:
                yield str(one.get("model_id"))
            else:
                yield f"{one.get('provider_id')}/{one.get('provider_model_id')}"


def _no_such_server(subject: Subject) -> Iterator[Hit]:
    known = {_key(made.doc) for made in subject.kinds.get("Service", ())}
    known |= {(load.endpoint.service, load.endpoint.namespace) for load in subject.loaded.workloads}
    namespaces = {namespace for _, namespace in known}
    for made, config in _configs(subject):
        for provider in items(config, "providers", "inference"):
            given = mapping(provider, "config")
            match = _HOST.match(str(given.get("base_url", given.get("url", ""))))
            # Other namespaces are other people's.
            if match and match[2] in namespaces and (match[1], match[2]) not in known:
                name = provider.get("provider_id")
                text = f"provider {name} speaks to {match[1]} in {match[2]}, where no such Service is"
                yield Hit(("llamaStack",), text, about=identity(made.doc))


def _key(doc: Any) -> tuple[str, str]:
    metadata = mapping(doc, "metadata")
    return str(metadata.get("name")), str(metadata.get("namespace"))


RULES = (
    Rule(
        "WTS511",
        "shield-without-safety-api",
        Severity.ERROR,
        "Shield on a server without a safety API",
        "Llama Stack ends with 0.7.3. Its successor OGX, from 1.0 on, has no safety API: it does not start with a "
        "shield in its configuration, or answers without asking the guard.",
        "Pin `llamastack/distribution-starter:0.7.3` as long as Llama Guard is needed.",
        "ogx-ai/ogx, releases",
        _no_safety,
    ),
    Rule(
        "WTS512",
        "llama-stack-configuration-form",
        Severity.ERROR,
        "Configuration of another version of Llama Stack",
        "The server ends with a ValueError when it reads its configuration: providers take `base_url` since 0.4 and "
        "`url` before, and 0.2 knows other APIs.",
        "Let `llamaStack.version` be that of the image.",
        "llamastack/llama-stack, providers/remote/inference/vllm/config.py",
        _other_form,
    ),
    Rule(
        "WTS513",
        "provider-without-server",
        Severity.ERROR,
        "Provider that leads to no server of the catalog",
        "Llama Stack starts, reports OK, lists the model, and answers each chat with 500: it looks for its providers "
        "only when it is asked.",
        "Let the provider name the Service of a model; KServe calls its own `NAME-predictor`.",
        "",
        _no_such_server,
    ),
)
