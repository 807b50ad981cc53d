from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import spec, spec_page, spec_reading, spec_rules, verdict
from lab.core.errors import BadInput, Corrupt
from lab.core.model import Model
from lab.core.space import Space
from lab.core.spec import Spec, parse
from lab.core.spec_fields import TIER_OVERRIDABLE_FIELDS, StopConditions
from lab.core.spec_text import parse_text

CHECKOUT = Path(__file__).resolve().parents[2]
HERMES = sorted((CHECKOUT / "tests" / "fixtures" / "hermes").glob("*.yaml"))
TEMPLATES = sorted((CHECKOUT / "templates").glob("*.yaml"))
SHIPPED = (
    "autoresearch-generic", "code-autoresearch", "local-agent-autoresearch", "multifidelity-autoresearch",
    "research-sprint",
)  # fmt: skip


def read(path: Path) -> Spec:
    mapping, lines = parse_text(path.read_bytes(), path.name)
    return parse(mapping, lines, path.name)


def read_text(text: str) -> Spec:
    mapping, lines = parse_text(text.encode(), "SPEC.yaml")
    return parse(mapping, lines)


def refusal(**fields: object) -> str:
    with pytest.raises(BadInput) as caught:
        parse({"id": "a", **fields})
    return str(caught.value)


def of(**fields: object) -> Spec:
    return parse({"id": "a", **fields})


@pytest.mark.parametrize("path", HERMES, ids=lambda path: path.stem)
def test_a_spec_in_the_older_labs_shape_is_read_whole(path: Path) -> None:
    found = read(path)
    assert found.id
    assert spec.decode(spec.encode(found)) == found


def test_all_shapes_of_the_older_lab_are_there() -> None:
    assert len(HERMES) == 8


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_template_is_read_whole(name: str) -> None:
    found = read(CHECKOUT / "templates" / f"{name}.yaml")
    assert found.goal
    assert found.metric


def test_the_generic_loop_means_what_it_meant() -> None:
    found = read(HERMES[0].with_name("generic-loop.yaml"))
    assert found.schedule().every_s == found.time_budget_s == 600
    assert found.time_budget_minutes == 10
    assert found.executor_command == found.setup_command == ""
    assert found.read_only_paths == ("README.md", "docs/")
    assert found.require_clean_workspace is False
    assert found.acceptance_rule.startswith("keep a change only when")


def test_the_research_sprint_has_conditions_and_remarks() -> None:
    found = read(HERMES[0].with_name("research-sprint.yaml"))
    assert found.id == "retrieval-sprint"
    assert found.stop_conditions == StopConditions(
        plateau_after_consecutive_low_signal_runs=3, hard_stop_after_days=14.0
    )
    assert found.escalate_when[2] == "metric_regression_3_consecutive"
    assert found.outputs == ("daily_digest", "final_ranked_memo")


def test_tiers_override_and_a_tier_named_validation_leaves_the_field_alone() -> None:
    found = read(HERMES[0].with_name("multifidelity.yaml"))
    assert found.validation_command == "python3 train.py"
    budgets = {tier: found.for_tier(tier).time_budget_s for tier in found.fidelity_tiers}
    assert budgets == {"proxy": 300, "validation": 1200, "final": 3600}
    assert found.time_budget_s == 600
    assert found.for_tier("proxy").executor_class == "cpu"
    assert found.for_tier("final").executor_class == "gpu"
    assert found.for_tier("final").promotion_strategy == "apply-on-accept"
    assert found.for_tier("validation").validation_command == "python3 train.py"
    assert {override.field for override in found.overrides} == {"executor_class", "time_budget_s", "promotion_strategy"}


