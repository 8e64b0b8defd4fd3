"""The HTTP service under load, faults and change, beside its peers: every figure in one run.

    python benchmarks/load.py [--seconds 10] [--connections 1 8 64] [--only PART ...] [--config FILE] [--requests N]

Serves the champion and the published run of ``FORETIER_HOME`` from a copy; where there are none, trains and scores first.
Everything runs on loopback, in processes of its own that are gone at the end, and in one temporary folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from load_connections import connections, large  # noqa: E402 (beside this script)
from load_drain import drain  # noqa: E402
from load_faults import faults  # noqa: E402
from load_figures import Figure, summary  # noqa: E402
from load_scripts import contract, publishing  # noqa: E402
from load_servers import Home, prepared  # noqa: E402
from load_soak import soak  # noqa: E402
from load_swaps import swaps  # noqa: E402
from load_throughput import throughput  # noqa: E402

LEAST_WIDTH = 130
Part = Callable[[Home, Console, argparse.Namespace], list[Figure]]
PARTS: dict[str, Part] = {
    "throughput": lambda home, console, asked: throughput(home, console, seconds=asked.seconds, connections=asked.connections),
    "connections": lambda home, console, asked: connections(home, console, seconds=asked.seconds),
    "large": lambda home, console, asked: large(home, console, seconds=asked.seconds),
    "soak": lambda home, console, asked: soak(home, console, requests=asked.requests),
    "swaps": lambda home, console, _: swaps(home, console),
    "drain": lambda home, console, _: drain(home, console),
    "faults": lambda home, console, _: faults(home, console),
    "publishing": lambda home, console, _: publishing(home, console),
    "contract": lambda home, console, _: contract(home, console),
}


def main() -> None:
    """Run the parts and print what they found."""
    asked, console, began = _arguments(), _console(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended, as on an interrupt
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="foretier-load-") as folder:
        with console.status("Preparing a champion and a published run"):
            home = prepared(Path(asked.config).absolute(), Path(folder))
        for part in asked.only or PARTS:
            figures += PARTS[part](home, console, asked)
    minutes, load = (time.monotonic() - began) / 60, os.getloadavg()[0]
    console.print(summary(figures))
    console.print(f"{minutes:.1f} minutes on {os.cpu_count()} processors; load average at the end {load:.1f}")


def _console() -> Console:
    """Wide enough for the tables where nobody looks at a screen."""
    console = Console()
    return console if console.is_terminal else Console(width=LEAST_WIDTH)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", default=str(ROOT / "configs" / "cdnow.yaml"), help="settings to serve with")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each load and number of connections")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=200_000, help="of the soak")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
