"""When to ask a provider again: pure policy, no clock and no randomness of its own."""

from __future__ import annotations

from msgspec import Struct

from headrace.errors import HeadraceError, ProviderError, UsageError


class RetryPolicy(Struct, frozen=True):
    """Exponential waits with full jitter, for errors before the first content.

    Attributes:
        retries: How often to ask again; 0 switches retrying off.
        base: Ceiling of the first wait, in seconds; it doubles each time.
        longest: No wait is longer. A provider that asks for more is not asked again.

    Raises:
        UsageError: one is below 0.
    """

    retries: int = 2
    base: float = 0.5
    longest: float = 60.0

    def __post_init__(self) -> None:
        if self.retries < 0 or not (self.base >= 0 and self.longest >= 0):
            raise UsageError(
                "retries, base and longest of a RetryPolicy are at least 0.",
                hint="RetryPolicy(retries=0) asks once.",
            )

    def wait_before(self, retry: int, error: HeadraceError, jitter: float) -> float | None:
        """Seconds to wait before retry number `retry` (from 1), or None to give up.

        Args:
            retry: Which retry this would be, from 1.
            error: What failed.
            jitter: A random number from 0 to 1.
        """
        if retry > self.retries or not error.retryable:
            return None
        told = error.retry_after if isinstance(error, ProviderError) else None
        if told is not None:
            return told if told <= self.longest else None
        doubled = 2.0 ** min(retry - 1, 60)  # so that a very patient policy stays a number
        return min(self.longest, self.base * doubled) * jitter


NO_RETRY = RetryPolicy(retries=0)
"""Ask once."""
