"""docs/reference/templates.md lists every template, every variable and every filter, and none that is not there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render.environment import FILTERS
from wtsctl.render.manifest import render
from wtsctl.render.templates import Engine

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/templates.md").read_text()


def section(title: str) -> str:
    """The part of the page below a heading."""
    return PAGE.partition(f"\n{title}\n")[2].partition("\n#")[0]


def test_page_is_made_from_the_templates() -> None:
    """Every template and every variable is on the page, each explained where it is made, and no other."""
    written = runpy.run_path(str(ROOT / "docs/reference/generate_templates.py"))["page"](PAGE)
    assert written == PAGE, "run `make docs`"
    listed = re.findall(r"^\| `([^`]+\.j2)` \|", section("## The templates"), re.MULTILINE)
    assert sorted(listed) == sorted(read_templates(None))


def test_every_filter_is_listed() -> None:
    """The page names the filters that there are, and each of them exists in Jinja."""
    listed = section("## The limits of a template").partition("Filters: ")[2].partition("\n- ")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == FILTERS
    for name in FILTERS:
        Engine({"t": f"{{% if false %}}{{{{ 1 | {name} }}}}{{% endif %}}"}, {}).values("t", {})


def test_templates_page_is_right_about_ids() -> None:
    """Llama Stack's id of a model is PROVIDER/MODEL, both the model's name, as the page says."""
    made = {
        manifest.identity: manifest
        for manifest in render(read_catalog(ROOT / "models.yaml", None).catalog, read_templates(None))
    }
    config = made["llama-stack/ConfigMap/llamastack-server-config"].doc["data"]["config.yaml"]
    assert "provider_id: granite-8b\n    provider_model_id: granite-8b\n" in config
    assert "`granite-8b/granite-8b`" in PAGE
