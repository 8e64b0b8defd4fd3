"""Plots are PNG files that do not change from run to run, and show what they should."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from training.evaluation import SERVED
from training.plots import BLUE, ORANGE, decile_chart, gain_chart

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("chart", [gain_chart, decile_chart])
def test_the_same_picture_every_time(trained_home: Any, chart: Any) -> None:
    evaluation = trained_home.runs[0].evaluation
    content = chart(evaluation, "USD")
    assert content.startswith(PNG)
    assert content == chart(evaluation, "USD")
    assert content != chart(replace(evaluation, horizon_days=91), "USD")
    picture = matplotlib.image.imread(io.BytesIO(content), format="png")
    assert picture.shape[:2] == (624, 936)


@pytest.mark.parametrize("chart", [gain_chart, decile_chart])
def test_both_colours_are_in_it(trained_home: Any, chart: Any) -> None:
    picture = matplotlib.image.imread(io.BytesIO(chart(trained_home.runs[0].evaluation, "USD")), format="png")[:, :, :3]
    for colour in (BLUE, ORANGE):
        wanted = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        assert (np.abs(picture - wanted).max(axis=2) < 0.02).sum() > 300


def test_a_better_ranking_draws_a_higher_line(trained_home: Any) -> None:
    evaluation = trained_home.runs[0].evaluation
    flat = replace(evaluation, curves={**evaluation.curves, SERVED: np.linspace(0.0, 1.0, 201)})

    def height(content: bytes) -> float:
        picture = matplotlib.image.imread(io.BytesIO(content), format="png")[:, :, :3]
        blue = np.abs(picture - np.array([0x1F, 0x5F, 0xA8]) / 255).max(axis=2) < 0.02
        return float(np.argwhere(blue)[:, 0].mean())

    assert height(gain_chart(evaluation, "USD")) < height(gain_chart(flat, "USD"))
