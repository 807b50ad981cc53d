"""Where the files that an experiment is about lie: its workspace, and what lay beside its SPEC."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root


def workspace(root: Root, spec: Spec, view: View) -> str:
    """The folder of the code that an experiment is about, absolute; empty where its SPEC names none.

    A relative one is meant from where the SPEC lay when the experiment was made, else from where `create` was typed
    (as hermes-lab read it); of an experiment that came with a folder of runs, from there. Once the first is gone, no
    other is taken for it: a loop would go on with other code, and nobody would know.
    """
    given = os.path.expanduser(spec.workspace_root)
    if not given or os.path.isabs(given):
        return given
    meant = [folder for folder in (view.created_from, view.created_in) if folder]
    meant = meant or [root.layout.experiment(spec.id)]
    known = meant if os.path.isdir(meant[0]) else meant[:1]
    found = next((folder for folder in known if os.path.isdir(f"{folder}/{given}")), meant[0])
    return os.path.normpath(f"{found}/{given}")


def require_code(spec: Spec, workspace: str) -> None:
    """Refuse a code loop without code."""
    if not workspace:
        fix = "name the folder of the code as workspace_root in SPEC.yaml"
        raise BadInput(f"{spec.id} is a code loop without code", fix=fix)
    if not os.path.isdir(workspace):
        fix = "put it back, or say where it is now: workspace_root in SPEC.yaml"
        raise BadInput(f"the workspace of {spec.id} is not there", where=workspace, fix=fix)


def require_fence(lab: str, spec: Spec, workspace: str) -> None:
    """Refuse to let the commands of a candidate write where what judges it lies: into the lab, or into the workspace.

    Links are followed. A folder around one of them is as bad as a folder in it.
    """
    for given in spec.writable_paths:
        path = os.path.realpath(os.path.expanduser(given))
        for kept, name in ((lab, "the lab"), (workspace, "the workspace")):
            there = os.path.realpath(kept) if kept else ""
            if there and (there == path or there.startswith(f"{path}/") or path.startswith(f"{there}/")):
                what = f"writable_paths of {spec.id} has {given}, and {name} lies there"
                raise BadInput(what, where=there, fix="name a folder that is apart from the lab and the workspace")


def folders(root: Root, view: View) -> tuple[str, ...]:
    """Where an experiment's own files are looked for: where its SPEC came from, and where its SPEC lies."""
    own = root.layout.experiment(view.experiment)
    return (view.created_from, own) if view.created_from else (own,)
