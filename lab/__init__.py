"""A file-first research lab, from Python: open a lab, make an experiment, run it, read what came of it.

    >>> import lab
    >>> home = lab.Lab()
    >>> sweep = home["lr-sweep"]
    >>> sweep.run(20)
    >>> sweep.best().params

The names below are all that is promised; modules inside the package may change with any release. Importing `lab` loads
nothing: each name is loaded when it is first used, for this module is on the path of every command.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.api.burst import Burst as Burst
    from lab.api.experiment import Experiment as Experiment
    from lab.api.home import Lab as Lab
    from lab.api.opened import LabWarning as LabWarning
    from lab.api.run import Run as Run
    from lab.api.table import Table as Table
    from lab.api.trial import Trial as Trial
    from lab.core.errors import BadInput as BadInput
    from lab.core.errors import Busy as Busy
    from lab.core.errors import Corrupt as Corrupt
    from lab.core.errors import Exhausted as Exhausted
    from lab.core.errors import LabError as LabError
    from lab.core.errors import NotFound as NotFound
    from lab.core.errors import Superseded as Superseded
    from lab.core.errors import Unavailable as Unavailable
    from lab.core.version import __version__ as __version__

__all__ = (
    "BadInput",
    "Burst",
    "Busy",
    "Corrupt",
    "Exhausted",
    "Experiment",
    "Lab",
    "LabError",
    "LabWarning",
    "NotFound",
    "Run",
    "Superseded",
    "Table",
    "Trial",
    "Unavailable",
    "__version__",
)

_WHERE = {
    "Burst": "lab.api.burst",
    "Experiment": "lab.api.experiment",
    "Lab": "lab.api.home",
    "LabWarning": "lab.api.opened",
    "Run": "lab.api.run",
    "Table": "lab.api.table",
    "Trial": "lab.api.trial",
    "BadInput": "lab.core.errors",
    "Busy": "lab.core.errors",
    "Corrupt": "lab.core.errors",
    "Exhausted": "lab.core.errors",
    "LabError": "lab.core.errors",
    "NotFound": "lab.core.errors",
    "Superseded": "lab.core.errors",
    "Unavailable": "lab.core.errors",
    "__version__": "lab.core.version",
}

if not TYPE_CHECKING:  # else every name would be known to a type checker, the misspelt ones too

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used."""
        if name not in _WHERE:
            message = f"module 'lab' has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module  # noqa: PLC0415  # this module imports nothing before it is asked

        found = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_WHERE})
