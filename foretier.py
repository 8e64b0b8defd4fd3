"""The front door: one command, ``foretier``, made of the training and the serving commands, and the demo of both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from configs.command import Commands, JsonFile, console, reported, write_json
from serving.cli import app as serving
from training.cli import app as training

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(
    name="foretier",
    cls=Commands,
    help="Customer value prediction: tiers by what each customer will be worth, not by what they spent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SHOWN_AT_RISK = 5


@app.command()
@reported
def demo(json_file: JsonFile = None) -> None:
    """Train, score and list on CDNOW, a real transaction log that ships with a dependency."""
    from configs.days import date_of
    from configs.settings import Environment, load_settings
    from models.registry import champion
    from serving.cli import run_scoring, run_view
    from serving.exports import write_table
    from serving.lists import Filters, churn_risk_rows, list_table
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
    screen.print(f"{cleaned.report.balance()}\n", highlight=False)
    trained = run_training(cleaned, settings, environment, screen)
    files = {name: environment.home / name for name in ("scores.parquet", "churn-risk.csv", "churn-risk.xlsx")}
    with Store(environment.store_url) as store:
        day = date_of(trained.plan.as_of)
        run = run_scoring(cleaned, day, champion(environment), store, settings, files["scores.parquet"], screen)
        with screen.status("Writing the churn-risk list"):
            for name in ("churn-risk.csv", "churn-risk.xlsx"):
                of_run, rows = churn_risk_rows(store, settings, Filters())
                write_table(files[name], list_table(of_run, Filters(), rows))
        _, first = churn_risk_rows(store, settings, Filters(), top=SHOWN_AT_RISK)
        at_risk = list(first)
    if trained.evaluation is not None:
        screen.print(accuracy_table(trained.evaluation), "", sep="\n")
    screen.print(run_table(run), "", churn_risk_table(run, at_risk, wide=False), sep="\n")
    screen.print(_files_and_next(config, environment.home, list(files.values()), at_risk[0].customer_id), soft_wrap=True)
    if json_file is not None:
        write_json(json_file, {"training": summary(trained), **run_view(run)})


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
