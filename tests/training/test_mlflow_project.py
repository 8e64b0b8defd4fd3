"""The MLflow project of the folder mlflow/: run as documented, by the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from configs.settings import Environment, Settings
from models.registry import champion

ROOT = Path(__file__).parent.parent.parent


def test_the_train_entry_point_registers_a_champion(tmp_path: Path, sample_settings: Settings) -> None:
    programs = Path(sys.executable).parent
    if shutil.which("mlflow", path=str(programs)) is None or shutil.which("foretier", path=str(programs)) is None:
        pytest.skip("mlflow and foretier are not installed beside this Python: run make install")
    shutil.copytree(ROOT / "mlflow", tmp_path / "mlflow")
    quick = sample_settings.model_dump(mode="json") | {"training": {"max_cutoffs": 4, "boosting_rounds": 10}}
    (tmp_path / "sample.yaml").write_text(yaml.safe_dump(quick, sort_keys=False))
    tracking = f"sqlite:///{tmp_path / '.foretier' / 'mlflow.db'}"
    (tmp_path / ".foretier").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER", "MLFLOW"))}
    done = subprocess.run(
        [programs / "mlflow", "run", "mlflow", "-e", "train", "--env-manager", "local", "-P", "config=sample.yaml"],
        cwd=tmp_path,
        env={**kept, "PATH": f"{programs}:{kept['PATH']}", "MLFLOW_TRACKING_URI": tracking, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = champion(Environment(home=tmp_path / ".foretier", store_url="", tracking_url=tracking))
    assert (loaded.version, loaded.model.horizon_days, loaded.model.currency) == ("1", 90, "USD")
