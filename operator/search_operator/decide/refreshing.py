"""Which refresh of the active release is asked for now, beside those of the schedule."""

from datetime import timedelta

from search_operator.decide.rollout import Rollout
from search_operator.decide.schedule import requested_at, rfc3339
from search_operator.observe.observation import Observation

# The pods that have just taken over meet their first queries without a job beside them.
SETTLES_FOR = timedelta(seconds=10)


def refresh_request(observation: Observation, now: Rollout) -> str:
    """The request that a Job should serve, as a time (RFC 3339); empty when there is none, or it has been served.

    A release that came back without a catch-up asks for one itself, SETTLES_FOR after it did. With mode Full a
    request is a full rebuild, and what was asked for before the release became active is in it already.
    """
    held, index = now.book.active, observation.index
    if held is None:
        return ""
    asked = requested_at(index) if index.spec.refresh.mode == "Incremental" else None
    times = [asked] if asked and held.since < asked <= observation.now else []
    if held.by != "Spec" and observation.now >= held.since + SETTLES_FOR:
        times.append(held.since)
    newest = max(times, default=None)
    if newest is None:
        return ""
    request = rfc3339(newest)
    served = str(index.status.get("refresh", {}).get("servedRequest") or "")
    running = any(job.request == request for job in observation.jobs)
    return request if running or served != request else ""
