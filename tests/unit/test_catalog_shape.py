"""A wrong value in models.yaml: where it stands, what is wrong, and what to do, in one message."""

from __future__ import annotations

import pytest

from tests.catalogs import SMALL, STACK, changed, codes, complaint, loaded

WRONG = {
    "integer": (
        ("maxModelLen: 8192", "maxModelLen: two"),
        "models.yaml:12:16: models[0].maxModelLen: expected an integer, got 'two'",
    ),
    "fraction for an integer": (
        ("maxModelLen: 8192", "maxModelLen: 1.5"),
        "models.yaml:12:16: models[0].maxModelLen: expected an integer, got 1.5",
    ),
    "one of some numbers": (
        ("role: code", "role: code\n  lora: {maxRank: 9, adapters: [{name: a, source: b/c}]}"),
        "models.yaml:12:19: models[0].lora.maxRank: expected 1, 8, 16, 32, 64, 128, 256, 320 or 512, got 9",
    ),
    "range": (
        ("role: code", "role: code\n  replicas: 1001"),
        "models.yaml:12:13: models[0].replicas: expected at most 1000, got 1001",
    ),
    "unknown key, near": (
        ("aliases: [granite]", "alias: [granite]"),
        "models.yaml:8:3: models[0] (granite-8b): unknown key 'alias'\n  hint: did you mean aliases?",
    ),
    "unknown key, in another case style": (
        ("maxModelLen", "max_model_len"),
        "models.yaml:12:3: models[0] (granite-8b): unknown key 'max_model_len'\n  hint: did you mean maxModelLen?",
    ),
    "unknown key, far": (
        ("cpu: 4, memory: 16Gi", "cpu: 4, memory: 16Gi, zzz: 1"),
        "models.yaml:13:48: models[0].resources.requests: unknown key 'zzz'\n  hint: known keys: cpu, memory",
    ),
    "unknown key without a value": (
        ("role: code", "role: code\n  zzz:"),
        (
            "models.yaml:12:3: models[0] (granite-8b): unknown key 'zzz'\n  hint: known keys: name, aliases, runtime, "
            "model, config, role, namespace, service, image, replicas, gpus, gpu, parallel, maxModelLen, dtype, "
            "quantization, kvCacheDtype, gpuMemoryUtilization, maxNumSeqs, chatTemplate and 20 more"
        ),
    ),
    "missing key": (
        ("  role: code\n", ""),
        (
            "models.yaml:7:3: models[0] (granite-8b): missing key 'role'\n"
            "  hint: role: chat, code, docs, or safety for a guard, which judges text and answers no questions"
        ),
    ),
    "key without a value": (
        ("role: code", "role:"),
        (
            "models.yaml:11:8: models[0].role: expected a value, got nothing\n"
            "  hint: role: chat, code, docs, or safety for a guard, which judges text and answers no questions"
        ),
    ),
    "word": (
        ("role: code", "role: codes"),
        (
            "models.yaml:11:9: models[0].role: expected chat, code, docs or safety, got 'codes'\n"
            "  hint: did you mean code?"
        ),
    ),
    "bad quantity": (
        ("cpu: 4", "cpu: 4 cores"),
        (
            "models.yaml:13:31: models[0].resources.requests.cpu: "
            "expected a quantity such as 500m, 8 or 64Gi, got '4 cores'"
        ),
    ),
    "milli for mega": (
        ("memory: 16Gi", "memory: 512m"),
        (
            "models.yaml:13:42: models[0].resources.requests.memory: "
            "expected a whole number of bytes, got '512m', which is 0.512; did you mean 512Mi?"
        ),
    ),
    "request over limit": (
        ("cpu: 4", "cpu: 9"),
        "models.yaml:13:3: models[0].resources: requests.cpu (9) is more than limits.cpu (8)",
    ),
    "bad duration": (
        ("role: code", "role: code\n  startupTimeout: 15"),
        "models.yaml:12:19: models[0].startupTimeout: expected a duration such as 50ms, 2s or 1m30s, got '15'",
    ),
    "form of a name": (
        ("namespace: llm", "namespace: LLM"),
        (
            "models.yaml:4:14: defaults.namespace: expected lower-case letters, digits and '-', at most 63, "
            "with a letter or digit at both ends, got 'LLM'"
        ),
    ),
    "number for text": (
        ("ibm-granite/granite-3.1-8b-instruct", "8"),
        'models.yaml:10:10: models[0].model: expected text, got 8\n  hint: put it in quotes: "8"',
    ),
    "mapping for a list": (
        ("[{icontains: hello}]", "{icontains: hello}"),
        (
            "models.yaml:15:39: models[0].smoke[0].assert: expected a list, got a mapping\n"
            "  hint: start each entry on a line of its own with '- '"
        ),
    ),
    "text for a mapping": (
        ("{requests: {cpu: 4, memory: 16Gi}, limits: {cpu: 8, memory: 16Gi}}", "large"),
        (
            "models.yaml:13:14: models[0].resources: expected a mapping (key: value), got 'large'\n"
            "  hint: write its keys below it, indented by two spaces"
        ),
    ),
    "empty list": (
        ("[{icontains: hello}]", "[]"),
        "models.yaml:15:39: models[0].smoke[0].assert: expected at least one entry, got an empty list",
    ),
    "two assertions in one": (
        ("icontains: hello", "icontains: hello, minTokens: 2"),
        (
            "models.yaml:15:48: models[0].smoke[0].assert[0]: "
            "expected exactly one of contains, icontains, regex, finishReason, minTokens"
        ),
    ),
    "regular expression": (
        ("icontains: hello", "regex: '('"),
        (
            "models.yaml:15:56: models[0].smoke[0].assert[0].regex: "
            "not a regular expression: missing ), unterminated subpattern at position 0"
        ),
    ),
    "regular expression that repeats too often": (
        ("icontains: hello", "regex: 'a{99999999999}'"),
        (
            "models.yaml:15:56: models[0].smoke[0].assert[0].regex: "
            "not a regular expression: the repetition number is too large"
        ),
    ),
    "regular expression without end": (
        ("icontains: hello", f"regex: '{'(' * 5000}'"),
        ("models.yaml:15:56: models[0].smoke[0].assert[0].regex: not a regular expression: nested too deep"),
    ),
    "regular expression that will mean something else": (
        ("icontains: hello", "regex: '[[a]'"),
        (
            "models.yaml:15:56: models[0].smoke[0].assert[0].regex: "
            "not a regular expression: possible nested set at position 1"
        ),
    ),
    "length that no server takes": (
        ("maxModelLen: 8192", "maxModelLen: 99999999999"),
        "models.yaml:12:16: models[0].maxModelLen: expected at most 2147483647, got 99999999999",
    ),
    "true or false": (
        ("rag: true", "rag: yes"),
        "models.yaml:43:8: agents[0].rag: expected true or false, got 'yes'",
    ),
    "form of a task": (
        ("conversation", '"9"'),
        (
            "models.yaml:44:11: agents[0].tasks.9: expected a letter, then letters, digits, '_', '-' and '.', "
            "at most 63, got '9'"
        ),
    ),
    "version of the format": (
        ("wtsctl/v1", "wtsctl/v2"),
        "models.yaml:1:13: apiVersion: expected wtsctl/v1, got 'wtsctl/v2'\n  hint: did you mean wtsctl/v1?",
    ),
}


