"""The files of a run, as its seal has them and as they lie there."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

import msgspec

from lab.projections.picture.run import Kept, RunPage
from lab.store import contents, inside, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.seal import Seal
    from lab.scheduler.results.bundle import Bundle

MOST_FILES = 500
MOST_COUNTED = 20_000  # files of a run without a seal: how many there are is only known by walking through them


def listed(bundle: Bundle, page: RunPage, *, check: bool) -> RunPage:
    """The page with its files. `check` hashes every sealed one again; without, only sizes are looked at."""
    made = bundle.made
    if made is None:
        return _unsealed(bundle, page)
    damage = _damage(bundle, made) if check and bundle.found.kept is None else None
    names = nsmallest(MOST_FILES, made.files, key=lambda name: (name.count("/"), name))
    shown = tuple(_kept(bundle, made, name, damage) for name in names)
    intact: bool | None = None
    if any(each.changed for each in shown) or damage:
        intact = False
    elif damage is not None:
        intact = True
    return msgspec.structs.replace(page, files=shown, files_left_out=len(made.files) - len(shown), intact=intact)


def _kept(bundle: Bundle, made: Seal, name: str, damage: dict[str, str] | None) -> Kept:
    sealed = made.files[name]
    changed, readable = "", False
    if bundle.at >= 0 and not sealed.link:
        try:
            size = inside.size_of(bundle.at, contents.name_on_disk(name))
            readable = size == sealed.size
            changed = "" if readable else f"{size:,} bytes instead of {sealed.size:,}"
        except FileNotFoundError:
            changed = "it is gone"
        except OSError as error:
            changed = why(error)
    changed = changed or (damage or {}).get(name, "")
    return Kept(name=name, size=sealed.size, sha256=sealed.sha256, changed=changed, readable=readable)


def _damage(bundle: Bundle, made: Seal) -> dict[str, str] | None:
    """By name, what is not as it was sealed; None where it could not be looked at."""
    where = bundle.found.run_id
    found: dict[str, str] = {}
    if bundle.at < 0:
        return None
    try:
        for item in verify.changed(bundle.found.path, where, made):
            name = item.where.removeprefix(f"{where}/")
            found[name] = item.what
            if name not in made.files:
                bundle.problems.append(f"{name}: {item.what}")
    except OSError as error:
        bundle.problems.append(f"its files could not all be looked at: {why(error)}")
        return found or None
    return found


def _unsealed(bundle: Bundle, page: RunPage) -> RunPage:
    shown: list[Kept] = []
    left_out = 0
    for each in _lying(bundle):
        if len(shown) < MOST_FILES:
            shown.append(Kept(name=each.name, size=each.size, readable=each.is_plain))
        elif left_out < MOST_COUNTED:
            left_out += 1
        else:
            bundle.problems.append(f"it has more files than {MOST_FILES + MOST_COUNTED:,}, which were not counted")
            break
    return msgspec.structs.replace(page, files=tuple(shown), files_left_out=left_out)


def _lying(bundle: Bundle) -> Iterator[inside.There]:
    if bundle.at >= 0:
        yield from inside.listed(bundle.at)


def why(error: OSError) -> str:
    """Why a file cannot be read, in words."""
    return "it is no plain file" if isinstance(error, inside.NotPlain) else str(error.strerror)
