"""A model version as a folder of plain files: text boosters, JSON, and a manifest with the checksum of each.

::

    manifest.json          what this is, what it was made from, sha256 and size of every other file, and its own sha256
    purchase.txt value.txt LightGBM text models
    model.json             horizon, currency, grade, stacking, blend, BTYD reference customer
    btyd.json spread.json tiers.json past_views.json
    settings.json          the resolved settings of the training run, without passwords
    metrics.json           accuracy and grade on the held-back window
    golden.json            made-up customers and what the model says of them
    reference.json         distributions of features and predictions at training, to find drift; absent in older bundles

No pickle, no customer, the same size for ten thousand and ten million customers, and the same bytes for the same input.
The manifest is verified before anything else is parsed: a truncated text model would kill the process, and a flipped bit
would change predictions in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm as lgb

from configs import __version__
from configs.files import replacing
from features.catalog import FEATURE_NAMES
from models.btyd import Btyd, Customer
from models.golden import golden_rows
from models.intervals import Spread
from models.manifest import CHECKSUM, FORMAT, MANIFEST, checksum, entry, read_manifest, verified_text, verified_texts
from models.past_views import PastViews
from models.reference import Reference
from models.stacking import Stacking
from models.tiers import Tiers
from models.two_part import TwoPart
from models.value_model import Blend, ValueModel

METRICS = "metrics.json"
GOLDEN = "golden.json"
REFERENCE = "reference.json"
LIBRARIES = ("lightgbm", "lifetimes", "numpy", "pandas", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Origin:
    """What a model was made from.

    ``as_of``: the first day not observed; ``cutoffs``: the training cutoffs, all integer days since 1970-01-01;
    ``fingerprint``: sha256 of the cleaned orders; ``settings``: resolved, without passwords; ``metrics``: accuracy on the
    held-back window, by candidate; ``reference``: what the customers of ``as_of`` looked like.
    """

    as_of: int
    cutoffs: tuple[int, ...]
    fingerprint: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    reference: Reference | None = None


def save_bundle(model: ValueModel, origin: Origin, folder: Path) -> None:
    """Write the bundle's files into ``folder`` (made if missing), the manifest last."""
    files = {
        "purchase.txt": model.two_part.booster_purchase.model_to_string(),
        "value.txt": model.two_part.booster_value.model_to_string(),
        "model.json": _json(_core(model)),
        "btyd.json": _json(model.btyd.to_json()),
        "spread.json": _json(model.spread.to_json()),
        "tiers.json": _json(model.tiers.to_json()),
        "past_views.json": _json(model.past_views.to_json()),
        "settings.json": _json(origin.settings),
        METRICS: _json(origin.metrics),
        GOLDEN: _json(golden_rows(model, origin.as_of)),
    }
    if origin.reference is not None:
        files[REFERENCE] = _json(origin.reference.to_json())
    for name, text in files.items():
        _write(folder / name, text)
    manifest = _manifest(model, origin, files)
    _write(folder / MANIFEST, _json({**manifest, CHECKSUM: checksum(manifest)}))


def load_bundle(folder: Path) -> ValueModel:
    """Verify and read a bundle.

    Raises BundleError: a file is missing or not the one that was written; another format or other features.
    """
    texts = verified_texts(folder)
    core = json.loads(texts["model.json"])
    return ValueModel(
        horizon_days=core["horizon_days"],
        as_of=core["as_of"],
        currency=core["currency"],
        two_part=TwoPart(
            inputs=tuple(core["inputs"]),
            booster_purchase=lgb.Booster(model_str=texts["purchase.txt"]),
            booster_value=lgb.Booster(model_str=texts["value.txt"]),
        ),
        btyd=Btyd.from_json(json.loads(texts["btyd.json"])),
        btyd_reference=Customer(**core["btyd_reference"]),
        stacking=Stacking(**core["stacking"]),
        blend=Blend(**core["blend"]),
        spread=Spread.from_json(json.loads(texts["spread.json"])),
        tiers=Tiers.from_json(json.loads(texts["tiers.json"])),
        past_views=PastViews.from_json(json.loads(texts["past_views.json"])),
        order_limit=core["order_limit"],
        grade=core["grade"],
    )


def read_file(folder: Path, name: str) -> dict[str, Any] | None:
    """Verify and read one JSON file of a bundle, ``METRICS`` or ``GOLDEN``; None where it was saved without one.

    Raises BundleError: the file is missing or not the one that was written, or the bundle is of another format.
    """
    its = read_manifest(folder)["files"].get(name)
    found: dict[str, Any] | None = None if its is None else json.loads(verified_text(folder / name, its))
    return found


def load_reference(folder: Path) -> Reference | None:
    """Verify and read the reference of a bundle; None where it was saved without one.

    Raises BundleError: the file is missing or not the one that was written, or the bundle is of another format.
    """
    its = read_manifest(folder)["files"].get(REFERENCE)
    return None if its is None else Reference.from_json(json.loads(verified_text(folder / REFERENCE, its)))


def _core(model: ValueModel) -> dict[str, Any]:
    return {
        "horizon_days": model.horizon_days,
        "as_of": model.as_of,
        "currency": model.currency,
        "inputs": list(model.two_part.inputs),
        "stacking": asdict(model.stacking),
        "blend": asdict(model.blend),
        "btyd_reference": asdict(model.btyd_reference),
        "grade": model.grade,
        "order_limit": model.order_limit,
    }


def _manifest(model: ValueModel, origin: Origin, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "files": {name: entry(text.encode()) for name, text in sorted(files.items())},
        "features": list(FEATURE_NAMES),
        "feature_type": "float64",
        "as_of": origin.as_of,
        "cutoffs": list(origin.cutoffs),
        "horizon_days": model.horizon_days,
        "currency": model.currency,
        "tiers": model.tiers.to_json(),
        "fingerprint": origin.fingerprint,
        "versions": {"foretier": __version__, **{library: version(library) for library in LIBRARIES}},
    }


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
