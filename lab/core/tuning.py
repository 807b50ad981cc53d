"""What `tinker:` in a SPEC says: a model that is trained through the Tinker API, and how it is cut into chunks.

A key is given by the name of its variable, never by its value: a SPEC is sealed, copied and mailed.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

LOCAL_PORT = 8766  # next to that of `labctl serve`
LOCAL_URL = f"http://127.0.0.1:{LOCAL_PORT}"  # where `labctl tinker serve-local` listens unless it is told otherwise
LOCAL_KEY = "tml-local"  # what a local server is shown where nobody gave a key: it asks for no more than the prefix
Price = Annotated[float, Meta(ge=0, le=1e6)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine for sure: no name that only looks like it, and nothing before the name."""
    from ipaddress import ip_address  # noqa: PLC0415  # every reader of a SPEC would pay for it
    from urllib.parse import urlsplit  # noqa: PLC0415  # as above

    try:
        parts = urlsplit(url)
        host = "" if "@" in parts.netloc or "\\" in url else parts.hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the address answers, and what it costs, is found out when it is asked."""

    base_url: Annotated[str, Meta(description=f"Address of the service; blank is the local server, {LOCAL_URL}.")] = ""
    base_model: Annotated[str, Meta(description="The model to train, as the service names it.")] = ""
    tokenizer: Annotated[
        str,
        Meta(
            description="Folder with its tokenizer.json; relative to the workspace or the SPEC. Blank asks the service."
        ),
    ] = ""
    steps: Annotated[Count, Meta(description="Optimizer steps of the whole training.")] = 100
    chunk_steps: Annotated[
        Count, Meta(description="Optimizer steps of one run, at most; the next run goes on where it ended.")
    ] = 20
    kl_limit: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Pause where a step's `kl` was above this: the policy has run away from what sampled for it."),
    ] = None
    review: Annotated[
        bool,
        Meta(
            description="Let the model of `llm` review each chunk and propose the next one's parameters in the space."
        ),
    ] = False
    usd_per_mtok_train: Annotated[Price | None, Meta(description="Price of a million tokens that are trained on.")] = (
        None
    )
    usd_per_mtok_sample: Annotated[Price | None, Meta(description="Price of a million tokens that are sampled.")] = None
    usd_per_mtok_prefill: Annotated[
        Price | None, Meta(description="Price of a million tokens that are only read: prompts, and forward passes.")
    ] = None
    call_limit_s: Annotated[
        Annotated[float, Meta(gt=0, le=86_400)],
        Meta(description="Seconds that one answer of the service may take; a dead one never says that it is."),
    ] = 300.0
    keep_days: Annotated[
        Annotated[float, Meta(gt=0, le=3650)] | None,
        Meta(description="Days that the service keeps a state that two newer ones follow; the newest two have no end."),
    ] = None

    @property
    def url(self) -> str:
        """The address that is asked."""
        return (self.base_url or LOCAL_URL).rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine. Any other is taken for one that is paid for."""
        return is_loopback(self.url)

    @property
    def is_priced(self) -> bool:
        """Whether money can be told from tokens."""
        return None not in (self.usd_per_mtok_train, self.usd_per_mtok_sample, self.usd_per_mtok_prefill)

    def usd(self, trained: int, sampled: int, prefilled: int) -> float:
        """What so many tokens cost; a price that is not given counts as nothing."""
        pairs = (
            (trained, self.usd_per_mtok_train), (sampled, self.usd_per_mtok_sample),
            (prefilled, self.usd_per_mtok_prefill),
        )  # fmt: skip
        return sum(count * (price or 0.0) for count, price in pairs) / 1e6
