"""`wtsctl render`: streams, folders, the kustomize tree, and what happens when they cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.catalogs import SMALL, STACK, changed
from tests.unit.conftest import Run
from wtsctl.commands.folder import write
from wtsctl.errors import UsageError
from wtsctl.render.tree import TREE_MARK

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["-f", str(ROOT / "models.yaml")]


def documents(text: str) -> dict[tuple[str, str, str], Any]:
    """The objects of a YAML stream by kind, namespace and name."""
    return {
        (made["kind"], made["metadata"].get("namespace", ""), made["metadata"]["name"]): made
        for made in yaml.load_all(text, Loader=yaml.CSafeLoader)
    }


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_stream_is_yaml_with_sources(wtsctl: Run) -> None:
    """Stdout is one multi-document stream that says of each object where it came from; `-q` leaves stderr empty."""
    done = wtsctl("render", *MODELS, "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("---\n# Source: templates/shared/namespace.yaml.j2\napiVersion: v1\n")
    assert "# Source: templates/vllm/deployment.yaml.j2 (watt-8b)\n" in done.stdout
    assert len(documents(done.stdout)) == done.stdout.count("# Source: ") > 16


def test_json_holds_the_same_objects(wtsctl: Run) -> None:
    """`-o json` is the envelope with every object and its stage, in the order of the stream."""
    shown = json.loads(wtsctl("render", *MODELS, "-o", "json").stdout)
    assert (shown["command"], shown["status"], shown["exitCode"], shown["errors"]) == ("render", "ok", 0, [])
    entries = shown["data"]["manifests"]
    assert [entry["object"] for entry in entries] == list(documents(wtsctl("render", *MODELS).stdout).values())
    stages = [entry["stage"] for entry in entries]
    assert sorted(set(stages), key=stages.index) == ["namespace", "config", "models", "llama-stack"]
    granite = next(entry for entry in entries if entry["object"]["metadata"]["name"] == "granite-8b")
    assert {key: value for key, value in granite.items() if key != "object"} == {
        "identity": "llama-serve/InferenceService/granite-8b",
        "stage": "models",
        "template": "kserve/inferenceservice.yaml.j2",
        "model": "granite-8b",
        "path": "llama-serve/granite-8b",
    }


def test_messages_stay_out_of_the_data(wtsctl: Run) -> None:
    """`-v` says on stderr how much was rendered; stdout is the same with and without."""
    done = wtsctl("render", *MODELS, "-v", "--no-color")
    assert done.stderr.startswith(f"{len(documents(done.stdout))} objects from 5 models\n")
    assert done.stdout == wtsctl("render", *MODELS).stdout


def test_models_can_be_selected(wtsctl: Run) -> None:
    """Names, aliases and globs select; what matches nothing is exit 9 and prints no manifest."""
    kinds = [key[0] for key in documents(wtsctl("render", *MODELS, "granite").stdout)]
    assert kinds == ["Namespace", "ServiceAccount", "Service", "InferenceService", "PodDisruptionBudget"]
    done = wtsctl("render", *MODELS, "granite", "grnite")
    assert (done.exit_code, done.stdout) == (9, "")
    assert "no model is called 'grnite'" in done.stderr


def test_mistakes_have_their_exit_codes(wtsctl: Run, tmp_path: Path) -> None:
    """A catalog that is missing and a template that fails are 3, contradicting options 2; nothing is printed."""
    (tmp_path / "own/vllm").mkdir(parents=True)
    (tmp_path / "own/vllm/service.yaml.j2").write_text("a: 1\nb: {{ modl }}\n")
    for arguments, code, what in (
        (["-f", "missing.yaml"], 3, "missing.yaml"),
        ([*MODELS, "--templates", "own"], 3, "own/vllm/service.yaml.j2:2: 'modl' is undefined"),
        ([*MODELS, "--templates", "nowhere"], 2, "nowhere is no folder"),
        ([*MODELS, "--output-dir", "a", "--kustomize", "b"], 2, "exclude each other"),
    ):
        done = wtsctl("render", *arguments)
        assert (done.exit_code, done.stdout) == (code, "")
        assert what in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_output_dir_has_one_file_per_object(wtsctl: Run, tmp_path: Path) -> None:
    """The files hold exactly the objects of the stream; stdout lists them, for `git add`."""
    done = wtsctl("render", *MODELS, "--output-dir", "out")
    assert done.exit_code == 0
    listed = done.stdout.split()
    assert sorted(listed) == sorted(f"out/{name}" for name in tree(tmp_path / "out"))
    assert "out/llama-serve/deployment-vllm-watt-8b.yaml" in listed
    assert "out/cluster/namespace-llama-serve.yaml" in listed
    files = "---\n".join((tmp_path / name).read_text() for name in listed)
    assert documents(files) == documents(wtsctl("render", *MODELS).stdout)


def test_kustomize_tree_is_laid_out_as_the_adr(wtsctl: Run, tmp_path: Path) -> None:
    """The folders and files that the workshop's own documentation names are there."""
    assert wtsctl("render", *MODELS, "--kustomize", "out").exit_code == 0
    for name in (
        "llama-serve/llama3.1-70b/vllm.yaml", "llama-serve/llama3.2-3b/inferenceservice.yaml",
        "llama-serve/granite-8b/inferenceservice.yaml", "llama-serve/watt-8b/vllm.yaml", "safety-model/vllm.yaml",
        "llama-stack/deployment.yaml", "llama-stack/service.yaml", "llama-stack/configmap.yaml",
        "shared/namespace.yaml", "kustomization.yaml", "llama-serve/granite-8b/kustomization.yaml",
    ):  # fmt: skip
        assert (tmp_path / "out/kubernetes" / name).is_file(), name


