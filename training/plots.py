"""Two pictures of an evaluation, as PNG: how much of the value the ranking finds, and whether the amounts are right."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation import PAST_SPEND, PERFECT, SERVED, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#1f5fa8", "#d9822b", "#9aa5b1", "#1f2933"


def gain_chart(evaluation: Evaluation, currency: str) -> bytes:
    """Share of the realised value held by the best-ranked customers: by Foretier, by past spend, by perfect foresight."""
    figure, axes = _figure(f"Who holds the next {evaluation.horizon_days} days' value?")
    share = np.linspace(0.0, 100.0, len(evaluation.curves[SERVED]))
    for name, color, width, dashes in ((PERFECT, GREY, 1.2, "--"), (SERVED, BLUE, 2.4, "-"), (PAST_SPEND, ORANGE, 1.8, "-")):
        axes.plot(share, 100 * evaluation.curves[name], color=color, lw=width, ls=dashes, label=name)
    axes.plot([0, 100], [0, 100], color=GREY, lw=0.8, ls=":", label="by chance")
    axes.legend(frameon=False, loc="lower right", fontsize=11)
    axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="Customers, best first (%)", ylabel="Value found (%)")
    _subtitle(axes, f"{evaluation.customers:,} customers, {evaluation.realised_value:,.0f} {currency} realised while held back")
    return _png(figure)


def decile_chart(evaluation: Evaluation, currency: str) -> bytes:
    """Mean predicted and mean realised value of ten groups of customers, by predicted value."""
    figure, axes = _figure("Are the amounts right?")
    predicted, realised = evaluation.curves["decile_predicted"], evaluation.curves["decile_realised"]
    place = np.arange(1, len(predicted) + 1)
    axes.bar(place - 0.2, predicted, width=0.38, color=BLUE, label="predicted")
    axes.bar(place + 0.2, realised, width=0.38, color=ORANGE, label="realised")
    axes.set(xticks=place, xlabel="Customers in ten groups, by predicted value", ylabel=f"Mean value, {currency}")
    axes.legend(frameon=False, loc="upper left")
    _subtitle(axes, f"Mean of each group over the {evaluation.horizon_days} days held back")
    return _png(figure)


def _figure(title: str) -> tuple[Figure, Axes]:
    # The object interface: pyplot keeps global state and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color="#e4e7eb", lw=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _subtitle(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, color="#52606d")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
