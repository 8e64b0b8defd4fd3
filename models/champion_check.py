"""Tell whether the champion could be served, before a server starts: the program ``python -m models.champion_check``.

It ends with exit code 3 and one line on standard error where a file of the champion is damaged or made for another version,
and with 0 wherever that cannot be said: there is no champion yet, or the registry cannot be reached.

To load the champion takes MLflow, pandas and LightGBM several seconds, most of them spent on importing. To verify its files
takes MLflow's client alone. MLflow is also published without the libraries named below, as mlflow-skinny, and its client needs
none of them: they are kept from being imported in this process, which halves the time.
"""

from __future__ import annotations

import gc
import sys

UNNEEDED = ("matplotlib", "numpy", "pandas", "polars", "pyarrow", "pyspark", "scipy", "sklearn")
DAMAGED = 3


def main() -> int:
    """Check the champion of the environment's registry; give the exit code."""
    gc.disable()  # it would look through what was just imported again and again
    sys.modules.update(dict.fromkeys(UNNEEDED))  # type: ignore[arg-type]  # None: what it is set to cannot be imported
    from configs.errors import BundleError, RegistryError
    from configs.settings import Environment
    from models.registry import check_champion

    try:
        check_champion(Environment.read())
    except BundleError as error:
        print(error, file=sys.stderr)  # noqa: T201 (read by the process that started this one)
        return DAMAGED
    except RegistryError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