def test_only_an_id_is_needed_and_blanks_are_defaults() -> None:
    bare = of()
    blank = dict.fromkeys(spec_reading.KNOWN, "") | {"id": "a"}
    assert parse(blank) == bare
    assert parse(dict.fromkeys(spec_reading.KNOWN) | {"id": "a"}) == bare
    assert of(worker_roles=[], stop_conditions={}, notify=[]) == bare
    assert (bare.max_iterations_total, bare.cadence, bare.time_budget_s) == (20, "30m", 600.0)
    assert bare.worker_roles == ("scout", "researcher", "critic", "synthesizer")
    assert (bare.fidelity_tiers, bare.initial_fidelity_tier) == (("default",), "default")
    assert (bare.priority, bare.metric_direction) == ("normal", "maximize")


def test_a_single_value_is_a_list_of_one_and_a_number_is_its_text() -> None:
    found = read_text("id: 007\nworker_roles: scout\nagent_model: 4.10\ntags: [2024, v1.50]\ngoal: 1e3")
    assert (found.id, found.worker_roles, found.agent_model) == ("007", ("scout",), "4.10")
    assert (found.tags, found.goal) == (("2024", "v1.50"), "1e3")
    assert of(agent_model=4.5).agent_model == "4.5"


@pytest.mark.parametrize("word", ["max", "maximise", "HIGHER", "Maximize"])
def test_the_larger_is_better_in_many_words(word: str) -> None:
    assert of(metric_direction=word).metric_direction == "maximize"


@pytest.mark.parametrize("word", ["min", "minimise", "lower", " minimize "])
def test_the_smaller_is_better_in_many_words(word: str) -> None:
    assert of(metric_direction=word).metric_direction == "minimize"


@pytest.mark.parametrize(
    ("word", "mode"),
    [("git", "git-clone"), ("gitclone", "git-clone"), ("git-worktree", "git-worktree"), ("COPY", "copy"), ("", "auto")],
)
def test_all_that_begins_with_git_is_a_clone(word: str, mode: str) -> None:
    assert of(workspace_mode=word).workspace_mode == mode


def test_the_older_word_for_applying_means_the_same() -> None:
    assert of(promotion_strategy="git-apply-on-accept").promotion_strategy == "apply-on-accept"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [({"time_budget": "90s"}, 90), ({"time_budget": 45}, 45), ({"time_budget_minutes": 0.5}, 30), ({}, 600)],
)
def test_the_budget_is_kept_in_seconds(written: dict[str, object], seconds: float) -> None:
    assert of(**written).time_budget_s == seconds


