"""The manifest of a bundle: what the files must be, told before any of them is parsed and without a library to parse them.

See ``models.bundle``. The manifest holds size and sha256 of every other file, the features the model was made for, and the
sha256 of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.errors import BundleError
from features.catalog import FEATURE_NAMES

FORMAT = 2
MANIFEST = "manifest.json"
CHECKSUM = "manifest_sha256"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest alone. Raises BundleError: there is none, it is of another format, or it was changed."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BundleError(f"{folder} holds no readable {MANIFEST} ({type(error).__name__}): train again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise BundleError(f"{folder}: expected bundle format {FORMAT}, found {found}: train again with this version")
    if manifest.pop(CHECKSUM, None) != checksum(manifest):
        raise BundleError(f"{folder}: {MANIFEST} is not the one that was written: train again, or restore the file")
    return manifest


def verified_texts(folder: Path) -> dict[str, str]:
    """All other files of a bundle by name, each the very one that was written, of a model this version can compute.

    Raises BundleError: a file is missing or not the one that was written; another format or other features.
    """
    manifest = read_manifest(folder)
    texts = {name: verified_text(folder / name, its) for name, its in manifest["files"].items()}
    if tuple(manifest["features"]) != FEATURE_NAMES:
        raise BundleError(f"{folder}: the model was trained on other features than this version computes: train again")
    return texts


def verified_text(path: Path, its: Mapping[str, Any]) -> str:
    """One file. Raises BundleError: it is missing, or not what ``its`` entry in the manifest says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): the bundle is incomplete, train again") from None
    if entry(content) != its:
        raise BundleError(
            f"{path} is not the file that was written: expected {its.get('bytes')} bytes with sha256 "
            f"{str(its.get('sha256'))[:12]}..., found {len(content)} bytes with {entry(content)['sha256'][:12]}...: "
            "train again, or restore the file"
        )
    return content.decode("utf-8")


def checksum(manifest: Mapping[str, Any]) -> str:
    """Of its content, whatever the order of its keys."""
    text = json.dumps(manifest, sort_keys=True)
    return str(entry(text.encode())["sha256"])


def entry(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
