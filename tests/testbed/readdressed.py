"""A release whose parts are reached through something that stands in front of them: a cable, or a proxy of faults."""

from collections.abc import Mapping

from search_plane.release.record import ReleaseSnapshot


def urls_of(snapshot: ReleaseSnapshot) -> dict[str, str]:
    """Where each part is, by its name."""
    return {
        "encoder": snapshot.encoder_url,
        "milvus": snapshot.milvus.uri,
        "elasticsearch": snapshot.catalogue.url,
    }


def readdressed(snapshot: ReleaseSnapshot, addresses: Mapping[str, str]) -> ReleaseSnapshot:
    """The same release with each part at another address (`127.0.0.1:PORT`), by the part's name."""
    urls = {part: f"http://{address}" for part, address in addresses.items()}
    return snapshot.model_copy(
        update={
            "encoder_url": urls["encoder"],
            "milvus": snapshot.milvus.model_copy(update={"uri": urls["milvus"]}),
            "catalogue": snapshot.catalogue.model_copy(update={"url": urls["elasticsearch"]}),
        }
    )
