"""Where labels go: no two lie on one another, none leaves the frame, none is lost uncounted."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lab.projections.drawing import labels
from lab.projections.drawing.labels import Area, Busy, Wanted
from tests.projections.drawing import staircases

FRAME = Area(left=40, top=20, right=640, bottom=320)
COORDINATE = st.tuples(st.floats(40, 640), st.floats(20, 320))
WANTED = st.builds(
    Wanted,
    text=st.text(min_size=1, max_size=40) | st.sampled_from(["lr 0.01 -> 0.003", "学习率加倍", "שלום עולם", "W" * 200]),
    at=COORDINATE,
    weight=st.floats(0, 10),
    below=st.booleans(),
)


@given(st.lists(WANTED, max_size=30), st.lists(COORDINATE, max_size=40))
def test_no_label_lies_on_another_or_outside_and_all_are_placed_or_counted(
    wanted: list[Wanted], taken: list[tuple[float, float]]
) -> None:
    busy = Busy()
    for at in taken:
        busy.spot(at, labels.BLOCKED, 4.0)
    found = labels.place(wanted, FRAME, busy)
    assert len(found.labels) + found.dropped == len(wanted)
    assert not staircases.overlapping(label.area for label in found.labels)
    for label in found.labels:
        assert label.area.inside(FRAME)
        assert not [at for at in taken if _is_in(label.area, at)]
    shuffled = labels.place(wanted[::-1], FRAME, busy)
    assert shuffled == found


def test_a_single_label_is_beside_its_mark_on_the_roomy_side() -> None:
    for below in (True, False):
        one = Wanted(text="baseline", at=(300, 150), below=below)
        found = labels.place([one], FRAME, Busy()).labels[0]
        assert found.area.right < 300
        assert found.area.top < 150 < found.area.bottom
        assert found.leader is None


def test_a_label_that_has_to_go_away_is_led_to() -> None:
    busy = Busy()
    busy.area(Area(left=40, top=135, right=640, bottom=165))
    found = labels.place([Wanted(text="halve the batch", at=(300, 150))], FRAME, busy)
    (label,) = found.labels
    assert label.leader is not None
    (x, y), end = label.leader
    area = label.area
    assert (x, y) == (300.0, 150.0)
    around = Area(left=area.left - 1, top=area.top - 1, right=area.right + 1, bottom=area.bottom + 1)
    assert _is_in(around, end)


def test_no_leader_crosses_a_label_whichever_was_there_first() -> None:
    led = 0
    for seed in range(30):
        luck = Random(seed)
        places = [(luck.uniform(250, 400), luck.uniform(120, 200)) for _ in range(16)]
        crowd = [Wanted(text="x" * luck.randint(1, 30), at=at, weight=luck.random()) for at in places]
        busy = Busy()
        for each in crowd:
            busy.spot(each.at, labels.BLOCKED, 6.0)
        found = labels.place(crowd, FRAME, busy)
        for (x, y), (to_x, to_y) in (label.leader for label in found.labels if label.leader is not None):
            led += 1
            on = [(x + part / 20 * (to_x - x), y + part / 20 * (to_y - y)) for part in range(1, 20)]
            assert not [at for at in on for each in found.labels if _is_in(each.area, at)]
    assert led > 100


def _is_in(area: Area, at: tuple[float, float]) -> bool:
    return area.left + 0.1 < at[0] < area.right - 0.1 and area.top + 0.1 < at[1] < area.bottom - 0.1


def test_the_weightiest_is_placed_first_and_what_does_not_fit_is_dropped() -> None:
    tight = Area(left=0, top=0, right=90, bottom=16)
    wanted = [Wanted(text="one of them", at=(45, 8), weight=weight) for weight in (1.0, 3.0, 2.0)]
    found = labels.place([*wanted, Wanted(text="the best", at=(4, 8), weight=9.0)], tight, Busy())
    assert [label.text for label in found.labels] == ["the best"]
    assert found.dropped == 3


def test_a_long_text_is_cut_to_its_room() -> None:
    found = labels.place([Wanted(text="warm the learning rate up " * 9, at=(600, 150))], FRAME, Busy(), room=200)
    area = found.labels[0].area
    assert area.right - area.left <= 200
    assert found.labels[0].text.endswith("…")


def test_a_text_is_cut_at_a_comma_where_half_of_a_change_would_say_another_thing() -> None:
    wanted = Wanted(text="optimizer sgd -> adam, depth 3 -> 11, +2 more", at=(600, 150))
    assert labels.place([wanted], FRAME, Busy(), room=200).labels[0].text == "optimizer sgd -> adam, …"


def test_two_labels_never_stand_so_close_that_they_read_as_one() -> None:
    for seed in range(40):
        luck = Random(seed)
        crowd = [Wanted(text="k b -> a, +1 more", at=(luck.uniform(60, 600), 150)) for _ in range(12)]
        found = [label.area for label in labels.place(crowd, FRAME, Busy()).labels]
        for place, one in enumerate(found):
            around = Area(left=one.left - 5.9, top=one.top, right=one.right + 5.9, bottom=one.bottom)
            assert not [other for other in found[place + 1 :] if other.overlaps(around)]


def test_a_label_stands_beside_the_runs_of_the_crowd_where_there_is_room() -> None:
    busy = Busy()
    crowd = [(310 + 9.0 * n, 158.0) for n in range(12)] + [(290 - 9.0 * n, 150.0) for n in range(12)]
    for at in crowd:
        busy.spot(at, 0.35, 3.0)
    label = labels.place([Wanted(text="halve the batch", at=(300, 150))], FRAME, busy).labels[0]
    assert not [at for at in crowd if _is_in(label.area, at)]
