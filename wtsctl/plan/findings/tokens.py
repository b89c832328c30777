"""Secrets that stand in models.yaml. What is found is never repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from wtsctl.catalog.fault import Path, format_path
from wtsctl.catalog.tree import Node, Position, Scalar, Sequence
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

# The forms that the issuers document, so that their own scanners find them.
_FORMS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("a Hugging Face token", ("hf_", "api_org_"), r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}"),
    ("an OpenAI-style API key", ("sk-",), r"sk-[A-Za-z0-9_-]{20,}"),
    ("a GitHub token", ("gh", "github_pat_"), r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}"),
    ("a GitLab token", ("glpat-",), r"glpat-[A-Za-z0-9_-]{20,}"),
    ("an OpenShift token", ("sha256~",), r"sha256~[A-Za-z0-9_-]{40,}"),
    ("an AWS access key", ("AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("an NVIDIA API key", ("nvapi-",), r"nvapi-[A-Za-z0-9_-]{40,}"),
    ("a Slack token", ("xox",), r"xox[abprs]-[A-Za-z0-9-]{20,}"),
    ("a JSON web token", ("eyJ",), r"eyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{10,}"),
    ("a private key", ("PRIVATE KEY",), r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    ("a URL with a password", ("://",), r"[a-z][a-z0-9+.-]*://[^\s/@:]+:[^\s/@:]{3,}@"),
)
"""What each is called, texts of which one is in it, and its form: looking for a text is quick, for a form is not."""
_COMPILED = tuple((name, marks, re.compile(rf"(?<![A-Za-z0-9_-])(?:{form})")) for name, marks, form in _FORMS)
# Names of variables and options whose value is a secret.
_SECRET_NAME = re.compile(r"(?i)(?:^|[-_.])(?:token|secret|password|passwd|apikey|api[-_]key|credentials?)$")
_OPAQUE = re.compile(r"[A-Za-z0-9+_=-]{32,}")
# Bits a character: words and paths have below 3.5, 32 random letters and digits 4.2 and more on average.
_RANDOM = 3.9
_FREE = ("args", "env")
_SHORTEST = 8
_ON_THE_WAY = frozenset(("models", "llamaStack", "agents", *_FREE))


def _plain(subject: Subject) -> Iterator[Hit]:
    in_text = list(_in_text(subject.text))
    lines: set[int] = set()
    for path, scalar, before in _texts(subject.loaded.document, (), everywhere=bool(in_text)):
        what = _looks_like(path, scalar.text, before)
        if what:
            lines.add(scalar.at[0])
            yield Hit(path, f"{format_path(path)}: looks like {what}")
    # Comments, and profiles that are not merged in, are in the repository just the same.
    for position, what in in_text:
        if position[0] not in lines:
            yield Hit((), f"looks like {what}", at=position)


def _texts(node: Node, path: Path, before: str = "", *, everywhere: bool) -> Iterator[tuple[Path, Scalar, str]]:
    """The texts with their paths, and in a list the text before each; not `everywhere`: arguments and variables."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            yield path, node, before
    elif isinstance(node, Sequence):
        for at, item in enumerate(node.items):
            yield from _texts(item, (*path, at), before, everywhere=everywhere)
            before = item.text if isinstance(item, Scalar) else ""
    else:
        for key, (_, value) in node.entries.items():
            if everywhere or key in _ON_THE_WAY or (path and path[-1] == "env"):
                yield from _texts(value, (*path, key), everywhere=everywhere)


def _looks_like(path: Path, text: str, before: str) -> str:
    if len(text) < _SHORTEST:
        return ""
    found = next(_found(text), None)
    if found:
        return found[1]
    where = path[-2:]
    if path[0] not in ("models", "llamaStack", "agents") or where[0] not in _FREE:
        return ""
    if where[0] == "env":
        name, value = str(where[1]), text
    else:
        name, equals, value = text.partition("=")
        name, value = (name, value) if equals else (before, text)
    if _SECRET_NAME.search(name) and not value.startswith(("/", "$", "-")):
        return f"the value of {name.lstrip('-')}"
    return "a random key" if _OPAQUE.fullmatch(value) and entropy(value) > _RANDOM else ""


def _found(text: str) -> Iterator[tuple[int, str]]:
    """Where a secret of a known form begins, and what it is."""
    for name, marks, form in _COMPILED:
        if any(mark in text for mark in marks):
            yield from ((match.start(), name) for match in form.finditer(text))


def _in_text(text: str) -> Iterator[tuple[Position, str]]:
    text = text.removeprefix("\ufeff")
    for start, name in sorted(_found(text)):
        yield (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)), name


def entropy(text: str) -> float:
    """Bits that one character of a text tells on average, from how often each occurs."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


RULES = (
    Rule(
        "WTS002",
        "secret-in-plain-text",
        Severity.ERROR,
        "Secret in plain text",
        "Whoever can read the repository, its history or the rendered manifests has it, and it stays in the history "
        "when it is deleted from the file.",
        "Withdraw it where it was issued, put the new one into a Secret, and name that one: `secrets.huggingface`, "
        "`apiKey`, or `fromEnv` to have `wtsctl deploy` make the Secret.",
        "",
        _plain,
    ),
)