@pytest.mark.parametrize(("change", "expected"), WRONG.values(), ids=WRONG)
def test_one_wrong_value_is_one_message(change: tuple[str, str], expected: str) -> None:
    """Each kind of wrong value gives its one message, with file, line, column, path and advice."""
    assert complaint(changed(change)) == expected


def test_every_problem_at_once_in_file_order() -> None:
    """Wrong shapes and wrong references of different entries come out together, sorted by line."""
    text = changed(
        ("namespace: llm", "namespaces: llm"),
        ("role: code", "role: coder"),
        ("cpu: 2, memory: 8Gi", "cpu: two, memory: 8Gi"),
        ("fallback: granite-8b", "fallback: granit-8b"),
    )
    assert complaint(text).splitlines() == [
        "models.yaml:4:3: defaults: unknown key 'namespaces'",
        "  hint: did you mean namespace?",
        "models.yaml:11:9: models[0].role: expected chat, code, docs or safety, got 'coder'",
        "  hint: did you mean code?",
        "models.yaml:21:31: models[1].resources.requests.cpu: expected a quantity such as 500m, 8 or 64Gi, got 'two'",
        "models.yaml:41:13: agents[0].fallback: no model is named 'granit-8b'",
        "  hint: did you mean granite-8b?",
    ]


def test_codes_are_the_documented_ones() -> None:
    """Scripts key on the codes, so each kind of problem keeps its own."""
    text = changed(
        ("namespace: llm", "spacename: llm"), ("role: code", "role: coder"), ("maxModelLen: 8192", "maxModelLen: x")
    )
    assert codes(text) == ["catalog.missing", "catalog.unknown-key", "catalog.value", "catalog.type"]


def test_null_is_a_key_that_is_not_there() -> None:
    """An optional key without a value has its default, also inside a mapping of free keys."""
    text = changed(("aliases: [granite]", "aliases:"), ("conversation: llama-3b", "conversation: , other: llama-3b"))
    catalog = loaded(text).catalog
    assert catalog.models[0].aliases == ()
    assert catalog.agents[0].tasks == {"other": "llama-3b"}


def test_numbers_are_quantities_as_in_kubernetes() -> None:
    """`cpu: 8`, `cpu: 0.5` and `cpu: 500m` are all fine, and keep the digits they were written with."""
    text = changed(("cpu: 4", "cpu: 0.5"), ("cpu: 8", "cpu: 2.0"))
    resources = loaded(text).catalog.models[0].resources
    assert (resources.requests.cpu, resources.limits.cpu) == ("0.5", "2")


def test_keys_have_one_spelling() -> None:
    """The Python names of the fields are no second way to write a key."""
    assert "unknown key 'finish_reason'" in complaint(changed(("icontains: hello", "finish_reason: stop")))


def test_no_control_codes_in_messages() -> None:
    """What a quoted text escapes stays escaped: neither a value, a key nor a name can write to the terminal."""
    text = changed(
        ("role: code", 'role: "\\e[31mcode"'), ("name: llama-3b", 'name: "\\u202e-x"'), ("rag: true", '"\\a": 1')
    )
    message = complaint(text)
    assert all(character.isprintable() for line in message.splitlines() for character in line)
    assert r"got '\x1b[31mcode'" in message


def test_where_points_into_the_file() -> None:
    """A plain value is found at itself, a collection at its key, and a key left out at its nearest parent."""
    catalog = loaded(SMALL + STACK)
    assert catalog.where("models", 0, "maxModelLen") == "models.yaml:12:16"
    assert catalog.where("models", 0, "resources") == "models.yaml:13:3"
    assert catalog.where("models", 1) == "models.yaml:16:3"
    assert catalog.where("models", 1, "image") == "models.yaml:16:3"
    assert catalog.where("cache", "size") == "models.yaml:1:1"
