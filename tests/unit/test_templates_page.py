"""docs/reference/templates.md lists every template, every variable and every filter, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render import models, platform, stack
from wtsctl.render.environment import FILTERS
from wtsctl.render.manifest import common, render
from wtsctl.render.templates import Engine

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/templates.md").read_text()
LOADED = read_catalog(ROOT / "models.yaml", None)
CATALOG = LOADED.catalog
# Variables whose parts have a row each.
_IN_PARTS = ("model", "service", "startupProbe", "llamaStack")


def section(title: str) -> str:
    """The part of the page below a heading."""
    return PAGE.partition(f"\n{title}\n")[2].partition("\n#")[0]


def rows(title: str) -> list[str]:
    """The first cells of a section's table."""
    return re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE)


def names(variables: Mapping[str, Any]) -> list[str]:
    """The variables of a context as the page writes them."""
    return [
        part
        for name, value in variables.items()
        for part in ([f"{name}.{key}" for key in value] if name in _IN_PARTS else [name])
    ]


def test_every_template_is_listed() -> None:
    """The table has each built-in template once, and no other."""
    assert sorted(rows("## The templates")) == sorted(read_templates(None))


def test_every_variable_is_listed() -> None:
    """Each section has exactly the variables that its templates get."""
    served = {name: load for load in LOADED.workloads for name in load.names}
    assert CATALOG.llama_stack is not None
    named = stack.variables(CATALOG, CATALOG.llama_stack, served) | {"config": "", "configHash": ""}
    assert sorted(rows("### Every template")) == sorted(common(CATALOG))
    assert sorted(rows("### `shared/`")) == sorted(platform.variables(CATALOG, "n", "c"))
    model = names(models.variables(CATALOG, LOADED.workloads[0]))
    assert sorted(rows("### `vllm/`, `kserve/` and `llamacpp/`")) == sorted(model)
    assert sorted(rows("### `llama-stack/`")) == sorted(names(named))


def test_every_filter_is_listed() -> None:
    """The page names the filters that there are, and each of them exists in Jinja."""
    listed = section("## The limits of a template").partition("Filters: ")[2].partition("\n- ")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == FILTERS
    for name in FILTERS:
        Engine({"t": f"{{% if false %}}{{{{ 1 | {name} }}}}{{% endif %}}"}, {}).values("t", {})


def test_templates_page_is_right_about_ids() -> None:
    """Llama Stack's id of a model is PROVIDER/MODEL, both the model's name, as the page says."""
    made = {manifest.identity: manifest for manifest in render(CATALOG, read_templates(None))}
    config = made["llama-stack/ConfigMap/llamastack-server-config"].doc["data"]["config.yaml"]
    assert "provider_id: granite-8b\n    provider_model_id: granite-8b\n" in config
    assert "`granite-8b/granite-8b`" in PAGE
