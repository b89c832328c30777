"""`wtsctl schema`: the JSON Schema of models.yaml, for editors and generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal


def schema() -> None:
    """Print the JSON Schema of models.yaml.

    An editor with the YAML language server completes and checks a catalog whose first line is
    `# yaml-language-server: $schema=models.schema.json`.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    finish("schema", terminal(), _schema, as_json=False)


def _schema(_: Terminal) -> Result:
    from wtsctl.catalog.schema import catalog_schema, schema_text
    from wtsctl.report.result import Result

    made = catalog_schema()
    return Result(data=made, show=lambda terminal: terminal.write(schema_text(made)))