@pytest.mark.parametrize("profile", [[], ["--profile", "sandbox"]], ids=["full", "sandbox"])
def test_kustomize_builds_what_is_rendered(wtsctl: Run, tmp_path: Path, kubectl: str, profile: list[str]) -> None:
    """`kubectl kustomize` of the whole tree gives the rendered objects; its folders share none and leave none out."""

    def build(folder: Path) -> dict[tuple[str, str, str], Any]:
        built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
        return documents(built.stdout)

    wtsctl("render", *MODELS, *profile, "--kustomize", "out")
    expected = documents(wtsctl("render", *MODELS, *profile).stdout)
    top = tmp_path / "out/kubernetes"
    assert build(top) == expected
    folders = [path.parent for path in top.rglob("kustomization.yaml") if path.parent != top]
    parts = [build(folder) for folder in folders]
    assert sum(len(part) for part in parts) == len(expected)
    assert {key: made for part in parts for key, made in part.items()} == expected


def test_model_folder_owns_nothing_shared(wtsctl: Run, tmp_path: Path) -> None:
    """`kubectl delete -k` of one model must not take the namespace, and with it every other model, along."""
    wtsctl("render", *MODELS, "--kustomize", "out")
    folder = tmp_path / "out/kubernetes/llama-serve/granite-8b"
    kinds = {key[0] for key in documents((folder / "inferenceservice.yaml").read_text())}
    assert kinds == {"InferenceService"}
    assert "# Needs the namespaces and shared objects of ../../shared" in (folder / "kustomization.yaml").read_text()
    assert (folder / "../../shared/kustomization.yaml").is_file()


def test_writing_again_mirrors_the_catalog(wtsctl: Run, tmp_path: Path) -> None:
    """A model that is gone takes its files along, and says so; what is not ours stays."""
    (tmp_path / "a.yaml").write_text(SMALL + STACK)
    (tmp_path / "b.yaml").write_text(changed(("models:\n", "models:\n"), text=SMALL).replace("granite-8b", "renamed"))
    assert wtsctl("render", "-f", "a.yaml", "--kustomize", "out").exit_code == 0
    kept = tmp_path / "out/kubernetes/llm/granite-8b/README.md"
    kept.write_text("mine")
    done = wtsctl("render", "-f", "b.yaml", "--kustomize", "out")
    assert done.exit_code == 0
    assert "removed out/kubernetes/llm/granite-8b/vllm.yaml: no longer rendered\n" in done.stderr
    assert [path.name for path in kept.parent.iterdir()] == ["README.md"]
    assert not (tmp_path / "out/kubernetes/llama-stack").exists()
    assert (tmp_path / "out/kubernetes/llm/renamed/vllm.yaml").is_file()
    assert not [path for path in (tmp_path / "out").iterdir() if path.name != "kubernetes"]


def test_same_catalog_leaves_the_same_files(wtsctl: Run, tmp_path: Path) -> None:
    """Rendering twice changes no byte, so a GitOps repository sees no difference."""
    wtsctl("render", *MODELS, "--kustomize", "out")
    before = tree(tmp_path)
    assert wtsctl("render", *MODELS, "--kustomize", "out").exit_code == 0
    assert tree(tmp_path) == before


