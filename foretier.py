"""The front door: one command, ``foretier``, made of the training and the serving commands, and the demo of both."""

from __future__ import annotations

import typer

from configs.command import JsonFile, reported
from serving.cli import app as serving
from training.cli import app as training

app = typer.Typer(
    name="foretier",
    help="Customer value prediction: tiers by what each customer will be worth, not by what they spent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@reported
def demo(json_file: JsonFile = None) -> None:
    """Train, score and list on CDNOW, a real transaction log that ships with a dependency."""
    from demo import run_demo

    run_demo(json_file)


app.add_typer(training)
app.add_typer(serving)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
