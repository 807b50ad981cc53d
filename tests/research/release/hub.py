"""A double of the Hugging Face hub on the loopback: repositories, commits and pull requests, kept in memory.

It takes what `huggingface_hub` sends, and keeps every byte of it. Files are all taken inline, none by LFS or Xet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

TOKEN = "hub-double-letmein"  # noqa: S105  # of nobody
WHEN = "2026-11-30T00:00:00.000Z"


class Repo:
    def __init__(self, *, private: bool) -> None:
        self.private = private
        self.branches: dict[str, list[dict[str, Any]]] = {"main": []}
        self.requests: list[dict[str, Any]] = []

    def head(self, branch: str = "main") -> dict[str, bytes]:
        commits = self.branches[branch]
        return commits[-1]["files"] if commits else {}

    def at(self, commit: str) -> dict[str, bytes]:
        made = (each for commits in self.branches.values() for each in commits if each["id"] == commit)
        return next((each["files"] for each in made), {})

    def commit(self, branch: str, title: str, message: str, files: dict[str, bytes]) -> str:
        commits = self.branches.setdefault(branch, [*self.branches["main"]])
        kept = {**(commits[-1]["files"] if commits else {}), **files}
        oid = hashlib.sha1(f"{branch}{len(commits)}{title}".encode()).hexdigest()  # noqa: S324
        commits.append({"id": oid, "title": title, "message": message, "date": WHEN, "authors": [], "files": kept})
        return oid


class Hub:
    """`refuse` is a status that commits are answered with; `drop_answer` takes a commit and hangs up."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.received: list[str] = []  # of every request with a body: what it was for
        self.refuse = 0
        self.drop_answer = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(.*))?", path)
        repo = self.hub.repos.get(found[1]) if found else None
        if found is None or repo is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        rest = found[2] or ""
        if rest.startswith("commits/"):
            branch = rest.removeprefix("commits/").replace("%2F", "/")
            commits = [{k: v for k, v in each.items() if k != "files"} for each in repo.branches.get(branch, [])]
            self._answer(200, commits[::-1])
        elif rest.startswith("tree/"):
            files = repo.at(rest.removeprefix("tree/").partition("/")[0])
            self._answer(200, [
                {"type": "file", "path": name, "size": len(data),
                 "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}  # noqa: S324
                for name, data in files.items()
            ])  # fmt: skip
        elif rest == "discussions":
            self._answer(200, {"discussions": repo.requests, "count": len(repo.requests), "start": 0})
        else:
            commits = repo.branches["main"]
            sha = commits[-1]["id"] if commits else None
            names = [{"rfilename": name} for name in repo.head()]
            self._answer(200, {"id": found[1], "private": repo.private, "sha": sha, "siblings": names, "tags": []})

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
            return
        path, _, query = self.path.partition("?")
        if path == "/api/validate-yaml":
            self._answer(200, {"warnings": [], "errors": []})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            self.hub.received.append(f"create {name}")
            self.hub.repos[name] = Repo(private=private)
            self.hub.repos[name].commit("main", "initial commit", "", {".gitattributes": b""})
            self._answer(200, {"url": f"{self.hub.url}/{name}", "name": name})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self.hub.received.append("preupload")
            told = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in files]
            self._answer(200, {"files": told})
        else:
            self._commit(path, query, body)

    def _commit(self, path: str, query: str, body: bytes) -> None:
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^?]+)", path)
        assert found is not None, path
        if self.hub.refuse:
            self._answer(self.hub.refuse, {"error": "refused"})
            return
        self.hub.received.append("commit")
        repo, files, head = self.hub.repos[found[1]], {}, {}
        for row in map(json.loads, body.splitlines()):
            if row["key"] == "header":
                head = row["value"]
            else:
                files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
        branch, number = "main", 0
        if "create_pr=1" in query:
            number = len(repo.requests) + 1
            branch = f"refs/pr/{number}"
            repo.requests.append({
                "num": number, "title": head["summary"], "status": "draft", "isPullRequest": True,
                "author": {"name": "me"}, "createdAt": WHEN, "repo": {"name": found[1], "type": "model"},
            })  # fmt: skip
        oid = repo.commit(branch, head["summary"], head.get("description", ""), files)
        if self.hub.drop_answer:
            self.close_connection = True
            self.connection.close()
            return
        told = {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{found[1]}/commit/{oid}"}
        self._answer(
            200, told | ({"pullRequestUrl": f"{self.hub.url}/{found[1]}/discussions/{number}"} if number else {})
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline().strip(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, code: int, what: object, more: dict[str, str] | None = None) -> None:
        data = json.dumps(what).encode()
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass
