"""The one exception tree of Foretier.

::

    ForetierError                 anything a user can mend; the CLI prints it as one line, exit code 2
    ├── SettingsError             a settings file, key, value or environment variable is wrong
    ├── InputError                the transaction log cannot be used as it is
    │   ├── SourceError           a file, table or query cannot be read
    │   ├── ColumnError           a mapped column or expression does not fit the source
    │   └── RejectedRowsError     more rows were rejected than the settings allow
    ├── HistoryError              the history is too short or too thin for what was asked
    ├── LeakError                 what a model learns from knows something of the future
    ├── BundleError               a model bundle is missing, damaged or made for something else
    ├── RegistryError             the model registry has no such model, or cannot be reached
    ├── StoreError                the score store cannot be used
    ├── DeliveryError             a webhook was not taken by its receiver
    └── NotFoundError             there is no such customer, scoring run, tier, list or API key

Every message says what was found, what was expected, where (at most five examples) and what to do.
Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ForetierError(Exception):
    """Root of the tree: ``str(error)`` is one message made for people."""


class SettingsError(ForetierError):
    """A settings file, key, value or environment variable is wrong."""


class InputError(ForetierError):
    """The transaction log cannot be used as it is."""


class SourceError(InputError):
    """A file, table or query cannot be read."""


class ColumnError(InputError):
    """A mapped column or expression does not fit the source."""


class RejectedRowsError(InputError):
    """More rows were rejected than ``cleaning.max_rejected_share`` allows."""


class HistoryError(ForetierError):
    """The history is too short or too thin for what was asked."""


class LeakError(ForetierError):
    """What a model learns from knows something of the future."""


class BundleError(ForetierError):
    """A model bundle is missing, damaged or made for something else."""


class RegistryError(ForetierError):
    """The model registry has no such model, or cannot be reached."""


class StoreError(ForetierError):
    """The score store cannot be used."""


class DeliveryError(ForetierError):
    """A webhook was not taken by its receiver."""


class NotFoundError(ForetierError):
    """There is no such customer, scoring run, tier, list or API key."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest, as the end of an error message.

    >>> nearest("horizn", ["horizon", "tiers"])
    'did you mean "horizon"?'
    >>> nearest("x", ["horizon", "tiers"])
    'known: horizon, tiers'
    >>> nearest("x", [])
    'there is none at all'
    """
    known = list(known)
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if close:
        return f'did you mean "{by_lower[close[0]]}"?'
    return "known: " + ", ".join(known[:20]) if known else "there is none at all"
