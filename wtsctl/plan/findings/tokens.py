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
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[-_.])(?:token|secret|pass|pwd|passphrase|apikey|api[-_]key|(?:secret|private)[-_]key|credentials?)$"
    r"|(?:password|passwd)$"
)
# `OPENAI_KEY`, but `PARTITION_KEY` as well: the value decides whether that is a secret.
_KEY_NAME = re.compile(r"(?i)[-_.]key$")
_PUBLIC_NAME = re.compile(r"(?i)public[-_]key$")
_KEY_VALUE = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9+/_=.-]{16,}")
# Random text of letters and digits; or 40 characters with slashes too, as the secret halves of AWS' keys have them.
_OPAQUE = re.compile(r"[A-Za-z0-9+_=-]{32,}|(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9+/]{40}")
# Bits a character: words and paths have below 3.5, 32 random letters and digits 4.2 and more on average.
_RANDOM = 3.9
_FREE = ("args", "env")
_SHORTEST = 8
_ENTRIES = ("models", "llamaStack", "agents")
# Below these keys is what somebody else's schema rules.
_OBJECTS = ("patches", "extra")
_ON_THE_WAY = frozenset((*_ENTRIES, *_FREE, *_OBJECTS))


def _plain(subject: Subject) -> Iterator[Hit]:
    in_text = list(_in_text(subject.text))
    lines: set[int] = set()
    for path, scalar, named in _texts(subject.loaded.document, (), everywhere=bool(in_text)):
        what = _looks_like(path, scalar.text, named)
        if what:
            lines.add(scalar.at[0])
            yield Hit(path, f"{format_path(path)}: looks like {what}")
    # Comments, and profiles that are not merged in, are in the repository just the same.
    for position, what in in_text:
        if position[0] not in lines:
            yield Hit((), f"looks like {what}", at=position)


def _texts(node: Node, path: Path, named: str = "", *, everywhere: bool) -> Iterator[tuple[Path, Scalar, str]]:
    """The texts with their paths, and what names each: the `name` beside a `value`, in a list the text before it.

    Not `everywhere`: only in arguments, variables, patches and extra objects.
    """
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            yield path, node, named
    elif isinstance(node, Sequence):
        for at, item in enumerate(node.items):
            yield from _texts(item, (*path, at), named, everywhere=everywhere)
            named = item.text if isinstance(item, Scalar) else ""
    else:
        within = everywhere or any(step in _OBJECTS for step in path[:3])
        name = node.entries.get("name")
        text = name[1].text if name is not None and isinstance(name[1], Scalar) else ""
        for key, (_, value) in node.entries.items():
            if within or key in _ON_THE_WAY or (path and path[-1] == "env"):
                yield from _texts(value, (*path, key), text if key == "value" else "", everywhere=everywhere)


def _looks_like(path: Path, text: str, beside: str) -> str:
    if len(text) < _SHORTEST:
        return ""
    found = next(_found(text), None)
    if found:
        return found[1]
    name, value = _named(path, text, beside)
    if _is_secret(name, value):
        return f"the value of {name.lstrip('-')}"
    return "a random key" if name and _OPAQUE.fullmatch(value) and entropy(value) > _RANDOM else ""


def _named(path: Path, text: str, beside: str) -> tuple[str, str]:
    """The name and the value of a variable, an option or a ConfigMap's entry; without a name, it is none of them."""
    holder, last = path[-2:] if len(path) > 1 else ("", path[-1])
    if path[0] == "extra" or "patches" in path[:3]:
        if last == "value" and beside:
            return beside, text
        return (str(last), text) if holder == "data" else ("", "")
    if path[0] not in _ENTRIES or holder not in _FREE:
        return "", ""
    if holder == "env":
        return str(last), text
    name, equals, value = text.partition("=")
    return (name, value) if equals else (beside or "-", text)


def _is_secret(name: str, value: str) -> bool:
    if len(value) < _SHORTEST or value.startswith(("/", "$", "-")):
        return False
    if _SECRET_NAME.search(name):
        return True
    return bool(_KEY_NAME.search(name) and not _PUBLIC_NAME.search(name) and _KEY_VALUE.fullmatch(value))


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
