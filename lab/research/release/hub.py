"""Sending to the Hugging Face hub: one commit of exactly the listed files, from the bytes that were looked at.

A repository that is not there is made, private, and gets it as its first commit; so does one that is private and has
nothing in it. To any other the release comes as a pull request, which everybody sees who sees the repository. What an
earlier attempt left is known by the digest in its message and by its files: another's commit that says so is none.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput, Busy, Unavailable
from lab.research.release import manifest
from lab.research.release.pushing import Sent
from lab.research.release.scanning import INSTALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    from lab.research.release.manifest import Release

_OF_NEW = frozenset((".gitattributes",))  # what the hub itself puts into a repository
_MOST_COMMITS = 10_000


def send(release: Release, sha256: str, contents: Mapping[str, bytes], *, token: str, endpoint: str) -> Sent:
    """Send it, or find that it is there."""
    api = _api(token, endpoint)
    with _told(release):
        return _Sending(api, release, sha256).done(contents)


def _api(token: str, endpoint: str) -> HfApi:
    try:
        from huggingface_hub import HfApi  # noqa: PLC0415  # of an extra, and half a second
    except ImportError as error:
        raise Unavailable("sending to the hub needs huggingface_hub", fix=INSTALL) from error
    return HfApi(endpoint=endpoint or None, token=token, library_name="labctl")


@contextmanager
def _told(release: Release) -> Iterator[None]:
    """What goes wrong, in words."""
    from huggingface_hub import errors  # noqa: PLC0415  # as above
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415  # as above

    unreached: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of the client that it uses by now

    refused = (401, 403)
    try:
        yield
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in refused:
            fix = "set the token of an account that may write there: publish.token names its variable"
            raise BadInput(f"the hub refuses the token ({code})", where=release.destination, fix=fix) from error
        if code in (409, 412):
            what = "the repository was changed meanwhile, and nothing was sent over it"
            raise Busy(what, where=release.destination, fix="run it again: it is looked at anew") from error
        raise Unavailable(f"the hub answered {code}", where=release.destination, fix="try again later") from error
    except unreached as error:
        what = f"the hub could not be reached: {type(error).__name__}"
        raise Unavailable(what, where=release.destination, fix="try again later; HF_ENDPOINT names another") from error
    except HFValidationError as error:
        raise BadInput(f"the hub has no such name: {release.destination}", fix="publish.repo") from error


class _Sending:
    def __init__(self, api: HfApi, release: Release, sha256: str) -> None:
        self._api, self._release, self._sha256 = api, release, sha256
        self._repo, self._type = release.destination, release.repo_type or "model"
        self._title, self._body = manifest.message(release, sha256)

    def done(self, contents: Mapping[str, bytes]) -> Sent:
        from huggingface_hub import CommitOperationAdd  # noqa: PLC0415  # as above

        head, is_new = self._there()
        found = self._found(contents) if head else None
        if found is not None:
            return found
        made = self._api.create_commit(
            self._repo,
            [CommitOperationAdd(path_in_repo=path, path_or_fileobj=data) for path, data in sorted(contents.items())],
            commit_message=self._title,
            commit_description=self._body,
            repo_type=self._type,
            create_pr=not is_new,
            parent_commit=head or None if is_new else None,
        )
        return Sent(commit=made.oid, url=made.pr_url or made.commit_url)

    def _there(self) -> tuple[str, bool]:
        """The newest commit, and whether nobody has or sees anything there; the repository is made where it lacks."""
        if not self._api.repo_exists(self._repo, repo_type=self._type):
            sdk = "static" if self._type == "space" else None
            self._api.create_repo(self._repo, private=True, repo_type=self._type, space_sdk=sdk)
        about = self._api.repo_info(self._repo, repo_type=self._type)
        names = {each.rfilename for each in getattr(about, "siblings", None) or ()}
        return about.sha or "", names <= _OF_NEW and bool(about.private)

    def _found(self, contents: Mapping[str, bytes]) -> Sent | None:
        """What an earlier attempt left: a commit, or a pull request."""
        for number, each in enumerate(self._api.list_repo_commits(self._repo, repo_type=self._type)):
            if self._is_ours(f"{each.title}\n{each.message}") and self._has(each.commit_id, contents):
                return Sent(commit=each.commit_id, url=self._url(f"commit/{each.commit_id}"), found=True)
            if number > _MOST_COMMITS:
                break
        for asked in self._api.get_repo_discussions(
            self._repo, repo_type=self._type, discussion_type="pull_request", discussion_status="all"
        ):
            if asked.title == self._title and asked.status != "closed":
                commit = self._of_request(asked.num)
                if commit and self._has(commit, contents):
                    return Sent(commit=commit, url=asked.url, found=True)
        return None

    def _of_request(self, number: int) -> str:
        """The newest commit of a pull request that is this release."""
        commits = self._api.list_repo_commits(self._repo, repo_type=self._type, revision=f"refs/pr/{number}")
        return next((each.commit_id for each in commits if self._is_ours(f"{each.title}\n{each.message}")), "")

    def _has(self, commit: str, contents: Mapping[str, bytes]) -> bool:
        """Whether that commit has these very files, by size and digest; more may be there, of whoever was before."""
        from huggingface_hub.hf_api import RepoFile  # noqa: PLC0415  # as above

        listed = self._api.list_repo_tree(self._repo, recursive=True, revision=commit, repo_type=self._type)
        there = {each.path: each for each in listed if isinstance(each, RepoFile)}
        return all(path in there and _is_same(there[path], data) for path, data in contents.items())

    def _is_ours(self, message: str) -> bool:
        return f"{manifest.TRAILER}: {self._sha256}" in message

    def _url(self, rest: str) -> str:
        above = {"model": "", "dataset": "datasets/", "space": "spaces/"}[self._type]
        return f"{self._api.endpoint}/{above}{self._repo}/{rest}"


def _is_same(there: RepoFile, data: bytes) -> bool:
    if there.size != len(data):
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == canonical.digest(data))
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324  # git's name for it
