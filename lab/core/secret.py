"""The forms in which a secret may come out again, for whoever blots them out of what is kept."""

from __future__ import annotations

BLOT = "[redacted]"
SHORTEST = 4  # bytes; a shorter value would blot out half of every log and give nothing away


def forms(secret: str) -> set[bytes]:
    """The value as it is, as JSON and a URL carry it, and as base64 writes it when it stands alone."""
    import base64  # noqa: PLC0415  # with the next ones 3 ms, and most runs have no secrets
    import json  # noqa: PLC0415  # as above
    from urllib.parse import quote_from_bytes  # noqa: PLC0415  # as above

    value = secret.strip().encode(errors="surrogateescape")
    if len(value) < SHORTEST:
        return set()
    spelt = {
        json.dumps(secret.strip(), ensure_ascii=plain)[1:-1].encode(errors="surrogateescape") for plain in (True, False)
    }
    encoded = {base64.b64encode(value).rstrip(b"="), base64.urlsafe_b64encode(value).rstrip(b"=")}
    return {value, quote_from_bytes(value).encode(), quote_from_bytes(value, safe="").encode(), *spelt, *encoded}
