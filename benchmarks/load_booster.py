"""Save the champion's purchase booster as MLflow saves LightGBM models: ``load_booster.py FOLDER``; prints its inputs as JSON."""

from __future__ import annotations

import json
import sys

import mlflow.lightgbm

from configs.settings import Environment
from models.registry import champion

if __name__ == "__main__":
    two_part = champion(Environment.read()).model.two_part
    mlflow.lightgbm.save_model(two_part.booster_purchase, sys.argv[1])
    print(json.dumps(list(two_part.inputs)))