@pytest.mark.parametrize("word", ["false", "No", "off", False])
def test_no_is_no_however_it_is_written(word: object) -> None:
    assert of(autonomous=word).autonomous is False


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("metric_direction", "up", "write one of maximize, minimize"),
        ("priority", "hgih", "did you mean high?"),
        ("session_alpha", 1.5, "must be below 1, not 1.5"),
        ("session_alpha", 1, "must be below 1"),
        ("acceptance_rule", "Confirmed", "did you mean confirmed?"),
        ("acceptance_rule", "improves", "did you mean improve?"),
        ("acceptance_rule", "improve_or_simpler", "did you mean improve-or-simpler?"),
        ("writable_paths", ["/"], "'/' is the whole machine"),
        ("writable_paths", ["//."], "is the whole machine"),
        ("priority", 3, "3 is not known"),
        ("autonomous", "maybe", "must be true or false"),
        ("autonomous", 1, "must be true or false"),
        ("executor_command", True, "must be text, and true is a yes or no; put it in quotes"),
        ("validation_command", False, "must be text"),
        ("goal", ["x"], "must be text, not a list"),
        ("goal", {"a": 1}, "must be text, not a map"),
        ("goal", "a\0b", "no file can hold"),
        ("goal", "\ud800", "no file can hold"),
        ("goal", "x" * 40_000, "longer than 32 KiB"),
        ("executor_command", "echo 'x", "a quote that is never closed"),
        ("max_iterations_total", 0, "must be 1 or more"),
        ("max_iterations_total", "lots", "must be a number, not 'lots'"),
        ("max_iterations_total", 2.5, "must be a whole number"),
        ("max_iterations_total", True, "must be a number"),
        ("max_iterations_total", 10**400, "or less, not a huge number"),
        ("max_iterations_total", math.inf, "finite"),
        ("max_parallel", 1025, "must be 1,024 or less"),
        ("max_parallel", 0, "must be 1 or more"),
        ("promote_after_successes", "x", "must be a number"),
        ("estimated_runtime_minutes", math.nan, "finite"),
        ("estimated_runtime_minutes", 10**400, "too large"),
        ("estimated_runtime_minutes", -1, "must be 0 or more"),
        ("time_budget_minutes", 0, "above 0 and at most 30 days"),
        ("time_budget_minutes", -1, "above 0 and at most 30 days"),
        ("time_budget_minutes", "5 # minutes", "must be a number"),
        ("time_budget_minutes", 43201, "above 0 and at most 30 days"),
        ("time_budget", "0s", "above 0 and at most 30 days"),
        ("time_budget", "31d", "above 0 and at most 30 days"),
        ("time_budget", "soon", "is not a length of time"),
        ("time_budget", math.nan, "is not a length of time"),
        ("seed", -1, "must be 0 or more"),
        ("seed", 2**63, "or less"),
        ("memory_limit_mb", 0, "must be 1 or more"),
        ("cpu_limit", 0, "must be above 0"),
        ("cadence", "never", "is not understood"),
        ("cadence", "0 0 30 2 *", "never comes"),
        ("cadence", True, "must be text"),
        ("durability", "slow", "write one of"),
        ("id", "../x", "cannot be used"),
        ("id", "nul", "Windows"),
        ("worker_roles", ["a", "../b"], "worker_roles entry 2: role '../b' cannot be used"),
        ("worker_roles", ["a", ""], "worker_roles entry 2: is blank"),
        ("worker_roles", {"a": 1}, "must be a list, not a map"),
        ("constraints", [{"note": "x"}], "must be text, not a map"),
        ("constraints", ["x"] * 1001, "at most 1000"),
        ("executor", "../x", "executor '../x' cannot be used"),
        ("executor_class", "a/b", "cannot be used"),
        ("agent_provider", "../../bin/sh", "cannot be used"),
        ("parent_experiment", "../x", "cannot be used"),
        ("tags", ["a b"], "tag 'a b' cannot be used"),
        ("env", ["TOKEN=x"], "variable name 'TOKEN=x' cannot be used"),
        ("mutable_paths", ["/etc"], "is not relative"),
        ("mutable_paths", ["~/x"], "is not relative"),
        ("mutable_paths", ["C:\\x"], "is not relative"),
        ("mutable_paths", ["a/../../b"], "leads out of the workspace"),
        ("mutable_paths", ["a\\..\\..\\b"], "leads out of the workspace"),
        ("read_only_paths", "../x", "leads out of the workspace"),
        ("fidelity_tiers", ["a", "b/c"], "tier 'b/c' cannot be used"),
        ("initial_fidelity_tier", "x", "'x' is none of the tiers default"),
        ("fidelity_promotion_rule", "auto", "write one of"),
        ("escalate_when", ["breakthru_found"], "did you mean breakthrough_found?"),
        ("escalate_when", ["metric_regression_0_consecutive"], "is no event"),
        ("escalate_when", ["zzz"], "known are breakthrough_found"),
        ("stop_conditions", {"targt": 1}, "did you mean target?"),
        ("stop_conditions", {"target": math.nan}, "finite"),
        ("stop_conditions", [{"target": 1}, {"target": 2}], "target is here twice"),
        ("stop_conditions", ["target"], "write `name: number`"),
        ("stop_conditions", 3, "write `name: number`"),
        ("stop_conditions", {"budget_hours": 0}, "must be above 0"),
        ("stop_conditions", {"max_consecutive_failures": 1.5}, "whole number"),
        ("search_space", {"lr": {"low": 2, "high": 1}}, "search_space.lr: low 2.0 is above high 1.0"),
        ("search_space", 3.5 + 0j, "must be text"),
        ("cadance", 5, "unknown key 'cadance'; did you mean cadence?"),
        ("proxy_goal", "x", "'proxy' is not in fidelity_tiers; the tiers are default"),
        ("overrides", [], "unknown key 'overrides'"),
        (
            "max_consecutive_failures",
            3,
            "unknown key 'max_consecutive_failures': it is stop_conditions.max_consecutive_failures, a line below",
        ),
        ("stop_conditions", {"seed": 3}, "unknown condition 'seed'; seed stands at the top, not in stop_conditions"),
        ("time_budget_s", 5, "unknown key 'time_budget_s'; did you mean time_budget?"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(field: str, value: object, said: str) -> None:
    assert said in refusal(**{field: value})


def test_everything_wrong_is_told_at_once_each_with_its_line() -> None:
    text = "priority: hgih\nworker_roles:\n  - a\n  - ../b\nstop_conditions:\n  - targt: 2\n"
    text += "search_space:\n  lr:\n    low: x\n"
    with pytest.raises(BadInput) as caught:
        read_text(text)
    told = str(caught.value).splitlines()
    assert told[0] == "the SPEC has 6 problems:"
    assert [line.split(":")[0].strip() for line in told[1:7]] == [
        "line 1", "line 1", "line 4", "line 6", "line 8", "line 9",
    ]  # fmt: skip
    assert "id is missing" in "".join(told)
    assert "  in SPEC.yaml" in told


def test_a_key_far_from_all_others_brings_the_nearest_three_and_where_all_of_them_stand() -> None:
    text = refusal(learning_rate=1)
    assert "unknown key 'learning_rate'; the nearest are " in text
    line = next(line for line in text.splitlines() if "the nearest are" in line)
    named = line.partition("the nearest are ")[2].split(", ")
    assert len(named) == 3
    assert set(named) <= set(Spec.__struct_fields__)
    assert "a note of your own is a comment, behind a #; every key: labctl schema spec" in text
    assert len(text) < 400
    assert "unknown key 'zzzzqqqq'\n" in refusal(zzzzqqqq=1)
    assert "labctl schema" not in refusal(gaol=1)


def test_a_path_is_to_be_changed_or_not_in_every_tier() -> None:
    with pytest.raises(BadInput, match="read_only_paths: 'src' is in mutable_paths too"):
        of(mutable_paths=["src", "a"], read_only_paths=["src/"])
    tiers = {"fidelity_tiers": ["proxy", "final"], "mutable_paths": ["src"], "read_only_paths": ["a"]}
    assert of(**tiers, final_mutable_paths=["lib"]).mutable_paths == ("src",)
    with pytest.raises(BadInput, match="final_mutable_paths: 'a' is in mutable_paths too"):
        of(**tiers, final_mutable_paths=["a"])


def test_the_rules_of_keeping_are_those_that_decide_and_other_words_are_for_people() -> None:
    assert spec_rules.RULES == verdict.RULES
    for words in (*verdict.RULES, "metric-improves", "keep what is confirmed", "strictly smaller"):
        assert of(acceptance_rule=words).acceptance_rule == words


def test_a_heap_of_unknown_keys_is_refused_quickly_and_briefly() -> None:
    text = refusal(**{f"key{number}" * 500: 1 for number in range(3000)})
    assert "the SPEC has 3000 problems" in text
    assert "and 2980 more" in text
    assert len(text) < 10_000


def test_two_budgets_are_one_too_many() -> None:
    assert "keep one of them" in refusal(time_budget="5m", time_budget_minutes=5)
    assert "proxy_time_budget and proxy_time_budget_minutes" in refusal(
        fidelity_tiers=["proxy"], proxy_time_budget="5m", proxy_time_budget_minutes=5
    )
    assert of(time_budget="5m", time_budget_minutes="").time_budget_s == 300


def test_every_overridable_field_can_be_overridden_and_no_other() -> None:
    assert len(TIER_OVERRIDABLE_FIELDS) == 33
    for name in TIER_OVERRIDABLE_FIELDS:
        of(**{"fidelity_tiers": ["low", "high"], f"low_{name}": ""})
    assert "unknown key 'low_seed'" in refusal(fidelity_tiers=["low"], low_seed=1)
    assert "did you mean low_goal?" in refusal(fidelity_tiers=["low"], low_gaol="x")


def test_an_override_obeys_the_rules_of_its_field() -> None:
    said = refusal(fidelity_tiers=["low"], low_priority="x", low_mutable_paths=["/a"], low_setup_command="'")
    assert "low_priority: 'x' is not known" in said
    assert "low_mutable_paths entry 1: '/a' is not relative" in said
    assert "low_setup_command: has a quote" in said


def test_a_blank_override_overrides_nothing() -> None:
    found = of(fidelity_tiers=["low"], goal="x", low_goal="", low_constraints=["y"])
    assert found.for_tier("low").goal == "x"
    assert found.for_tier("low").constraints == ("y",)
    assert found.for_tier("low").overrides == ()


def test_tiers_are_kept_once_and_the_first_is_the_start() -> None:
    found = of(fidelity_tiers=["b", "a", "b"])
    assert (found.fidelity_tiers, found.initial_fidelity_tier) == (("b", "a"), "b")


def test_an_unknown_tier_is_named_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="has no tier 'finl'") as caught:
        of(fidelity_tiers=["proxy", "final"]).for_tier("finl")
    assert caught.value.fix == "did you mean final?"