def test_both_kinds_of_folder_live_together(wtsctl: Run, tmp_path: Path) -> None:
    """One run does not take the other's files for its own leftovers."""
    wtsctl("render", *MODELS, "--kustomize", ".")
    before = tree(tmp_path)
    done = wtsctl("render", *MODELS, "--output-dir", ".", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    assert tree(tmp_path).items() > before.items()


def test_foreign_file_is_never_overwritten(wtsctl: Run, tmp_path: Path) -> None:
    """A file that wtsctl did not write stops the run before anything is written."""
    foreign = tmp_path / "out/kubernetes/safety-model/vllm.yaml"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine: 1\n")
    done = wtsctl("render", *MODELS, "--kustomize", "out")
    assert done.exit_code == 2
    assert "out/kubernetes/safety-model/vllm.yaml was not written by wtsctl; nothing was changed" in done.stderr
    assert tree(tmp_path) == {"out/kubernetes/safety-model/vllm.yaml": b"mine: 1\n"}


def test_links_are_not_followed_out(wtsctl: Run, tmp_path: Path) -> None:
    """A folder that is a link to elsewhere is refused, and what lies behind it is neither written nor removed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "vllm.yaml").write_text(TREE_MARK + "a: 1\n")
    (tmp_path / "out/kubernetes").mkdir(parents=True)
    (tmp_path / "out/kubernetes/safety-model").symlink_to(elsewhere)
    done = wtsctl("render", *MODELS, "--kustomize", "out")
    assert done.exit_code == 2
    assert "out/kubernetes/safety-model is a symbolic link" in done.stderr
    (tmp_path / "out/kubernetes/safety-model").rename(tmp_path / "out/kubernetes/old-model")
    assert wtsctl("render", *MODELS, "--kustomize", "out").exit_code == 0
    assert tree(elsewhere) == {"vllm.yaml": (TREE_MARK + "a: 1\n").encode()}


def test_selection_does_not_remove_the_others(wtsctl: Run, tmp_path: Path) -> None:
    """A part of the models cannot silently shrink the tree of all."""
    wtsctl("render", *MODELS, "--kustomize", "out")
    before = tree(tmp_path)
    done = wtsctl("render", *MODELS, "--kustomize", "out", "granite")
    assert done.exit_code == 2
    assert "out also has manifests of what is not selected" in done.stderr
    assert tree(tmp_path) == before
    assert wtsctl("render", *MODELS, "--kustomize", "new", "granite").exit_code == 0
    assert (tmp_path / "new/kubernetes/llama-serve/granite-8b/inferenceservice.yaml").is_file()


def test_folder_in_the_way_of_a_file(wtsctl: Run, tmp_path: Path) -> None:
    """A file where a folder has to be, or the other way round, is named and left alone."""
    (tmp_path / "file").write_text("x")
    done = wtsctl("render", *MODELS, "--kustomize", "file")
    assert (done.exit_code, "file is a file, not a folder" in done.stderr) == (2, True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kubernetes").write_text("x")
    done = wtsctl("render", *MODELS, "--kustomize", "out")
    assert (done.exit_code, "out/kubernetes is a file where a folder has to be" in done.stderr) == (2, True)
    done = wtsctl("render", *MODELS, "--kustomize", "file/below")
    assert (done.exit_code, "Traceback" in done.stderr) == (2, False)


def test_disk_that_is_full_changes_nothing(tmp_path: Path) -> None:
    """When the new files do not fit, the old ones are as they were and no scrap is left."""
    folder = tmp_path / "out"
    mark = "# ours\n"
    write(folder, {"a.yaml": mark + "old"}, mark=mark, owned="*.yaml", may_remove=True)
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom wtsctl.commands.folder import write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "mark = '# ours\\n'\n"
        "try:\n    write(Path(sys.argv[1]), {'a.yaml': mark + 'new', 'b.yaml': mark + 'x' * 9000},"
        " mark=mark, owned='*.yaml', may_remove=True)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("UsageError cannot write")
    assert f"File too large; nothing in {folder} was changed" in done.stdout
    assert tree(tmp_path) == {"out/a.yaml": b"# ours\nold"}


def test_folder_without_permission(tmp_path: Path) -> None:
    """A folder that cannot be made is a usage error that says nothing was written."""
    with pytest.raises(UsageError, match="nothing was written to /proc/nothing/out"):
        write(Path("/proc/nothing/out"), {"a.yaml": "x"}, mark="x", owned="*.yaml", may_remove=True)
    assert list(tmp_path.iterdir()) == []
    too_long = tmp_path / ("x" * 300)
    with pytest.raises(UsageError, match=f"cannot write .*: File name too long; nothing in {too_long} was changed"):
        write(too_long, {"a.yaml": "x"}, mark="x", owned="*.yaml", may_remove=True)


def test_new_folder_has_ordinary_permissions(tmp_path: Path) -> None:
    """The folder is as readable as any that the user makes, not private as temporary ones are."""
    (tmp_path / "like").mkdir()
    write(tmp_path / "out", {"a.yaml": "x"}, mark="x", owned="*.yaml", may_remove=True)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "like").stat().st_mode
