"""The command ``foretier changes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.change_kinds import CHANGE_KINDS
from configs.command import ConfigFile, JsonFile, console, read_settings, reported, write_json_list

SHOWN_ROWS = 20
WIDE_SCREEN = 110

FromRun = Annotated[
    int | None, typer.Option("--from", help="The earlier scoring run (default: the last one before).", show_default=False)
]
ToRun = Annotated[
    int | None, typer.Option("--to", help="The later scoring run (default: the published one).", show_default=False)
]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help=f"Only this change: {', '.join(CHANGE_KINDS)}; may be repeated.", show_default=False),
]
TierNames = Annotated[
    list[str] | None,
    typer.Option("--tier", help="Only who is or was in this tier; may be repeated.", show_default=False),
]
Top = Annotated[int | None, typer.Option("--top", min=1, help="Only the N largest changes of value.", show_default=False)]
ChangesFile = Annotated[
    Path | None, typer.Option("--out", help="Write all who changed to this .csv or .xlsx file.", show_default=False)
]


@reported
def changes(
    config: ConfigFile = None,
    before: FromRun = None,
    after: ToRun = None,
    kind: Kinds = None,
    tier: TierNames = None,
    top: Top = None,
    out: ChangesFile = None,
    json_file: JsonFile = None,
) -> None:
    """Say who changed between two scoring runs (newly at risk, upgraded, downgraded, won back), and why."""
    from configs.settings import Environment
    from serving.changes import changes as changed
    from serving.changes import check_wanted, compare
    from serving.changes_report import changed_table, comparison_table
    from serving.changes_table import changes_table, wire_change, wire_comparison, wire_wanted
    from serving.exports import check_suffix, write_table
    from serving.store import Store, Wanted

    settings = read_settings(config)
    screen = console(json_file)
    if out is not None:
        check_suffix(out)
    language = settings.language
    wanted = Wanted(tuple(kind or ()), tuple(tier or ()))  # type: ignore[arg-type]
    with Store(Environment.read().store_url) as store:
        found = compare(store, settings.scoring.risk_bands, before, after)
        check_wanted(wanted, found)
        if json_file is not None:
            total = store.changed(found.rules, wanted)
            head = wire_comparison(found) | wire_wanted(wanted, total if top is None else min(top, total))
            write_json_list(
                json_file, head, "customers", map(wire_change, changed(store, found, wanted, top=top, language=language))
            )
        screen.print(comparison_table(found, language))
        if out is None:
            rows = list(changed(store, found, wanted, top=min(top or SHOWN_ROWS, SHOWN_ROWS), language=language))
            screen.print(changed_table(found, rows, wide=screen.width >= WIDE_SCREEN, language=language))
            return
        with screen.status("Writing the changes"):
            written = write_table(
                out, changes_table(found, wanted, changed(store, found, wanted, top=top, language=language), language)
            )
        screen.print(f"{written:,} customers written to {out}", markup=False, highlight=False)
