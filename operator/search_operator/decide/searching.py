"""How gateways answer: which policy they hold, what they do without, and whether re-rankers stand by."""

from collections import Counter

from search_plane.release.policy import POLICY_KEY

from search_operator.api.status import BreakerStatus, SearchStatus
from search_operator.observe.observation import Observation
from search_operator.render.policy import policy_of
from search_operator.render.reranker import reranker_name, reranker_of

CLOSED = "closed"
# Of what a gateway says is wrong with the policy: it quotes the policy, whose lines may be long.
_LONGEST_REASON = 300


def search_status(observation: Observation) -> SearchStatus:
    """What gateways say of themselves, beside what the spec declares."""
    revision = policy_of(observation.index).revision()
    states = [gateway.state for gateway in observation.gateways if gateway.state]
    opened = Counter(
        name for state in states for name, said in sorted(state.breakers.items()) if said != CLOSED
    )
    # A gateway that holds the present policy has nothing against it; what it still says is of a file since gone.
    refused = Counter(
        why for state in states if state.policy != revision and (why := state.waiting_for.get(POLICY_KEY))
    )
    ready, wanted = reranker_counts(observation)
    return SearchStatus(
        policy=revision,
        gateways=len(states),
        on_policy=sum(state.policy == revision for state in states),
        refused=refused.total(),
        refused_because=refused.most_common(1)[0][0][:_LONGEST_REASON] if refused else None,
        degraded=bool(opened),
        breakers=tuple(BreakerStatus(name=name, open=count) for name, count in sorted(opened.items())),
        rerankers_ready=ready if wanted else None,
        rerankers_desired=wanted or None,
    )


def reranker_counts(observation: Observation) -> tuple[int, int]:
    """(ready, wanted) re-ranker pods."""
    reranker = reranker_of(observation.index)
    if reranker is None:
        return 0, 0
    deployment = observation.child("Deployment", reranker_name(observation.index.name))
    return int((deployment or {}).get("status", {}).get("readyReplicas", 0)), reranker.replicas


def policy_awaited(observation: Observation) -> bool:
    """Whether a gateway that follows a policy has not taken up the present one yet."""
    if observation.index.spec.paused or observation.index.being_deleted:
        return False
    revision = policy_of(observation.index).revision()
    return any(g.state is not None and g.state.policy not in ("", revision) for g in observation.gateways)


def remarks(said: SearchStatus) -> tuple[str, ...]:
    """What is not as it should be, as clauses of a sentence; queries are answered all the same."""
    found = [f"{b.name} is left out by {b.open} of {said.gateways} gateways" for b in said.breakers]
    if said.refused:
        found.append(
            f"policy {said.policy} is refused by {said.refused} of {said.gateways} gateways,"
            f" which answer by the one before: {POLICY_KEY} {said.refused_because}"
        )
    elif said.on_policy < said.gateways:
        found.append(
            f"policy {said.policy} is held by {said.on_policy} of {said.gateways} gateways that answer"
        )
    if said.rerankers_desired is not None and (said.rerankers_ready or 0) < said.rerankers_desired:
        found.append(f"{said.rerankers_ready or 0} of {said.rerankers_desired} re-rankers are ready")
    return tuple(found)
