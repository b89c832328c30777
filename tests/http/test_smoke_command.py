"""`wtsctl smoke-test` as a process, against servers that answer in known ways."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.rawserver import LAST_CHUNK, SSE, RawServer, answer, chunk
from wtsctl.latency.failure import FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.llamacpp import LlamaCpp
    from tests.rawserver import Step

ROOT = Path(__file__).resolve().parents[2]
CATALOG = """\
apiVersion: wtsctl/v1
name: small
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0"}
models:
"""
MODEL = """\
- name: NAME
  runtime: vllm
  model: org/model
  role: chat
  maxModelLen: 2048
  resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
"""
PROMPT = """\
  smoke:
  - name: hello
    prompt: Say hello.
    assert: [{icontains: hello}, {minTokens: 2}]
"""
TWO_PROMPTS = PROMPT + "  - {name: again, prompt: Say hello again., assert: [{contains: hello}]}\n"
BUDGET = "  budgets:\n  - {metric: ttft, max: LIMIT}\n"


def stream(text: str = "hello there", tokens: int = 2, wait: float = 0.0) -> list[Step]:
    """A streamed answer of two chunks, the first of which comes after `wait` seconds."""
    documents: list[Any] = [
        {"choices": [{"delta": {"content": half}, "finish_reason": None}]} for half in (text[:3], text[3:])
    ]
    documents.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    documents.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}})
    events = [chunk(f"data: {json.dumps(one)}\n\n".encode()) for one in documents]
    return [SSE, wait, events[0], 0.01, *events[1:], chunk(b"data: [DONE]\n\n"), LAST_CHUNK]


def listing(*names: str) -> list[Step]:
    """The answer of /v1/models."""
    return [answer(json.dumps({"data": [{"id": name} for name in names]}).encode())]


def catalog(folder: Path, *parts: str) -> str:
    """Write a catalog with the models `a`, `b` … that consist of `parts`; the path of its file."""
    path = folder / "models.yaml"
    models = [MODEL.replace("NAME", "abc"[index]) + part for index, part in enumerate(parts)]
    path.write_text(CATALOG + "".join(models))
    return str(path)


def command(*arguments: str) -> list[str]:
    """The command line of a smoke test."""
    return [sys.executable, "-m", "wtsctl", "smoke-test", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a smoke test to its end; without a cluster in reach."""
    environment = {**os.environ, "KUBECONFIG": "/nowhere/kubeconfig"}
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=60, env=environment)


def data_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The `data` of the JSON envelope, whose exit code is the process's."""
    document = json.loads(done.stdout)
    assert document["version"] == "wtsctl/v1"
    assert document["command"] == "smoke-test"
    assert document["exitCode"] == done.returncode
    data: dict[str, Any] = document["data"]
    return data


def test_all_is_well(tmp_path: Path) -> None:
    """Right answers within the budget: exit code 0, a table on stdout without control codes, notes on stderr."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "2s"))
    with RawServer([listing("a"), stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
        assert len(server.requests) == 1 + 1 + 5
    assert done.returncode == 0
    header, row, *notes = [line.rstrip() for line in done.stdout.splitlines()]
    columns = "MODEL PROMPT VIA OK/N ASSERT TTFT p50 TTFT max TPOT p50 TOTAL p50 TOTAL max TOK/S BUDGET VERDICT"
    assert header.split() == columns.split()
    assert re.fullmatch(r"a +hello +url +5/5 +2/2 +.* ttft p50 <= 2 s: \d\d % left +PASS", row)
    assert notes[0].startswith("5 requests per prompt after 1 to warm up, one at a time: unloaded latency")
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == "asking a: hello, 6 requests, 1 of them to warm up\n"


def test_json_has_the_numbers(tmp_path: Path) -> None:
    """Seconds and counts of a server whose times have a known least: 100 ms to the first token, 110 to the last."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "2s"))
    with RawServer([listing("a"), stream(wait=0.1)]) as server:
        done = run("-f", file, "--url", f"a={server.url}", "-o", "json", "--samples")
    (model,) = data_of(done)["models"]
    (prompt,) = model["prompts"]
    assert (model["verdict"], model["served"], model["failure"]) == ("PASS", ["a"], None)
    assert (prompt["requests"], prompt["answered"], prompt["planned"]) == (5, 5, 5)
    metrics = prompt["metrics"]
    # A busy machine makes each of them longer, and none shorter; far below a minute says that they are seconds.
    assert 0.1 <= metrics["ttft"]["min"] <= metrics["ttft"]["p50"] <= metrics["ttft"]["max"] < 10
    assert 0.11 <= metrics["total"]["min"] <= metrics["total"]["max"] < 10
    assert metrics["ttft"]["p90"] is None
    for sample in prompt["samples"]:
        assert sample["tpot"] == pytest.approx(sample["total"] - sample["ttft"])
    assert metrics["tokensPerSecond"]["p50"] == pytest.approx(2 / metrics["total"]["p50"], rel=0.2)
    assert (len(prompt["warmUps"]), len(prompt["samples"])) == (1, 5)
    assert {sample["answer"] for sample in prompt["samples"]} == {"hello there"}
    (budget,) = prompt["budgets"]
    assert (budget["verdict"], budget["limit"], budget["value"]) == ("PASS", 2.0, metrics["ttft"]["p50"])


