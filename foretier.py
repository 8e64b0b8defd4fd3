"""The front door: one command, ``foretier``, made of the training and the serving commands, and the demo of both."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from configs.command import Commands, ConfigFile, JsonFile, OrdersPath, console, read_settings, reported, write_json
from serving.cli import AsOf
from serving.cli import app as serving
from serving.lists_cli import WIDE_SCREEN
from training.cli import Until
from training.cli import app as training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

    from configs.settings import Environment
    from serving.store import ScoringRun, Store
    from training.monitor import PastRun, UsedModel

app = typer.Typer(
    name="foretier",
    cls=Commands,
    help="Customer value prediction: tiers by what each customer will be worth, not by what they spent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SHOWN_AT_RISK = 5
DEMO_CAPACITY = 500


@app.command()
@reported
def demo(json_file: JsonFile = None) -> None:
    """Train, score and list on CDNOW, a real transaction log that ships with a dependency."""
    from configs.days import date_of
    from configs.settings import Environment, load_settings
    from models.registry import champion
    from serving.cli import run_scoring, run_view
    from serving.list_files import write_list
    from serving.list_plan import plan_of
    from serving.list_report import plan_table
    from serving.lists import contact_list, list_rows
    from serving.report import churn_risk_table, run_table
    from serving.store import Store
    from training.cli import clean, run_training
    from training.pipeline import summary
    from training.report import accuracy_table

    screen = console(json_file)
    config = Path(__file__).parent / "configs" / "cdnow.yaml"
    # A home of its own, so that the demo never replaces a champion or a published run of yours.
    environment = Environment.read({"FORETIER_HOME": str(Environment.read().home / "demo")})
    settings = load_settings(config)
    screen.print("CDNOW: every order of 23,570 people who first bought at an online music shop in early 1997.\n")
    cleaned = clean(settings, environment, screen)
    screen.print(f"{cleaned.report.balance(settings.language)}\n", highlight=False)
    trained = run_training(cleaned, settings, environment, screen)
    files = {name: environment.home / name for name in ("scores.parquet", "churn-risk.csv", "churn-risk.xlsx")}
    with Store(environment.store_url) as store:
        day = date_of(trained.plan.as_of)
        run = run_scoring(cleaned, day, champion(environment), store, settings, files["scores.parquet"], screen)
        of = contact_list(store, settings, plan_of(settings.lists, capacity=DEMO_CAPACITY))
        with screen.status("Writing the churn-risk list"):
            for name in ("churn-risk.csv", "churn-risk.xlsx"):
                write_list(files[name], of, list_rows(store, settings, of), settings.language)
        at_risk = list(islice(list_rows(store, settings, of), SHOWN_AT_RISK))
    if trained.evaluation is not None:
        screen.print(accuracy_table(trained.evaluation, settings.language), "", sep="\n")
    screen.print(
        run_table(run, settings.language),
        "",
        churn_risk_table(run, at_risk, wide=False, language=settings.language),
        "",
        plan_table(of, settings.language),
        sep="\n",
    )
    screen.print(_files_and_next(config, environment.home, list(files.values()), at_risk[0].customer_id), soft_wrap=True)
    if json_file is not None:
        write_json(json_file, {"training": summary(trained), **run_view(run)})


@app.command()
@reported
def monitor(
    config: ConfigFile = None, orders: OrdersPath = None, as_of: AsOf = None, until: Until = None, json_file: JsonFile = None
) -> None:
    """Compare past scoring runs with what happened since, look for drift, and say whether to retrain."""
    from datetime import datetime

    from configs.days import day_number
    from configs.settings import Environment
    from serving.store import Store
    from training.cli import clean
    from training.monitor import first_day_not_observed
    from training.monitor import monitor as look_back
    from training.monitor_report import monitoring_as_dict, monitoring_report
    from training.verdict import verdict

    screen, settings, environment = console(json_file), read_settings(config, orders), Environment.read()
    with Store(environment.store_url) as store:
        runs = _runs(store, settings.currency)
        cleaned = clean(settings, environment, screen, None if until is None else until.date())
        end = first_day_not_observed(
            cleaned.report.last_order_day,
            day_number(datetime.now(settings.zone).date()),
            None if as_of is None else day_number(as_of.date()),
        )
        with _bar(screen, "Comparing past runs", len(runs)) as progress:
            used_model, past = partial(_used_model, environment), _past_runs(store, runs)
            found = look_back(past, cleaned.orders, end, used_model, threads=settings.training.threads, progress=progress)
    language, wide = settings.language, screen.width >= WIDE_SCREEN
    screen.print(monitoring_report(found, verdict(found, language), wide=wide, language=language))
    if json_file is not None:
        write_json(json_file, monitoring_as_dict(found, verdict(found)))


def _runs(store: Store, currency: str) -> list[ScoringRun]:
    """All kept runs in this currency, the latest day first."""
    from configs.errors import NotFoundError

    runs = [run for run in store.runs() if run.terms.currency == currency]
    if not runs:
        raise NotFoundError(f"there is no scoring run in {currency} to look back at: run foretier score first")
    return sorted(runs, key=lambda run: (run.terms.as_of, run.run_id), reverse=True)


def _past_runs(store: Store, runs: list[ScoringRun]) -> Iterator[PastRun]:
    """The runs with their scores, one in memory at a time."""
    import pandas as pd

    from configs.days import day_number
    from training.monitor import NEEDED_COLUMNS, OPTIONAL_COLUMNS, PastRun

    names = ["customer_id", *NEEDED_COLUMNS, *OPTIONAL_COLUMNS]
    for run in runs:
        scores = pd.DataFrame(store.columns(run.run_id, names), columns=names).set_index("customer_id").dropna(axis="columns")
        terms = run.terms
        yield PastRun(
            run.run_id, day_number(terms.as_of), terms.horizon_days, terms.currency, terms.model_version, run.tier_names, scores
        )


def _used_model(environment: Environment, version: str) -> UsedModel | None:
    from models.registry import scored_by
    from training.monitor import UsedModel

    found = scored_by(environment, version)
    return None if found is None else UsedModel(*found)


@contextmanager
def _bar(screen: Console, what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar; gives a function that is told of each of ``total`` steps as it begins."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True) as bars:
        bar = bars.add_task("", total=total, completed=-1)
        yield lambda step: bars.update(bar, advance=1, description=step)


def _files_and_next(config: Path, home: Path, files: list[Path], customer_id: str) -> RenderableType:
    """Where everything was written, and what to type next."""
    from rich.text import Text

    program = _shown(Path(sys.argv[0]))
    state = f"FORETIER_HOME={_shown(home)}"
    settings = f"--config {_shown(config)}"
    return Text(
        "\n".join(
            [
                "",
                "Written",
                *(f"  {_shown(file)}" for file in files),
                f"  {_shown(home / 'scores.db')}     the published run",
                f"  {_shown(home / 'mlflow.db')}     the training run and the registered model",
                "",
                "Next",
                f"  {state} {program} explain {customer_id} {settings}",
                f"  {state} {program} serve {settings}",
            ]
        )
    )


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    full = path.absolute()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


app.add_typer(training)
app.add_typer(serving)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
