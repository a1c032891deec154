"""The encoder fleets that releases need now, each with its size and its scaler."""

from search_plane.release.record import ReleaseRecord

from search_operator.api.derive import encoder_source
from search_operator.decide.capacity import fleets
from search_operator.decide.prewarm import prewarm, warmed
from search_operator.decide.release import State
from search_operator.decide.rollout import Rollout
from search_operator.decide.scaling import scaler_objects
from search_operator.decide.second_release import fleet_order
from search_operator.observe.observation import Observation
from search_operator.render.child import Images, Object
from search_operator.render.encoder import encoder_objects, fleet_name


def encoder_children(observation: Observation, now: Rollout, images: Images) -> list[Object]:
    """A fleet for each fingerprint; one that must wait for room, and one that gateways still use, included."""
    index = observation.index
    # One that comes back is retained meanwhile, whatever it waits for.
    parts = [held.record for held in (now.book.active, now.book.previous) if held]
    if now.candidate and now.candidate.state is not State.PENDING:
        parts.insert(1, now.candidate.record)
    needed: dict[str, ReleaseRecord] = {}
    for record in parts:
        needed.setdefault(record.encoder.fingerprint(), record)
    needed |= {
        release.record.encoder.fingerprint(): release.record
        for release in now.retiring
        if release.waiting_for and release.record.encoder.fingerprint() not in needed
    }
    order = [f for f in fleet_order(now.book) if f in needed]
    everyone = [*order, *(f for f in needed if f not in order)]
    sizes = dict(fleets(index.spec, everyone, observation.allowed_encoders))
    if now.active:
        answering = now.active.record.encoder.fingerprint()
        sizes[answering] = warmed(sizes[answering], prewarm(observation).wanted)
    found: list[Object] = []
    for fingerprint, record in needed.items():
        spec_asks = fingerprint == now.wanted.encoder.fingerprint()
        source = encoder_source(index.spec) if spec_asks else record.source
        found += encoder_objects(index, record.encoder, source, images, sizes[fingerprint])
        found += scaler_objects(observation, fleet_name(index.name, fingerprint), sizes[fingerprint])
    return found