def test_stop_conditions_are_a_map_or_a_list_of_maps() -> None:
    assert of(stop_conditions={"target": 1, "budget_hours": ""}) == of(stop_conditions=[{"target": 1.0}])


def test_a_shell_may_have_quotes_of_its_own() -> None:
    fields = {"shell": True, "executor_command": "cat <<E\nit's\nE"}
    assert of(**fields).shell


def test_a_search_space_is_a_map_or_a_path() -> None:
    written = {"lr": {"low": 1e-4, "high": 0.1, "log": True}}
    inline = of(search_space=written).search_space
    assert isinstance(inline, Space)
    assert inline.names == ("lr",)
    assert of(search_space="space.json").search_space == "space.json"
    assert of(search_space="none").search_space is None


def test_a_spec_is_as_good_as_a_key() -> None:
    one, other = (of(fidelity_tiers=["p"], p_goal="x", search_space={"a": {"choices": [1]}}) for _ in range(2))
    assert hash(one) == hash(other)


def test_the_order_of_overrides_in_the_file_does_not_show() -> None:
    tiers = {"fidelity_tiers": ["p", "q"]}
    one = of(**tiers, p_goal="x", q_metric="y", p_cadence=5)
    other = of(**tiers, q_metric="y", p_cadence="5", p_goal="x")
    assert spec.encode(one) == spec.encode(other)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"id": 3}', b'{"id": "a", "newer": 1}', b"\xff", b"[" * 9999])
