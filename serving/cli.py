"""The commands that use a trained model; ``changes``, ``notify`` and ``keys`` are in modules of their own.

Libraries are imported where they are used, so that ``--help`` answers at once.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.command import (
    ConfigFile,
    JsonFile,
    OrdersPath,
    console,
    given_day,
    read_settings,
    reported,
    write_json,
)
from serving.changes_cli import changes
from serving.keys_cli import app as keys
from serving.lists_cli import campaign, lists, suppress
from serving.notify_cli import notify
from serving.read_log import cleaned_orders

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Settings
    from features.orders import Cleaned
    from models.registry import LoadedModel
    from serving.store import ScoringRun

SHOWN_ROWS = 20
STALE_DAYS = 7

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(lists, name="list")
app.add_typer(suppress, name="suppress")
app.add_typer(campaign, name="campaign")
app.add_typer(keys, name="keys")
app.command()(changes)
app.command()(notify)

AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of", parser=given_day, show_default=False,
        metavar="DATE", help="First day not observed, YYYY-MM-DD (default: the day after the last order).",
    ),
]  # fmt: skip
ParquetFile = Annotated[
    Path | None, typer.Option("--out", help="Also write the scores to this .parquet file.", show_default=False)
]
HorizonDays = Annotated[
    int | None,
    typer.Option(
        "--horizon-days", min=1, max=36500, show_default=False,
        help="Days to look ahead (default: as many as the model was trained for; tiers are always of that horizon).",
    ),
]  # fmt: skip


@app.command()
@reported
def score(
    config: ConfigFile = None,
    orders: OrdersPath = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    out: ParquetFile = None,
    json_file: JsonFile = None,
) -> None:
    """Score every customer with the champion model and publish the run."""
    from configs.settings import Environment
    from models.registry import champion
    from serving.exports import check_parquet_suffix
    from serving.report import run_table
    from serving.store import Store

    if out is not None:
        check_parquet_suffix(out)
    screen = console(json_file)
    settings, environment = read_settings(config, orders), Environment.read()
    model = champion(environment)
    _check_currency(settings, model)
    with Store(environment.store_url) as store:
        cleaned = cleaned_orders(settings, environment, screen)
        day = _day(as_of, cleaned.report.last_order_day, datetime.now(settings.zone).date(), screen)
        run = run_scoring(cleaned, day, model, store, settings, out, screen, horizon_days)
    screen.print(run_table(run, settings.language))
    if out is not None:
        screen.print(f"Scores written to {out}", markup=False, highlight=False)
    if json_file is not None:
        write_json(json_file, run_view(run))


@app.command()
@reported
def explain(
    customer_id: Annotated[str, typer.Argument(help="The customer's exact id.", show_default=False)],
    config: ConfigFile = None,
    json_file: JsonFile = None,
) -> None:
    """Say one customer in words: tier, value, risk, drivers, and the past-looking views."""
    from configs.settings import Environment
    from serving.explain import explained
    from serving.predictions import wire
    from serving.store import Store

    language = read_settings(config).language
    with Store(Environment.read().store_url) as store:
        run, found = store.customer(customer_id)
    console(json_file).print(explained(found, run.terms, language))
    if json_file is not None:
        write_json(json_file, wire(found, run.terms, language))


@app.command()
@reported
def serve(
    config: ConfigFile = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 3000,
) -> None:
    """Serve the published run and the champion model over HTTP."""
    from configs.settings import settings_file
    from serving.serve import run_server

    run_server(host, port, settings_file(config))


def _check_currency(settings: Settings, champion: LoadedModel) -> None:
    from configs.errors import SettingsError

    if champion.model.currency != settings.currency:
        raise SettingsError(
            f"the champion (version {champion.version}) was trained on {champion.model.currency} and the settings say "
            f"{settings.currency}: use the settings it was trained with, or train again"
        )


def _day(as_of: datetime | None, last_order_day: int, today: date, screen: Console) -> date:
    from configs.errors import HistoryError
    from serving.scoring import default_as_of

    default = default_as_of(last_order_day)
    if as_of is None:
        return default
    latest = today + timedelta(days=1)
    if as_of.date() > latest:
        raise HistoryError(
            f"--as-of {as_of.date()} lies in the future: the days before it are not observed yet; give {latest} or an earlier day"
        )
    silent = (as_of.date() - default).days
    if silent > STALE_DAYS:
        screen.print(f"Note: the log ends {silent:,} days before --as-of; those days count as days on which nobody ordered.")
    return as_of.date()


def run_scoring(
    cleaned: Cleaned,
    day: date,
    champion: LoadedModel,
    store: Any,
    settings: Settings,
    out: Path | None,
    screen: Console,
    horizon_days: int | None = None,
) -> ScoringRun:
    """Score under a progress bar and publish the run; see ``serving.scoring.score``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.tier_stability import Stability
    from serving.scoring import Scoring
    from serving.scoring import score as score_all

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bars:
        bar = bars.add_task("Scoring customers", total=None)
        how = Scoring(
            model_version=str(champion.version),
            created_at=datetime.now(UTC),
            keep_runs=settings.scoring.keep_runs,
            threads=settings.training.threads,
            out=out,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
            horizon_days=horizon_days,
            stability=Stability(settings.tiers.hysteresis, settings.tiers.minimum_stay_days),
            note=lambda words: screen.print(f"Note: {words}.", highlight=False),
        )
        return score_all(cleaned.orders, day, champion.model, store, how)


def run_view(run: ScoringRun) -> dict[str, Any]:
    """Give a run as ``--json`` writes it: terms, tiers, and the movement from past-spend tiers."""
    from serving.views import tiers_view

    return {"scoring_run": run.run_id, **tiers_view(run)}