def keys(value: Any) -> set[str]:
    """Every key in a JSON value, at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for one in value.values() for key in keys(one)}
    return {key for one in value for key in keys(one)} if isinstance(value, list) else set()


def test_every_field_is_documented(tmp_path: Path, closed_port: int) -> None:
    """docs/reference/smoke-test-fields.md names each key of the JSON, and no other."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "1ms"), PROMPT)
    with RawServer([listing("a"), stream("no", tokens=1)]) as server:
        urls = ["--url", f"a={server.url}", "--url", f"b=http://127.0.0.1:{closed_port}/v1"]
        done = run("-f", file, *urls, "-o", "json", "--samples")
    page = (ROOT / "docs/reference/smoke-test-fields.md").read_text()
    documented = set(re.findall(r"^\| `([A-Za-z0-9]+)` \|[^|]+\|[^|]+\|$", page, re.MULTILINE))
    assert keys(data_of(done)) == documented


def test_every_kind_of_failure_is_documented() -> None:
    """The same page names each kind that a failure can have, and no other."""
    page = (ROOT / "docs/reference/smoke-test-fields.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \|[^|]+\|$", page.partition("## A failure")[2], re.MULTILINE)
    documented = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    assert documented == {kind.value for kind in FailureKind}


def test_a_wrong_answer(tmp_path: Path) -> None:
    """Exit code 6, and below the table what was expected where, and the answer with its escapes made visible."""
    file = catalog(tmp_path, PROMPT)
    with RawServer([listing("a"), stream("\x1b[2Jgoodbye" + "!" * 300)]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
    assert done.returncode == 6
    assert re.search(r" 5/5 +1/2 .* FAIL", done.stdout)
    assert (
        f"error: {file}:16:14: a hello: expected icontains: hello, which 5 of 5 answers failed; "
        f'the answer was "\\x1b[2Jgoodbye{"!" * 189}..."' in done.stderr
    )
    assert "\x1b" not in done.stdout + done.stderr


def test_a_missed_budget(tmp_path: Path) -> None:
    """Exit code 7 where every answer is right and none came in time."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "1ms"))
    with RawServer([listing("a"), stream(wait=0.05)]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
    assert done.returncode == 7
    over = re.search(r"ttft p50 <= 1 ms: (\d+) % over +FAIL", done.stdout)
    assert over
    assert int(over[1]) > 4900
    assert re.search(r"models.yaml:18:5: a hello: ttft p50 is \d+(\.\d)? ms, the budget is 1 ms", done.stderr)


def test_wrong_says_more_than_slow(tmp_path: Path) -> None:
    """With a wrong answer and a missed budget the exit code is 6, and both are said."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "1ms"))
    with RawServer([listing("a"), stream("bye", wait=0.05)]) as server:
        done = run("-f", file, "--url", f"a={server.url}", "-o", "json")
    assert done.returncode == 6
    assert {error["code"] for error in json.loads(done.stdout)["errors"]} == {"smoke.assertion", "smoke.budget"}


def test_an_endpoint_that_is_down(tmp_path: Path, closed_port: int) -> None:
    """One refused request, exit code 5, and the other model is asked all the same."""
    file = catalog(tmp_path, PROMPT, PROMPT)
    with RawServer([listing("b"), stream()]) as server:
        urls = ["--url", f"a=http://127.0.0.1:{closed_port}/v1", "--url", f"b={server.url}"]
        done = run("-f", file, *urls)
        assert len(server.requests) == 7
    assert done.returncode == 5
    assert re.search(r"a +hello +url +0/0 .* FAIL", done.stdout)
    assert re.search(r"b +hello +url +5/5 .* PASS", done.stdout)
    said = f"127.0.0.1:{closed_port} refused the connection; its prompts were not asked"
    assert f"error: http://127.0.0.1:{closed_port}/v1: a: {said}\n" in done.stderr


def test_another_model_answers_there(tmp_path: Path) -> None:
    """An endpoint that serves another model fails, though llama.cpp would answer for any name."""
    file = catalog(tmp_path, PROMPT)
    with RawServer([listing("x", "y"), stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
        assert len(server.requests) == 1
    assert done.returncode == 5
    assert "a: the endpoint serves x, y, not a; its prompts were not asked" in done.stderr


def test_an_endpoint_that_lists_hundreds(tmp_path: Path) -> None:
    """Of a long list the message names ten and counts the rest."""
    file = catalog(tmp_path, PROMPT)
    with RawServer([listing(*(f"m{n}" for n in range(300)))]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
    assert "a: the endpoint serves m0, m1, m2, m3, m4, m5, m6, m7, m8, m9 and 290 more, not a; its" in done.stderr


def test_a_server_without_a_listing(tmp_path: Path) -> None:
    """A server that has no /models route is asked its prompts."""
    file = catalog(tmp_path, PROMPT)
    with RawServer([[answer(b"Not Found", "404 Not Found", "text/plain")], stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
    assert done.returncode == 0


def test_a_request_that_fails_counts(tmp_path: Path) -> None:
    """Four of five answered: exit code 5, the p50 stands, and the maximum is that failure."""
    file = catalog(tmp_path, PROMPT)
    broken: list[Step] = [answer(b'{"error":{"message":"out of memory"}}', "500 Oops")]
    with RawServer([listing("a"), stream(), stream(), broken, stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}")
    assert done.returncode == 5
    assert re.search(r"a +hello +url +4/5 +2/2 +\S+ ms +failed ", done.stdout)
    assert "a hello: 1 of 5 requests got no complete answer: HTTP 500: out of memory" in done.stderr


def test_the_warm_up_is_apart(tmp_path: Path) -> None:
    """A slow first request is in no number, unless there is no warm-up."""
    file = catalog(tmp_path, PROMPT)

    def slowest(*more: str) -> float:
        with RawServer([listing("a"), stream(wait=1.0), stream()]) as server:
            done = run("-f", file, "--url", f"a={server.url}", "-o", "json", *more)
        value: float = data_of(done)["models"][0]["prompts"][0]["metrics"]["ttft"]["max"]
        return value

    assert slowest() < 1
    assert slowest("--warmup", "0") >= 1


def test_a_hanging_prompt_costs_one_timeout(tmp_path: Path) -> None:
    """A prompt that runs into the timeout is not repeated, and the next prompt is asked."""
    file = catalog(tmp_path, TWO_PROMPTS)
    with RawServer([listing("a"), [30.0], stream()]) as server:
        began = time.monotonic()
        done = run("-f", file, "--url", f"a={server.url}", "--timeout", "2s")
        assert time.monotonic() - began < 20
        assert len(server.requests) == 1 + 1 + 6
    assert done.returncode == 5
    assert re.search(r"a +hello +url +0/1 ", done.stdout)
    assert re.search(r"a +again +url +5/5 .* PASS", done.stdout)
    assert "a hello: 1 of 1 requests got no complete answer: no answer within 2 s" in done.stderr


def test_between_two_requests_lies_a_pause(tmp_path: Path) -> None:
    """50 ms after each answer, also before the first request and between two prompts, a closing one is gone."""
    file = catalog(tmp_path, TWO_PROMPTS)
    with RawServer([listing("a"), stream()]) as server:
        run("-f", file, "--url", f"a={server.url}", "--repeat", "2", "--warmup", "0")
        gaps = [after[0] - before[-1] for before, after in itertools.pairwise(server.writes)]
    assert len(gaps) == 4
    assert min(gaps) >= 0.05e9


def test_too_few_samples_decide_nothing(tmp_path: Path) -> None:
    """With two samples a p50 budget is open: said, not failed, and the worst times are shown instead of p50."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "2s"))
    with RawServer([listing("a"), stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}", "--repeat", "2")
    assert done.returncode == 0
    assert "TTFT max" in done.stdout
    assert "TTFT p50" not in done.stdout
    assert "% left, open  INCONCLUSIVE" in done.stdout
    assert "is open: p50 needs at least 5 samples to pass, and there are 2: use --repeat 5" in done.stdout


def test_a_model_without_prompts_is_skipped(tmp_path: Path) -> None:
    """It has a row that says so, and is not asked."""
    file = catalog(tmp_path, PROMPT, "")
    with RawServer([listing("a"), stream()]) as server:
        done = run("-f", file, "--url", f"a={server.url}", "--url", "b=http://127.0.0.1:9/v1")
    assert done.returncode == 0
    assert re.search(r"b +\(no prompts\) .* SKIP", done.stdout)


def test_nothing_to_ask_is_an_error(tmp_path: Path) -> None:
    """A typo, or models without prompts, must not pass for a green smoke test."""
    unknown = run("-f", catalog(tmp_path, PROMPT), "granit")
    assert unknown.returncode == 9
    without = run("-f", catalog(tmp_path, "", ""))
    assert without.returncode == 9
    assert "error: none of the selected models has a smoke prompt\n  hint: add `smoke:`" in without.stderr


def test_list_asks_nothing(tmp_path: Path) -> None:
    """--list shows prompts, assertions and budgets without a cluster, as a table and as JSON."""
    file = catalog(tmp_path, TWO_PROMPTS + BUDGET.replace("LIMIT", "2s"), "")
    shown = run("-f", file, "--list")
    assert shown.returncode == 0
    rows = [re.split(r" {2,}", line.strip()) for line in shown.stdout.splitlines()]
    assert rows == [
        ["MODEL", "PROMPT", "MAX TOKENS", "ASSERT", "BUDGETS", "TEXT"],
        ["a", "hello", "64", "icontains: hello; minTokens: 2", "ttft p50 <= 2s", "Say hello."],
        ["a", "again", "64", "contains: hello", "ttft p50 <= 2s", "Say hello again."],
        ["b", "(no prompts)", "-", "-", "-", "-"],
    ]
    models = data_of(run("-f", file, "--list", "-o", "json"))["models"]
    assert models[0]["smoke"][1] == {
        "name": "again",
        "prompt": "Say hello again.",
        "maxTokens": 64,
        "assert": [{"contains": "hello"}],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeat", "0"], "'--repeat'"),
        (["--timeout", "two"], "--timeout: expected a duration such as 50ms, 2s or 1m30s, got 'two'"),
        (["--url", "x=http://127.0.0.1:1/v1"], "--url x: no selected model has this name\n  hint: selected: a"),
        (["--url", "a"], "--url a: expected an http:// or https:// URL with a host"),
        (["--url", "a=ftp://h/v1"], "--url a: expected an http:// or https:// URL with a host"),
        (["--url", "a=http://h/v1", "--url", "a=http://i/v1"], "--url a: given twice"),
    ],
)
def test_bad_options(tmp_path: Path, arguments: Sequence[str], message: str) -> None:
    """Each is exit code 2 with one message, before anything is asked."""
    done = run("-f", catalog(tmp_path, PROMPT), *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster(tmp_path: Path) -> None:
    """Without --url the way leads through the cluster, and without a kubeconfig that is exit code 4."""
    done = run("-f", catalog(tmp_path, PROMPT))
    assert done.returncode == 4
    assert "/nowhere/kubeconfig" in done.stderr


def kubeconfig(folder: Path, server: str) -> list[str]:
    """The options for an API server at `server`, whose user has a token."""
    cluster = {"name": "c", "cluster": {"server": server}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    document = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [cluster]}
    user = {"name": "u", "user": {"token": "t0ken"}}
    path = folder / "kubeconfig"
    path.write_text(json.dumps({**document, "contexts": [context], "users": [user]}))
    return ["--kubeconfig", str(path)]


def status(code: int, message: str) -> list[Step]:
    """An error of the API server itself."""
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return [answer(json.dumps(document).encode(), f"{code} No")]


def test_an_api_server_that_is_down(tmp_path: Path, closed_port: int) -> None:
    """Exit code 4 and one message, however many models there are, as in every other command."""
    done = run("-f", catalog(tmp_path, PROMPT, PROMPT), *kubeconfig(tmp_path, f"http://127.0.0.1:{closed_port}"))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(
        f"error: no way to the API server: 127.0.0.1:{closed_port} refused the connection\n  hint: check the kubeconfig"
    )
    assert done.stderr.count("error:") == 1


def test_credentials_that_have_expired(tmp_path: Path) -> None:
    """Exit code 4 after one request, with what to do about it."""
    with RawServer([status(401, "Unauthorized")]) as server:
        options = kubeconfig(tmp_path, server.url.removesuffix("/v1"))
        done = run("-f", catalog(tmp_path, PROMPT, PROMPT), *options, "-o", "json")
        assert len(server.requests) == 1
    (error,) = json.loads(done.stdout)["errors"]
    assert (done.returncode, error["code"]) == (4, "cluster.unauthorized")
    assert error["hint"].startswith("log in again")


def test_a_namespace_that_is_forbidden(tmp_path: Path) -> None:
    """Exit code 4, every model tried, since rights differ by namespace, and the right that is missing."""
    with RawServer([status(403, "services is forbidden")]) as server:
        options = kubeconfig(tmp_path, server.url.removesuffix("/v1"))
        done = run("-f", catalog(tmp_path, PROMPT, PROMPT), *options, "-o", "json")
        assert len(server.requests) == 2
    errors = json.loads(done.stdout)["errors"]
    assert done.returncode == 4
    assert [error["code"] for error in errors] == ["cluster.refused"] * 2
    assert "services/proxy" in errors[0]["hint"]


def test_a_cluster_that_is_lost_on_the_way(tmp_path: Path) -> None:
    """Exit code 4, and what was measured before the credentials expired is kept."""
    file = catalog(tmp_path, PROMPT, PROMPT, PROMPT)
    good = [listing("a"), *[stream()] * 6]
    with RawServer([*good, status(401, "Unauthorized")]) as server:
        done = run("-f", file, *kubeconfig(tmp_path, server.url.removesuffix("/v1")), "-o", "json")
        assert len(server.requests) == 8
    assert done.returncode == 4
    assert [(model["name"], model["verdict"]) for model in data_of(done)["models"]] == [("a", "PASS")]
    errors = [error["message"] for error in json.loads(done.stdout)["errors"]]
    assert errors[1:] == ["stopped after 1 of 3 models; the others are not in the result"]


def interrupted(arguments: Sequence[str], server: RawServer, requests: int, pause: float = 0.0) -> dict[str, Any]:
    """The envelope of a run that gets Ctrl-C `pause` seconds after `server` has so many requests."""
    child = subprocess.Popen(
        command(*arguments, "-o", "json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(server.requests) < requests:
        assert child.poll() is None
        time.sleep(0.01)
    time.sleep(pause)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=10)
    assert child.returncode == 130
    envelope: dict[str, Any] = json.loads(out)
    return envelope


def test_an_interrupted_run_keeps_what_it_had(tmp_path: Path) -> None:
    """Ctrl-C in the second model's first prompt: exit code 130, and the first model's result is there."""
    file = catalog(tmp_path, PROMPT, PROMPT)
    with RawServer([listing("a"), stream()]) as quick, RawServer([listing("b"), [30.0]]) as slow:
        document = interrupted(["-f", file, "--url", f"a={quick.url}", "--url", f"b={slow.url}"], slow, 2)
    assert [model["name"] for model in document["data"]["models"]] == ["a"]
    assert document["errors"][0]["message"] == "interrupted after 1 of 2 models; the others are not in the result"


def test_an_interrupted_model_keeps_its_finished_prompts(tmp_path: Path) -> None:
    """Ctrl-C in the second prompt: the first one's numbers are there, and the model has not passed."""
    file = catalog(tmp_path, TWO_PROMPTS, PROMPT)
    with RawServer([listing("a"), *[stream()] * 6, [30.0]]) as server:
        document = interrupted(["-f", file, "--url", f"a={server.url}", "--url", "b=http://127.0.0.1:9/v1"], server, 8)
    (model,) = document["data"]["models"]
    assert [(prompt["name"], prompt["verdict"]) for prompt in model["prompts"]] == [("hello", "PASS")]
    assert model["verdict"] == "INCONCLUSIVE"
    assert document["errors"][0]["message"].startswith("interrupted after 0 of 2 models and 1 of 2 prompts of a; ")


def test_an_expression_without_end_can_be_interrupted(tmp_path: Path) -> None:
    """An assertion whose regular expression backtracks for ever ends by Ctrl-C as everything else does."""
    file = catalog(tmp_path, PROMPT, PROMPT.replace("{icontains: hello}", "{regex: '(a+)+$'}"))
    with RawServer([listing("a"), stream()]) as quick, RawServer([listing("b"), stream("a" * 60 + "!")]) as endless:
        urls = ["--url", f"a={quick.url}", "--url", f"b={endless.url}"]
        document = interrupted(["-f", file, *urls], endless, 7, pause=1.0)
    assert [model["name"] for model in document["data"]["models"]] == ["a"]


def test_eighty_columns(tmp_path: Path) -> None:
    """On a screen of 80 columns nothing is cut and nothing is wider; all numbers are still there."""
    file = catalog(tmp_path, PROMPT + BUDGET.replace("LIMIT", "2s"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with RawServer([listing("a"), stream()]) as server:
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        child = subprocess.Popen(
            command("-f", file, "--url", f"a={server.url}"), stdout=theirs, stderr=subprocess.DEVNULL, env=environment
        )
        os.close(theirs)
        shown = b""
        # Linux ends the reading side of a terminal that nobody writes to with an error.
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:
            pass
        assert child.wait(10) == 0
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\u2026" not in shown.decode()
    assert lines[0].split() == ["MODEL", "OK/N", "TTFT", "p50", "TPOT", "p50", "TOTAL", "p50", "VERDICT"]
    assert re.fullmatch(r"a +5/5( +[\d.]+ ms){3} +PASS *", lines[2])
    assert re.fullmatch(r"  hello +2/2 +[\d.]+ ms +[\d.]+ +[\d.]+ ms +url *", lines[3])
    assert re.fullmatch(r"  ttft p50 <= 2 s: \d\d % left *", lines[4])


def test_a_real_model(tmp_path: Path, llamacpp_server: LlamaCpp) -> None:
    """SmolLM2 on llama.cpp: numbers that hang together, and as many tokens as the server itself says it made."""
    text = CATALOG + MODEL.replace("NAME", llamacpp_server.alias)
    text += "  smoke:\n  - {name: hi, prompt: Write one sentence about containers., maxTokens: 16,"
    text += " assert: [{regex: '[A-Za-z]{3}'}, {minTokens: 4}]}\n"
    file = tmp_path / "models.yaml"
    file.write_text(text)
    url = f"{llamacpp_server.alias}={llamacpp_server.url}/v1"
    before = tokens_made(llamacpp_server)
    done = run("-f", str(file), "--url", url, "-o", "json", "--samples")
    assert done.returncode == 0, done.stderr
    (prompt,) = data_of(done)["models"][0]["prompts"]
    counted = sum(sample["completionTokens"] for sample in prompt["warmUps"] + prompt["samples"])
    assert counted == tokens_made(llamacpp_server) - before
    for sample in prompt["samples"]:
        assert 0 < sample["ttfb"] <= sample["ttft"] < sample["total"] <= sample["done"]
        assert 4 <= sample["completionTokens"] <= 16
        assert sample["promptTokens"] > 5
        assert sample["tpot"] == pytest.approx((sample["total"] - sample["ttft"]) / (sample["completionTokens"] - 1))


def tokens_made(server: LlamaCpp) -> int:
    """The server's own counter of generated tokens."""
    metrics = httpx.get(f"{server.url}/metrics").text
    found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", metrics, re.MULTILINE)
    assert found
    return int(found[1])
