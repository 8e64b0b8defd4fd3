"""Promote a version of the champion's bundle with half of a file gone, on the home that the environment names.

``load_damage.py back`` promotes the version before it again.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from configs.settings import Environment
from models.registry import champion_version, fetched, move_champion, open_tracking, register_bundle

BROKEN = "value.txt"


def main() -> None:
    """Promote."""
    warnings.simplefilter("ignore")  # MLflow's own
    environment = Environment.read()
    client = open_tracking(environment)
    present = champion_version(client, environment)
    if sys.argv[1:] == ["back"]:
        move_champion(client, environment, str(int(present.version) - 1))
        return
    experiment = client.create_experiment("damage", artifact_location=(environment.home / "damaged-artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    with fetched(environment, present.source) as bundle:
        halve(bundle / BROKEN)
        client.log_artifacts(run, str(bundle), "bundle")
    move_champion(client, environment, register_bundle(client, environment, run))


def halve(file: Path) -> None:
    """Leave the first half of a file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


if __name__ == "__main__":
    main()
