"""How many requests per second a caller may make."""

from __future__ import annotations

ROUNDING_SECONDS = 1e-6  # of clocks and of adding up: who keeps to the rate is never refused for it
FEWEST_TO_FORGET = 1024


class RateLimit:
    """A token bucket for each caller, which holds one second's worth of requests, and at least one.

    Within any t seconds a caller gets at most ``requests_per_second`` * t + the bucket; one who keeps to the rate is never
    refused. Memory is bounded by the callers of the last second: a bucket that is full again is forgotten. To be used
    from one thread.

    What is kept of a bucket is the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
    """

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}
        self._forget_at = FEWEST_TO_FORGET

    def wait(self, key_id: str, requests_per_second: float | None, now: float) -> float:
        """Take a request at the monotonic time ``now``: 0.0 lets it through, else it is refused for so many seconds.

        ``requests_per_second`` of None is no limit. A request that is refused costs nothing.
        """
        if requests_per_second is None:
            return 0.0
        each = 1.0 / requests_per_second
        spare = max(1.0, requests_per_second) * each - each  # seconds until full in which one more request still fits
        full_at = max(self._full_at.get(key_id, now), now)
        if full_at - spare > now + ROUNDING_SECONDS:
            return full_at - spare - now
        self._full_at[key_id] = full_at + each
        if len(self._full_at) >= self._forget_at:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        self._full_at = {key_id: full_at for key_id, full_at in self._full_at.items() if full_at > now}
        self._forget_at = max(FEWEST_TO_FORGET, 2 * len(self._full_at))
