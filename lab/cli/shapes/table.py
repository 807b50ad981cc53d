"""verb -> what its `data` can be. Several where a verb does several things."""

from __future__ import annotations

from lab.cli.shapes import keep, look, loops, pursue, remote, run, start, steer, talk, work
from lab.projections.autoresearch_summary import Summary
from lab.projections.standing import Standing
from lab.research.paper import exporting
from lab.research.projects import said
from lab.research.projects.making import Made
from lab.research.projects.overview import Overview, Projects
from lab.scheduler.results.chains import Chained, LabChains
from lab.scheduler.results.compared import Compared
from lab.scheduler.results.costs import Cost, LabCost
from lab.scheduler.results.evals import Evals
from lab.scheduler.results.foreseen import Estimated
from lab.scheduler.results.tailed import Tail
from lab.scheduler.search.board import Board

JsonSchema = dict[str, object]
ANYTHING = (JsonSchema,)  # what is said of a verb that has no line here yet; a test asks for the line

SHAPES: dict[str, tuple[object, ...]] = {
    "labctl": (talk.Overview, talk.Version),
    "init": (start.Initialized,),
    "create": (start.Created, start.Templates),
    "validate": (start.Valid, start.ValidEngines, JsonSchema),
    "space": (start.SpaceShown, start.SpaceSample),
    "import-root": (start.RootImported,),
    "import": (start.StudyImported,),
    "autoresearch": (
        loops.Started,
        Summary,
        loops.Exported,
        loops.Brought,
        loops.Resumed,
        loops.Finalized,
    ),
    "run-once": (run.Turn,),
    "burst": (run.Burst,),
    "guided": (run.Guided,),
    "swarm": (run.Swarm,),
    "try": (loops.HandedOut, loops.Judged, loops.Trees, loops.Dropped),
    "mutate": (run.Mutated,),
    "replay": (run.Replay,),
    "research": (
        Made,
        Overview,
        Projects,
        said.Told,
        pursue.ProjectChecked,
        pursue.ProjectRan,
        pursue.ProjectApproved,
        pursue.ProjectPublished,
        pursue.PhaseWorked,
        exporting.Exported,
    ),
    "paper": (pursue.PaperVerified,),
    "tinker": (
        remote.RemoteChecked,
        Chained,
        LabChains,
        remote.Checkpoints,
        remote.Downloaded,
        Estimated,
        remote.ServedLocally,
        remote.TinyModel,
    ),
    "status": (look.Lab,),
    "list": (look.Experiments, look.Runs),
    "show": (look.Experiment, look.SealedRun, look.OpenRun),
    "context": (Standing,),
    "watch": (look.Watched,),
    "tail": (Tail,),
    "best": (look.Recommended,),
    "top": (look.Top,),
    "params": (look.Given,),
    "compare": (Compared,),
    "evals": (Evals,),
    "board": (Board,),
    "cost": (Cost, LabCost),
    "metrics": (look.Metrics,),
    "report": (look.Reported,),
    "plot": (look.Plotted,),
    "export": (look.Exported,),
    "serve": (look.Served,),
    "digest": (look.Digest,),
    "weekly-digest": (look.Digest,),
    "pause": (steer.Moved,),
    "resume": (steer.Moved,),
    "complete": (steer.Moved,),
    "set-fidelity": (steer.Tiered,),
    "propose": (steer.Proposed,),
    "approvals": (steer.Approvals,),
    "approve": (steer.Approved,),
    "reject": (steer.Rejected,),
    "cancel": (steer.Cancelled,),
    "steer": (steer.Steered,),
    "notify": (steer.Notices, steer.Rehearsed),
    "archive": (steer.Moved,),
    "dispatch-ready": (work.Queued,),
    "dispatch-claim": (work.Claimed,),
    "dispatch-work": (work.Completed, work.DoneApart),
    "dispatch-renew": (work.Renewed,),
    "dispatch-complete": (work.Complete,),
    "dispatch-ingest": (work.Ingested,),
    "dispatch-agent-next": (work.Task, work.Nothing),
    "dispatch-agent-submit": (work.Submitted,),
    "dispatch-pack": (work.Packed,),
    "dispatch-unpack": (work.Unpacked,),
    "exec": (work.Performed,),
    "worker": (work.Worked,),
    "courier": (work.Carried,),
    "doctor": (keep.CheckedUp,),
    "watchdog": (keep.Watch,),
    "recover": (keep.Recovered,),
    "verify": (keep.Verified,),
    "refresh": (keep.Refreshed,),
    "lease": (keep.Claims, keep.Broken),
    "schedule": (keep.Planned, keep.InPlace, keep.Unscheduled),
    "prune": (keep.Pruned, keep.Restored),
    "mcp": (talk.McpInstalled, talk.McpServed),
    "schema": (JsonSchema, keep.Schemas),
    "explain": (keep.Codes,),
    "skills": (talk.Skills, talk.SkillShown, talk.SkillsJudged, talk.SkillsInstalled),
    "completion": (keep.Script,),
}
