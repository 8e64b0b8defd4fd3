"""The hold-out group of a list: customers drawn by a seeded hash of their id, who are not contacted.

The draw depends on nothing but seed and id: neither on the order of the list nor on who else is on it. So the two groups differ
by chance alone, the same list drawn again is the same, and another seed is another draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

_DIGEST_BYTES = 8
_DRAWS = 256.0**_DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Draw:
    """Holds out ``share`` (0 to 1) of the customers; 0: nobody."""

    share: float = 0.0
    seed: int = 0

    def holds_out(self, customer_id: str) -> bool:
        """Whether this customer is held out.

        >>> [Draw(0.5, 7).holds_out(customer_id) for customer_id in ("12346", "12347", "12348", "12349")]
        [True, True, False, True]
        """
        if self.share <= 0.0:
            return False
        digest = blake2b(customer_id.encode(), key=self.seed.to_bytes(_DIGEST_BYTES, "big"), digest_size=_DIGEST_BYTES).digest()
        return int.from_bytes(digest, "big") < self.share * _DRAWS


NOBODY_HELD_OUT = Draw()
