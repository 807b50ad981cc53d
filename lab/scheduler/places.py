"""Where the files that an experiment is about lie: its workspace, and what lay beside its SPEC."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root


def workspace(root: Root, spec: Spec, view: View) -> str:
    """The folder of the code that an experiment is about, absolute; empty where its SPEC names none.

    A relative one is meant from where the SPEC lay when the experiment was made, else from where `create` was typed
    (as hermes-lab read it), else from the experiment's folder.
    """
    given = os.path.expanduser(spec.workspace_root)
    if not given or os.path.isabs(given):
        return given
    meant = [folder for folder in (view.created_from, view.created_in, root.layout.experiment(spec.id)) if folder]
    found = next((folder for folder in meant if os.path.isdir(f"{folder}/{given}")), meant[0])
    return os.path.normpath(f"{found}/{given}")


def folders(root: Root, view: View) -> tuple[str, ...]:
    """Where an experiment's own files are looked for: where its SPEC came from, and where its SPEC lies."""
    own = root.layout.experiment(view.experiment)
    return (view.created_from, own) if view.created_from else (own,)
