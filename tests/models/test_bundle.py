"""A bundle gives back the very model that was saved, or nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import BundleError
from configs.settings import Settings
from features.catalog import FEATURE_NAMES
from models.bundle import Origin, load_bundle, save_bundle
from models.fitting import TrainingSet, fit
from models.manifest import CHECKSUM, MANIFEST, checksum, read_manifest
from models.value_model import ValueModel

ORIGIN = Origin(10408, (10318, 10288), "ab" * 32, {"currency": "USD", "name": "Zoë"}, {"gini": 0.75})
FILES = (
    "btyd.json", "golden.json", "manifest.json", "metrics.json", "model.json", "past_views.json", "purchase.txt", "settings.json",
    "spread.json", "tiers.json", "value.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def saved(sample_model: ValueModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "deep" / "bundle"
    save_bundle(sample_model, ORIGIN, folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as error:
        load_bundle(folder)
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


def test_what_is_loaded_predicts_the_very_same(saved: Path, sample_model: ValueModel, sample_training: TrainingSet) -> None:
    loaded, current = load_bundle(saved), sample_training.current
    for threads in (1, 2):
        before, after = (one.predict(current, as_of=10408, threads=threads) for one in (sample_model, loaded))
        pd.testing.assert_frame_equal(after, before, check_exact=True)
    ours, theirs = sample_model.drivers(current), loaded.drivers(current)
    pd.testing.assert_frame_equal(theirs.value, ours.value, check_exact=True)
    pd.testing.assert_frame_equal(theirs.churn, ours.churn, check_exact=True)
    assert (theirs.value_average, theirs.churn_average) == (ours.value_average, ours.churn_average)
    assert replace(loaded, two_part=sample_model.two_part) == sample_model


def test_saving_what_was_loaded_writes_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_bundle(load_bundle(saved), ORIGIN, tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes(), name


def test_it_is_a_folder_of_plain_files_and_nothing_else(saved: Path) -> None:
    assert tuple(sorted(path.name for path in saved.iterdir())) == FILES
    for path in saved.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(text)
        else:
            assert text.startswith("tree\nversion=v4\n")


def test_the_manifest_says_what_it_was_made_from(saved: Path, sample_model: ValueModel) -> None:
    manifest = read_manifest(saved)
    assert sorted([*manifest["files"], MANIFEST]) == list(FILES)
    assert manifest["features"] == list(FEATURE_NAMES)
    assert (manifest["as_of"], manifest["cutoffs"], manifest["fingerprint"]) == (10408, [10318, 10288], "ab" * 32)
    assert (manifest["horizon_days"], manifest["currency"]) == (90, "USD")
    assert manifest["tiers"]["thresholds"] == list(sample_model.tiers.thresholds)
    assert {"foretier", "lightgbm", "numpy"} <= manifest["versions"].keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_grown_emptied_or_gone_is_refused(copied: Path, name: str) -> None:
    path = copied / name
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-2], whole + b"x", b""):
        path.write_bytes(damaged)
        assert name in refused(copied)
    path.unlink()
    assert name in refused(copied)
    path.mkdir()
    assert name in refused(copied)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(copied: Path, name: str, where: float, bit: int) -> None:
    path = copied / name
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(where * len(whole))] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        refused(copied)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("key", ["as_of", "currency", "cutoffs", "features", "files", "fingerprint", "tiers", "versions"])
def test_an_edited_manifest_is_refused(copied: Path, key: str) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    for edited in ({**manifest, key: None}, {name: manifest[name] for name in manifest if name != key}):
        (copied / MANIFEST).write_text(json.dumps(edited))
        assert "not the one that was written" in refused(copied)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", "[" * 100_000, '{"format": NaN}', '{"format": 2, "x": "\\ud800"}', "{'format': 1}"]
)
def test_no_manifest_at_all_is_refused(copied: Path, text: str) -> None:
    (copied / MANIFEST).write_text(text)
    refused(copied)


def test_no_folder_is_refused(tmp_path: Path) -> None:
    assert "no readable manifest.json" in refused(tmp_path / "nowhere")


def rewritten(folder: Path, **changes: Any) -> None:
    """A manifest that vouches for itself, as another version of Foretier would write it."""
    manifest = {**read_manifest(folder), **changes}
    (folder / MANIFEST).write_text(json.dumps({**manifest, CHECKSUM: checksum(manifest)}))


def test_another_format_is_refused(copied: Path) -> None:
    rewritten(copied, format=1)
    assert "expected bundle format 2, found 1" in refused(copied)


@pytest.mark.parametrize("features", [[*FEATURE_NAMES, "shoe_size"], list(FEATURE_NAMES[1:]), list(FEATURE_NAMES[::-1])])
def test_a_model_of_other_features_is_refused(copied: Path, features: list[str]) -> None:
    rewritten(copied, features=features)
    assert "trained on other features" in refused(copied)


def test_ten_times_the_customers_make_a_bundle_of_the_same_size(
    sample_training: TrainingSet, sample_settings: Settings, tmp_path: Path
) -> None:
    def size(times: int) -> int:
        current, known = sample_training.current, sample_training.rows(sample_training.cutoff >= sample_training.as_of - 150)
        many = replace(
            known, features=pd.concat([known.features] * times), cutoff=np.tile(known.cutoff, times),
            active=np.tile(known.active, times), value=np.tile(known.value, times),
            current=pd.concat([current.set_axis(f"{copy}-" + current.index) for copy in range(times)]),
        )  # fmt: skip
        folder = tmp_path / str(times)
        save_bundle(fit(many, sample_settings), ORIGIN, folder)
        return sum(path.stat().st_size for path in folder.iterdir())

    assert size(10) == pytest.approx(size(1), rel=0.05)
