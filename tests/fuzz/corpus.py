"""Inputs that once broke a promise, each by the target that it broke it at. They stay, and are tried first."""

from __future__ import annotations

from scripts.trial.fuzzing import packages

NEST = b"[" * 1_500
RUN = b"RUN-20261130-053300-000000-a"
ONCE: dict[str, tuple[bytes, ...]] = {
    "spec": (b"shel\r&a l: tue",),  # YAML counts a line more than a text has that is cut at line feeds
    "space": (b"a\r&a l: 1: 2",),
    "peers": (b'{"type": "run", "status": [0], "run": 1}', b'{"type": "config", "name": "n", "status": []}'),
    "config": (b"\x01a: !!bool x", b"\x01a: !!timestamp x", b'\x01a: !!int ""', b'\x01a: !!float ""'),
    "clients": (b"\x03!!int ''", b"\x03a: !!bool x", b"\x03a: &a [*a]\n"),
    "data": (b"\x00x\n1e308\n1e308\n1e308\n",),
    "results": (b'\x02{"out": "o", "model": "m", "tasks": [], "metric\xab": 1}', b'\x02{"x": ' + NEST),
    "hermes": (
        b'\x00{"a": ' + NEST, b'\x01{"a": ' + NEST, b'\x01{"created_at": "0001-01-01T00:00:00+14:00"}',
        b'\x02{"run_id": "' + RUN + b'", "status": "failed", "started_at": "0001-01-01T00:00:00+14:00"}',
        b'\x03{"value": ' + b"9" * 400 + b"}", b'\x03{"value": ' + NEST,
    ),
    "workspace": (NEST,),
    "engines": (b'\x03{"submission_id": ' + NEST,),
    "tar": (*packages._BAD,),  # a name too long, a file that is a folder, a size of no number, ...
    "patch": (b'--- "b/\\442"\n@@ -0,0 +1 @@\n+a\n',),
    "training-http": (
        b"POST /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    "bibtex": (b"@article{a}\n" * 300, b"@a{k, title = {" + b"- " * 400 + b"}}"),
    "addresses": (b"\x00http://~/\x82",),
    "pages": (b'\x06{"place": "\xe2\x82\xac", "commit": "a"}', b"\x06" + NEST),
}  # fmt: skip
