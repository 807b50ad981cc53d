"""What a package of a code loop holds besides: the commit that a change begins at, its files, and what its maker reads.

The user's tree has no part in it: what an agent is shown is what its change is measured from.
"""

from __future__ import annotations

from collections.abc import Mapping  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.candidate import TRY
from lab.core.frontier import Start
from lab.core.loop import Node  # msgspec resolves annotations
from lab.core.package import INPUT
from lab.core.spec import Spec  # msgspec resolves annotations
from lab.executors import sandbox
from lab.scheduler import places
from lab.scheduler.dispatch import shown
from lab.scheduler.loop import brief, grounds, scripts

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.store.repository.repository import Repository
    from lab.store.root import Root

BRIEF, CANDIDATE, FOLDER = "BRIEF.md", "candidate.json", "code"


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change begins. `files` are those that it may change, as far as they fit; `left_out` names the rest."""

    node: Node
    spec: Spec  # as it is meant in the workspace: what measures is read-only, and scripts that lie there are commands
    brief: str
    files: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    def inputs(self) -> dict[str, bytes]:
        """As files of a package, by relative name."""
        spec = self.spec
        told = {
            "base": self.node.commit,
            "parent": self.node.run_id,
            "parent_value": self.node.value,
            "setup_command": spec.setup_command,
            "checks_command": spec.checks_command,
            "validation_command": spec.validation_command,
            "mutable_paths": list(spec.mutable_paths),
            "read_only_paths": list(spec.read_only_paths),
            "left_out": list(self.left_out),
        }
        found = {f"{INPUT}/{FOLDER}/{path}": text.encode() for path, text in self.files.items()}
        return {**found, f"{INPUT}/{BRIEF}": self.brief.encode(), f"{INPUT}/{CANDIDATE}": canonical.page(told)}


def packed(root: Root, spec: Spec, view: View, node: Node) -> Packed:
    """The beginning at this commit. `BadInput` when the workspace cannot carry a loop. `spec` is that of the tier."""
    where = places.workspace(root, spec, view)
    here = scripts.commands(spec, where)
    repo = grounds.opened(root, spec, where)
    files, left_out = _texts(repo, node.commit, here, scripts.hidden(here, where))
    text = brief.text(root, here, view, Start(kind=TRY, parent=node), workspace=where)
    return Packed(node=node, spec=here, brief=text, files=files, left_out=left_out)


def _texts(
    repo: Repository, commit: str, spec: Spec, hidden: tuple[str, ...]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The texts of a commit that may be changed. Without mutable_paths that is everything, and nothing is shown."""

    def wanted(path: str) -> bool:
        if path in hidden or path.startswith("../"):
            return False
        may = any(sandbox.matches(repo.workspace, path, each, exactly=True) for each in spec.mutable_paths)
        return may and not any(sandbox.matches(repo.workspace, path, each) for each in spec.read_only_paths)

    paths = sorted(repo.digests(commit, wanted)) if spec.mutable_paths else []
    return shown.fitted(paths, lambda path: repo.read(commit, path))