def test_other_bytes_are_no_spec(data: bytes) -> None:
    with pytest.raises(Corrupt):
        spec.decode(data)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True).filter(
    lambda name: not name.startswith(("com", "lpt", "nul"))
)
FITTING: dict[str, st.SearchStrategy[object]] = {
    "goal": texts,
    "acceptance_rule": texts,
    "priority": st.sampled_from(["urgent", "high", "normal", "low"]),
    "autonomous": st.booleans(),
    "cadence": st.integers(0, 10_000) | st.sampled_from(["hourly", "5m", "0 9 * * mon-fri"]),
    "time_budget": st.floats(0.001, 2_592_000) | st.just("1.5h"),
    "max_iterations_total": st.integers(1, 10**9),
    "estimated_runtime_minutes": st.floats(0, 1e300),
    "seed": st.integers(0, 2**63 - 1),
    "cpu_limit": st.floats(0.001, 4096),
    "constraints": st.lists(texts.filter(lambda text: text.strip() != ""), max_size=3),
    "tags": st.lists(names, max_size=3),
    "stop_conditions": st.fixed_dictionaries({"target": st.floats(-1e300, 1e300), "budget_hours": st.integers(1, 99)}),
    "notify": st.lists(names, max_size=2),
    "env": st.lists(st.sampled_from(["A", "HF_TOKEN"]), max_size=2),
    "search_space": st.just({"lr": {"low": 1, "high": 2}}) | st.just("space.json"),
    "low_goal": texts,
    "low_time_budget_minutes": st.integers(1, 100),
    "low_constraints": st.lists(names, max_size=2),
    "low_agent_background": st.booleans(),
}


