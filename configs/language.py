"""The languages in which Foretier speaks to people; codes in JSON, CSV and Parquet are the same in all of them."""

from __future__ import annotations

from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
