"""The encoder fleet of one fingerprint: Deployment, Service, PodDisruptionBudget; scaler.py has what scales it."""

from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import EncoderSource

from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.capacity import Fleet
from search_operator.render.child import Images, Object, child, labels
from search_operator.render.model_server import artefact_of, model_server_pod
from search_operator.render.workload import disruption_budget, service, spread

MODEL_DIR = "/models"
FINGERPRINT_LABEL = "semanticsearch.io/fingerprint"


def encoder_name(index: str, identity: EncoderIdentity) -> str:
    """One Deployment and Service per fingerprint, so that two encoders never hide behind one name."""
    return fleet_name(index, identity.fingerprint())


def fleet_name(index: str, fingerprint: str) -> str:
    """The same, where only the fingerprint (sha256:...) is known."""
    return f"{index}-encoder-{fingerprint[7:15]}"


def encoder_url(index: SemanticSearchIndex, identity: EncoderIdentity) -> str:
    """Where gateways and jobs of this index find the encoder."""
    return f"http://{encoder_name(index.name, identity)}.{index.namespace}.svc:80"


def encoder_objects(
    index: SemanticSearchIndex,
    identity: EncoderIdentity,
    source: EncoderSource,
    images: Images,
    fleet: Fleet,
) -> list[Object]:
    """One fleet. `replicas` is its scaler's alone; a fleet that must be empty has none of either."""
    name = encoder_name(index.name, identity)
    selector = labels(index.name, "encoder") | {FINGERPRINT_LABEL: identity.fingerprint()[7:15]}
    deployment = {
        "spec": {
            **({} if fleet.maximum else {"replicas": 0}),
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(index)},
            "template": {
                "metadata": {"labels": selector},
                "spec": _pod(index, identity, source, images, selector),
            },
        }
    }
    return [
        child(index, "apps/v1", "Deployment", name, "encoder", deployment),
        service(index, name, "encoder", selector),
        disruption_budget(index, name, "encoder", selector),
    ]


def _rolling_update(index: SemanticSearchIndex) -> Object:
    # A surge pod would wait for a GPU that the fleet itself holds.
    if index.spec.encoder.accelerator.count:
        return {"maxSurge": 0, "maxUnavailable": 1}
    return {"maxSurge": 1, "maxUnavailable": 0}


def _pod(
    index: SemanticSearchIndex,
    identity: EncoderIdentity,
    source: EncoderSource,
    images: Images,
    selector: dict[str, str],
) -> Object:
    encoder = index.spec.encoder
    artefact = artefact_of(source, MODEL_DIR)
    return model_server_pod(
        index.name,
        "encoder",
        images,
        given_image=source.image,
        artefact=artefact,
        resources=encoder.resources,
        accelerator=encoder.accelerator,
        variables={
            "ENCODER_IDENTITY": identity.model_dump_json(),
            "MODEL_DIR": artefact.directory,
            "MAX_BATCH_SIZE": encoder.batching.max_batch_size,
            "MAX_BATCH_TOKENS": encoder.batching.max_batch_tokens,
        },
        spread=spread(selector, "kubernetes.io/hostname", "topology.kubernetes.io/zone"),
    )