@given(st.fixed_dictionaries({"id": names}, optional=FITTING))
def test_a_spec_reads_back_from_its_bytes(fields: dict[str, object]) -> None:
    found = parse({**fields, "fidelity_tiers": ["low", "high"]})
    data = spec.encode(found)
    assert spec.decode(data) == found
    assert spec.encode(spec.decode(data)) == data
    assert spec.decode(spec.encode(found.for_tier("low"))) == found.for_tier("low")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from([*spec_reading.KNOWN, "low_goal", "low_seed"]) | st.text(max_size=6) | st.integers()


@given(st.dictionaries(keys, anything, max_size=6))
def test_any_mapping_is_a_spec_or_is_refused(mapping: dict[str, object]) -> None:
    try:
        found = parse({"id": "a", "fidelity_tiers": "low", **mapping})
    except BadInput:
        return
    assert spec.decode(spec.encode(found)) == found


def test_every_field_is_told_and_somebody_reads_it() -> None:
    told = {field.name: field for field in spec_page.fields()}
    assert tuple(told) == spec_reading.KNOWN
    readers = {"scheduler", "policy", "executor", "search", "code loop", "pages"}
    for field in told.values():
        assert field.description.endswith(".")
        assert set(field.read_by.split(", ")) <= readers
        assert field.type


def test_the_reference_page_has_a_row_for_each_field_and_no_broken_table() -> None:
    page = spec_page.reference_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(spec_reading.KNOWN)
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
    for name in StopConditions.__struct_fields__:
        assert f"- `{name}`: " in page
    for name in Model.__struct_fields__:
        assert f"- `{name}` (" in page
    assert "{" not in page


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (3, "must be a map"),
        ({"timout_s": 3}, "did you mean timeout_s?"),
        ({"candidates": 99}, "must be 20 or less"),
        ({"max_usd": 0}, "must be above 0"),
        ({"base_url": "localhost:8080"}, "begin it with http://"),
        ({"base_url": "https://me:secret@host/v1"}, "leave out user, password"),
        ({"api_key_env": "sk-1234"}, "llm.api_key_env"),
        ({"transport": "opnai"}, "did you mean openai?"),
        ({"timeout_s": math.nan}, "finite"),
    ],
)
def test_what_cannot_be_a_model_is_refused_by_its_name(written: object, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        of(llm=written)
    assert told in str(refused.value)


def test_a_model_is_read_as_it_is_written() -> None:
    found = of(llm={"base_url": "http://127.0.0.1:8080/v1/", "model": "tiny", "max_calls": "7", "clip": "yes"}).llm
    assert found == Model(base_url="http://127.0.0.1:8080/v1", model="tiny", max_calls=7, clip=True)
    assert of(llm={}).llm is None


def schema_problems(mapping: object) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    return [error.message for error in jsonschema.Draft202012Validator(spec_page.json_schema()).iter_errors(mapping)]


def test_the_schema_is_plain_json_and_a_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = spec_page.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(msgspec.convert(schema["properties"], dict[str, object])) == set(spec_reading.KNOWN)


@pytest.mark.parametrize("path", [*HERMES, *TEMPLATES], ids=lambda path: path.stem)
def test_the_schema_accepts_what_the_reader_accepts(path: Path) -> None:
    if path.stem in SHIPPED or path in HERMES:
        assert schema_problems(parse_text(path.read_bytes(), path.name)[0]) == []


@pytest.mark.parametrize(
    "fields", [{"gaol": "x"}, {"max_parallel": 0}, {"priority": "x"}, {"autonomous": 3}, {"stop_conditions": {"x": 1}}]
)
def test_the_schema_refuses_what_an_editor_should_mark(fields: dict[str, object]) -> None:
    assert schema_problems({"id": "a", **fields})
