"""When is the operator frozen? The answer of the liveness probe, as a pure function."""

from dataclasses import dataclass

WATCH_SILENCE_SECONDS = 120.0
API_CONTACT_SECONDS = 30.0
LONGEST_PASS_SECONDS = 300.0


@dataclass(frozen=True)
class Pulse:
    """Ages in seconds: of the last Lease event that the watch delivered, of the last answer of the API server,
    and of the oldest key in the queue (0 when this replica does not lead)."""

    watch_event_age: float
    api_contact_age: float
    oldest_key_age: float


def frozen(pulse: Pulse) -> str:
    """Why the operator should be restarted; empty when it should not.

    The Lease is renewed every few seconds, so that a watch which delivers nothing while the API server answers
    is a dead one. While the API server itself is away, a restart would only lose the back-off.
    """
    if pulse.watch_event_age > WATCH_SILENCE_SECONDS and pulse.api_contact_age < API_CONTACT_SECONDS:
        return (
            f"the watch has delivered nothing for {pulse.watch_event_age:.0f} s while the API server answers"
        )
    if pulse.oldest_key_age > LONGEST_PASS_SECONDS:
        return f"an index has been waiting for {pulse.oldest_key_age:.0f} s in the work queue"
    return ""
