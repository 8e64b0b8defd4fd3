"""How a customer can have changed between two scoring runs; one customer may have changed in several ways."""

from __future__ import annotations

from typing import Literal, get_args

ChangeKind = Literal["newly_at_risk", "upgraded", "downgraded", "won_back"]
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
