"""Every place where bytes from outside are read: one table, for the long program and for the tests."""

from __future__ import annotations

from scripts.trial.fuzzing import doors, models, own_files, packages, research, runs, strangers

TARGETS = {
    each.name: each
    for each in (
        *own_files.TARGETS, *runs.TARGETS, *packages.TARGETS, *strangers.TARGETS, *models.TARGETS,
        *research.TARGETS, *doors.TARGETS,
    )
}  # fmt: skip
