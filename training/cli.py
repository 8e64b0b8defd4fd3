"""The commands of those who train: ``check``, ``train``, ``backtest``, and what becomes of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.command import ConfigFile, JsonFile, OrdersPath, console, given_day, read_settings, reported, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Environment, Settings
    from features.orders import Cleaned
    from training.backtest import Backtest
    from training.panel import Snapshot
    from training.pipeline import Trained

app = typer.Typer(no_args_is_help=True)
EXIT_REFUSED = 1

Until = Annotated[
    datetime | None,
    typer.Option(
        "--until", parser=given_day, metavar="DATE", show_default=False,
        help="Never read rows ordered on or after this day, YYYY-MM-DD.",
    ),
]  # fmt: skip


@app.command()
@reported
def check(config: ConfigFile = None, orders: OrdersPath = None, until: Until = None, json_file: JsonFile = None) -> None:
    """Read and clean the transactions, train nothing, and say what was found."""
    from configs.settings import Environment
    from features.history_check import horizon_support
    from training.report import check_report

    screen, settings = console(json_file), read_settings(config, orders)
    environment = Environment.read()
    cleaned = clean(settings, environment, screen, _day(until))
    support = horizon_support(cleaned.report, settings)
    screen.print(check_report(cleaned.report, support, settings, rejected_file(environment)))
    if json_file is not None:
        horizons = [{"horizon_days": one.horizon_days, "supported": one.supported, "reason": one.reason} for one in support]
        write_json(json_file, {**cleaned.report.as_dict(), "horizons": horizons})


@app.command()
@reported
def train(config: ConfigFile = None, orders: OrdersPath = None, until: Until = None, json_file: JsonFile = None) -> None:
    """Train on the transactions, evaluate and grade on the last complete horizon; the gate decides whether it is champion."""
    from configs.settings import Environment
    from training.pipeline import summary
    from training.report import training_report

    screen, settings = console(json_file), read_settings(config, orders)
    environment = Environment.read()
    trained = run_training(clean(settings, environment, screen, _day(until)), settings, environment, screen)
    screen.print(training_report(trained, settings.language))
    if json_file is not None:
        write_json(json_file, summary(trained))


@app.command(name="backtest")
@reported
def backtest_command(
    config: ConfigFile = None, orders: OrdersPath = None, until: Until = None,
    origins: Annotated[int, typer.Option("--origins", min=1, max=100, help="Days to look ahead from, at most.")] = 4,
    html: Annotated[
        Path | None, typer.Option("--html", help="The report (default: backtest.html in FORETIER_HOME).", show_default=False)
    ] = None,
    json_file: JsonFile = None,
) -> None:  # fmt: skip
    """Predict from several days of the past, fitted on what was known then, and compare with what happened."""
    from configs.settings import Environment
    from training.backtest_report import write_report
    from training.backtest_tables import backtest_report

    screen, settings = console(json_file), read_settings(config, orders)
    environment = Environment.read()
    cleaned = clean(settings, environment, screen, _day(until))
    found = run_backtest(cleaned, settings, environment, origins, screen)
    report = html or environment.home / "backtest.html"
    write_report(found, report, settings.language)
    screen.print(backtest_report(found, settings.language))
    screen.print(f"Report: {report}", soft_wrap=True, highlight=False)
    if json_file is not None:
        write_json(json_file, found.as_dict())


@app.command(name="promote")
@reported
def promote_command(
    version: Annotated[str | None, typer.Argument(help="A model version (default: the challenger).", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote it whatever the gate says; needs --why.")] = False,  # noqa: FBT002
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason, for the log.", show_default=False)] = None,
    config: ConfigFile = None, orders: OrdersPath = None, json_file: JsonFile = None,
) -> None:  # fmt: skip
    """Make the challenger, or a version, champion if the gate lets it pass; exit code 1 if it does not."""
    from configs.errors import SettingsError
    from configs.settings import Environment
    from training.context import attributes_of
    from training.decision_report import decision_report
    from training.panel import snapshot
    from training.promotion import Attributes, promote

    if force != bool(why and why.strip()):
        raise SettingsError("--force and --why TEXT go together: who overrules the gate says why")
    screen, settings = console(json_file), read_settings(config, orders)
    environment = Environment.read()

    def window(cutoff: int, horizon_days: int) -> tuple[Snapshot, Attributes]:
        cleaned = clean(settings, environment, screen)
        with screen.status("Challenger against champion"):
            holdout = snapshot(cleaned.orders, cutoff, horizon_days)
            return holdout, attributes_of(cleaned.orders, holdout, settings)

    decision = promote(environment, settings, window, at=_now(settings), version=version, force_why=why if force else None)
    screen.print(decision_report(decision, settings.language))
    if json_file is not None:
        write_json(json_file, decision.as_dict())
    if decision.action == "refused":
        raise typer.Exit(EXIT_REFUSED)


@app.command(name="rollback")
@reported
def rollback_command(
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the log.")] = "no reason given",
    config: ConfigFile = None, json_file: JsonFile = None,
) -> None:  # fmt: skip
    """Return to the champion before the present one, as the decision log tells."""
    from configs.settings import Environment
    from training.decision_report import decision_report
    from training.promotion import rollback

    screen, settings = console(json_file), read_settings(config)
    decision = rollback(Environment.read(), at=_now(settings), why=why)
    screen.print(decision_report(decision, settings.language))
    if json_file is not None:
        write_json(json_file, decision.as_dict())


@app.command()
@reported
def decisions(config: ConfigFile = None, json_file: JsonFile = None) -> None:
    """Show the decision log: every promotion, refusal and rollback, the oldest first."""
    from configs.settings import Environment
    from training.decision_report import decisions_table
    from training.decisions import read_decisions

    screen, settings = console(json_file), read_settings(config)
    found = read_decisions(Environment.read().home)
    screen.print(decisions_table(found, settings.language))
    if json_file is not None:
        write_json(json_file, {"decisions": [decision.as_dict() for decision in found]})


def clean(settings: Settings, environment: Environment, screen: Console, until: date | None = None) -> Cleaned:
    """Read and clean under a spinner; rejected rows are written beside the state."""
    from features.orders import read_orders

    today = datetime.now(settings.zone).date()
    with screen.status("Reading and cleaning the transactions"):
        return read_orders(settings, today=today, until=until, rejected_to=rejected_file(environment))


def run_training(cleaned: Cleaned, settings: Settings, environment: Environment, screen: Console) -> Trained:
    """Train under a progress bar."""
    from training.pipeline import plan, steps
    from training.pipeline import train as train_all

    planned = plan(cleaned, settings)
    with _progress_bar(steps(planned), screen) as progress:
        return train_all(cleaned, settings, environment, planned, progress, at=_now(settings))


def run_backtest(cleaned: Cleaned, settings: Settings, environment: Environment, origins: int, screen: Console) -> Backtest:
    """Backtest under a progress bar, and log it to MLflow."""
    from models.registry import open_tracking, registry_errors
    from training.backtest_run import backtest, planned, steps
    from training.tracking import log_backtest, log_settings, tracked_run

    plan = planned(cleaned, settings, origins)
    client = open_tracking(environment)
    with registry_errors(environment), tracked_run(client, environment, "backtest") as run_id:
        log_settings(client, run_id, settings.without_secrets(), cleaned.report.fingerprint)
        with _progress_bar(steps(plan), screen) as progress:
            found = backtest(cleaned, settings, plan, progress)
        with screen.status("Logging to MLflow"):
            log_backtest(client, run_id, found)
    return found


@contextmanager
def _progress_bar(steps: int, screen: Console) -> Iterator[Callable[[str], None]]:
    """A bar of so many steps; what is given is called with what begins now."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True) as bars:
        bar = bars.add_task("Starting", total=steps)
        begun = 0

        def progress(what: str) -> None:
            nonlocal begun
            bars.update(bar, completed=begun, description=what)
            begun += 1

        yield progress


def rejected_file(environment: Environment) -> Path:
    """Where rejected rows are written."""
    return environment.home / "rejected.parquet"


def _now(settings: Settings) -> datetime:
    return datetime.now(settings.zone)


def _day(given: datetime | None) -> date | None:
    return None if given is None else given.date()
