"""Published numbers, on our own path: raw CDNOW file -> orders -> features -> fitted parameters.

Fader, Hardie & Lee (2005) for BG/NBD, Batislam, Denizel & Filiztekin (2007) as corrected by Wagner & Hoppe (2008) for
MBG/NBD, Fader & Hardie (2013), note 025, for Gamma-Gamma: all on the 1/10 sample of CDNOW, 39 weeks of calibration.
The papers count in weeks, we in days.
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from configs.settings import source_path
from features.customers import feature_frame
from features.orders import Cleaned
from models.btyd import Btyd
from models.btyd_fit import _purchases, _search, fit_btyd
from models.btyd_likelihood import PurchaseRows, collapse

CUTOFF = (date(1997, 10, 1) - date(1970, 1, 1)).days


@pytest.fixture(scope="module")
def features(sample: Cleaned) -> pd.DataFrame:
    return feature_frame(sample.orders, CUTOFF)


@pytest.fixture(scope="module")
def model(features: pd.DataFrame) -> Btyd:
    return fit_btyd(features)


def test_inputs_equal_the_published_summary(features: pd.DataFrame) -> None:
    published = pd.read_csv(source_path("package:lifetimes/datasets/cdnow_customers_summary.csv"), index_col=0)
    assert len(features) == len(published) == 2357
    np.testing.assert_array_equal(features["frequency"], published["frequency"])
    np.testing.assert_allclose(features["recency"] / 7, published["recency"], atol=0.006)
    np.testing.assert_allclose(features["T"] / 7, published["T"], atol=0.006)


def test_bg_nbd_parameters(model: Btyd, features: pd.DataFrame) -> None:
    assert (model.method, model.purchases_fit.converged, model.purchases_fit.at_bound) == ("bg_nbd", True, ())
    assert model.r == pytest.approx(0.2426, abs=6e-5)
    assert model.alpha / 7 == pytest.approx(4.4136, abs=3e-4)
    assert model.a == pytest.approx(0.7929, abs=2e-4)
    assert model.b == pytest.approx(2.4259, abs=6e-4)
    in_weeks = model.purchases_fit.log_likelihood + features["frequency"].sum() * math.log(7)
    assert in_weeks == pytest.approx(-9582.43, abs=0.005)
    assert model.purchases_fit.gradient_norm < 1e-6
    assert model.purchases_fit.customers == 2357
    assert model.purchases_fit.rows < 1100


def test_expected_purchases_of_the_customer_in_the_paper(model: Btyd) -> None:
    customer = pd.DataFrame({"frequency": [2.0], "recency": [30.43 * 7], "T": [38.86 * 7]})
    assert model.expected_purchases(customer, 39 * 7) == pytest.approx(1.226, abs=5e-4)


def test_mbg_nbd_parameters(features: pd.DataFrame) -> None:
    (x, t_x, age), weights = collapse(*(features[name].to_numpy() for name in ("frequency", "recency", "T")))
    span = float(age.max())
    rows = PurchaseRows(x, t_x / span, age / span, weights)
    fitted = _purchases(rows, "mbg_nbd", 0.0, span, _search(rows, "mbg_nbd", 0.0, span), ())
    assert fitted["r"] == pytest.approx(0.5248, abs=1e-4)
    assert fitted["alpha"] / 7 == pytest.approx(6.1830, abs=1e-3)
    assert fitted["a"] == pytest.approx(0.8914, abs=2e-4)
    assert fitted["b"] == pytest.approx(1.6140, abs=6e-4)


def test_gamma_gamma_parameters(model: Btyd) -> None:
    assert (model.value_method, model.value_fit.converged, model.value_fit.customers) == ("gamma_gamma", True, 946)
    assert (round(model.p, 2), round(model.q, 2), round(model.v, 2)) == (6.25, 3.74, 15.44)
