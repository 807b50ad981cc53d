"""Whether anybody listens at an address, found out before the SDK is given it.

The SDK keeps at a port where nobody is for minutes, silently, and holds a lock meanwhile that every later client of the
process waits for. A proxy stands between: then it is the SDK's to find out.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lab.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

FIX = "start it (labctl tinker serve-local), or look at base_url and the network"
_AGAIN_S = 0.25
_TRY_S = 2.0  # of the patient: between two tries it is looked whether to go on
_PORTS = {"http": 80, "https": 443}


def reach(
    url: str,
    limit_s: float,
    *,
    patient: bool = False,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda _words: None,
) -> None:
    """Return when somebody listens; `Unavailable` when nobody does. With `patient` only at the end of the limit.

    `check` is called before each try, and ends it by raising; `tell` once, with why there will be another.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return
    end_s = time.monotonic() + limit_s
    is_told = False
    while True:
        check()
        left_s = end_s - time.monotonic()
        try_s = min(left_s, _TRY_S) if patient else left_s
        try:
            with socket.create_connection((host, port), timeout=max(try_s, 0.1)):
                return
        except OSError as error:
            if not patient or left_s < _AGAIN_S:
                what = f"nobody answers at {host}, port {port}: {error.strerror or error}"
                raise Unavailable(what, where=url, fix=FIX) from error
            if not is_told:
                tell(f"waiting for {url}: {error.strerror or error}")
                is_told = True
        time.sleep(_AGAIN_S)
