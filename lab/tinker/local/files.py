"""The files of what was saved for taking away: links that carry their own permission for an hour, and what is behind.

A link names a checkpoint and one of its files and is signed: whoever holds it reads that file and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from lab.tinker.local import disk
from lab.tinker.local.calls import BYTES, Call, Refusal, Reply, answer, when
from lab.tinker.local.checkpoints import RECORD

if TYPE_CHECKING:
    from lab.tinker.local.checkpoints import Checkpoints

VALID_S = 3600
_EXTERNAL = ("external_weights",)


class Files:
    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._key = secrets.token_bytes(32)  # a link does not outlive the server; the client asks for new ones

    def urls(self, call: Call) -> Reply:
        run_id, kind, name = call.arguments
        found = self._checkpoints.find(f"tinker://{run_id}/{kind}/{name}", _EXTERNAL)
        ends = int(time.time()) + VALID_S
        start = f"http://{call.headers['host']}/api/v1/_files"
        urls = {}
        for file in disk.files_in(self._checkpoints.folder_of(found)):
            if file != RECORD:
                signed = f"{run_id}/{kind}/{name}/{file}"
                urls[file] = f"{start}/{ends}/{self._sign(ends, signed)}/{quote(signed)}"
        return answer(urls=urls, expires=when(ends))

    def download(self, call: Call) -> Reply:
        ends, signature, run_id, kind, name, file = call.arguments
        asked = f"{run_id}/{kind}/{name}/{file}"
        if not ends.isdecimal() or not hmac.compare_digest(signature, self._sign(int(ends), asked)):
            raise Refusal(403, "this link was not given out by this server; ask for the links again")
        if int(ends) < time.time():
            raise Refusal(403, "this link has expired; ask for the links again")
        folder = self._checkpoints.folder_of(self._checkpoints.find(f"tinker://{run_id}/{kind}/{name}", _EXTERNAL))
        if file not in disk.files_in(folder):
            raise Refusal(404, f"there is no file {file} in it")
        return Reply(kind=BYTES, file=f"{folder}/{file}")

    def _sign(self, ends: int, text: str) -> str:
        return hmac.new(self._key, f"{ends}/{text}".encode(), hashlib.sha256).hexdigest()
