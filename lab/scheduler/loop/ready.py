"""Whether a code loop can run at all: told before a run is claimed for it, and when it is made.

A run that fails for its workspace teaches nothing, and three of them in a night end the experiment.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.executors import environment, interpreter
from lab.scheduler.agents import door as agents
from lab.scheduler.loop import grounds, scripts
from lab.store.repository import repository

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

_TRAINS = re.compile(r"(?:^|[\s'\"])(python3?)\s+([\w.-]+\.py)\b")
_IMPORTS_TORCH = re.compile(r"^\s*(?:import|from) torch\b", re.MULTILINE)


def require(root: Root, spec: Spec, view: View, workspace: str, *, proposes: bool) -> None:
    """`BadInput` for a loop that cannot run. `proposes` when the run is to make its change itself.

    The workspace of a loop that has just run is not looked at again, unless it has to be clean: to look is some git.
    """
    spec = scripts.commands(spec, workspace)
    scripts.require_measured(spec)
    _require_writable(spec)
    is_begun = view.loop is not None and view.loop.base is not None
    if spec.require_clean_workspace or not is_begun or view.last is None or not view.last.verdict:
        repository.require(
            root.files,
            workspace,
            own=grounds.own_repository(root, spec.id),
            mode=spec.workspace_mode,
            clean=grounds.clean(spec),
            apart=grounds.apart(root),
        )
    if proposes and not spec.mutation_command and spec.agent_provider and scripts.has_proposer(spec):
        _require_agent(spec, (workspace, root.layout.experiment(spec.id)))


def doubt(root: Root, spec: Spec, folder: str) -> str:
    """Why a loop that was just made would not run, in words; empty where nothing is wrong, or cannot be seen yet.

    `folder` is where its SPEC lay.
    """
    workspace = os.path.normpath(os.path.join(folder, os.path.expanduser(spec.workspace_root)))
    if not scripts.is_loop(spec) or not spec.workspace_root or not os.path.isdir(workspace):
        return ""
    spec = scripts.renamed(spec)
    try:
        repository.require(
            root.files,
            workspace,
            own=grounds.own_repository(root, spec.id),
            mode=spec.workspace_mode,
            clean=grounds.clean(spec),
            apart=grounds.apart(root),
        )
        _require_writable(spec)
        if not spec.mutation_command and spec.agent_provider and scripts.has_proposer(spec):
            _require_agent(spec, (workspace, folder))
    except LabError as refusal:
        return f"it would not run: {refusal.what}" + (f"; {refusal.fix}" if refusal.fix else "")
    return ""


def torchless(root: Root, spec: Spec, folder: str) -> str:
    """Why the Python that the commands of a loop take cannot train, in words; empty where nothing like it is seen.

    Looked at are commands that begin a script of the workspace which imports torch by `python` or `python3`.
    """
    workspace = os.path.normpath(os.path.join(folder, os.path.expanduser(spec.workspace_root)))
    found = _TRAINS.search(spec.validation_command)
    if (
        not spec.workspace_root
        or not found
        or not _IMPORTS_TORCH.search(interpreter.text_of(f"{workspace}/{found[2]}"))
    ):
        return ""
    seen = environment.given(spec, root.world.environ)
    python = shutil.which(found[1], path=seen.get("PATH") or os.defpath)
    fix = "activate the environment that has it before labctl burst, or name its Python in the commands of the SPEC"
    if python is None:
        return f"it would not run here: there is no {found[1]} on PATH; {fix}"
    try:
        missing = interpreter.of(python, seen).missing
    except LookupError:
        return f"it would not run here: {found[1]} is {python}, which has no torch; {fix}"
    if missing:
        return f"it may not run here: {python} has no {' and no '.join(missing)}: pip install 'labctl[train]' into it"
    return ""


def _require_writable(spec: Spec) -> None:
    """A step could not write to what is not there, and would fail in words of its own."""
    for given in spec.writable_paths:
        if not os.path.exists(os.path.expanduser(given)):
            fix = f"mkdir -p {given}, or correct writable_paths in SPEC.yaml"
            raise BadInput(f"writable_paths of {spec.id} has {given}, which is not there", fix=fix)


def _require_agent(spec: Spec, folders: tuple[str, ...]) -> None:
    try:
        agents.find(spec.agent_provider, "", folders)
    except LabError as unknown:
        fix = unknown.fix or "labctl doctor --agents shows those that there are"
        raise BadInput(f"agent_provider of {spec.id}: {unknown.what}", fix=fix) from unknown
