"""Release snapshots to test with."""

from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot


def identity(revision: str = "1", dimension: int = 4) -> EncoderIdentity:
    """An encoder's identity; another revision is another fingerprint."""
    return EncoderIdentity(
        model="test/encoder",
        revision=revision,
        weights="artefact:sha256:" + "0" * 64,
        dimension=dimension,
        pooling="cls",
        max_tokens=64,
        precision="fp32",
        text_template="{title}",
    )


def snapshot(
    release: str = "r-00000001", encoder: EncoderIdentity | None = None, top_k: int = 100
) -> ReleaseSnapshot:
    """A snapshot whose addresses answer nobody: port 9 of the loopback."""
    encoder = encoder or identity()
    return ReleaseSnapshot(
        namespace="shop",
        index="products",
        release=release,
        fingerprint=encoder.fingerprint(),
        encoder=encoder,
        encoder_url="http://127.0.0.1:9",
        milvus=MilvusTarget(
            uri="http://127.0.0.1:9", collection="shop__products_" + release.replace("-", "_")
        ),
        catalogue=CatalogueTarget(url="http://127.0.0.1:9", index="products"),
        top_k=top_k,
    )
