"""The phase writing: what it leaves, what it makes of words that want to be markup, and what it refuses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import pytest

from lab.core.errors import BadInput, Corrupt
from lab.core.record import page
from lab.research.evaluated import Side
from lab.research.paper import accepted, bibliography, claim, evidence, found, making, rendering, summed
from lab.research.paper.told import FILE as PAPER_JSON
from lab.research.phases import writing
from lab.research.project import PHASES, Paper
from lab.research.rounds.weighed import judged
from lab.research.work.out import Out
from tests.research import tasks
from tests.research.paper.papers import Told

NEEDED = "\n\n## Negative results\n\nNone.\n\n## Use of AI\n\nNone.\n"


@pytest.fixture(scope="module")
def paper(told: Told) -> Out:
    return Out(found.of_run(told.root, told.paper).folder)


def text(paper: Out, name: str = claim.PAPER) -> str:
    return (paper.read(name) or b"").decode()


def section(paper: Out, title: str) -> str:
    return text(paper).partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_paper_says_what_was_measured_and_every_number_of_it_is_a_row(paper: Out) -> None:
    results = section(paper, "Results")
    assert "The search made 4 runs, of which 3 ended well." in results
    assert "| candidate | RUN-" in results
    assert "The gain of the candidate is +3.75, between +3." in results
    rows = claim.read(paper.read(claim.FILE) or b"")
    lines = text(paper).split("\n")
    assert all(lines[row.line - 1].startswith(row.text, row.column - 1) for row in rows)
    assert all(part.sha256 and part.pointer and (part.seal or not part.run) for row in rows for part in row.of[:1]
               if row.op != "drawn")  # fmt: skip
    measured = [row for row in rows if row.kind == claim.NUMBER]
    assert len(measured) > 25
    assert {row.of[0].file for row in measured} >= {"SEAL.json", "artifacts/evaluation.json", "artifacts/training.json"}


def test_negative_results_are_the_runs_that_failed_or_were_no_better_and_the_rounds_before(paper: Out) -> None:
    negative = section(paper, "Negative results")
    assert "### Round 1" in negative
    assert "The decision then was `refine`: " in negative
    assert re.search(r"- RUN-\S+-critic: failed: it printed \\<nan> \\\| 12 times", negative)
    assert re.search(r"- RUN-\S+-synthesizer: 6\.5\n", negative)


def test_it_is_said_how_it_was_measured_and_with_which_seeds(paper: Out) -> None:
    method = " ".join(section(paper, "Method").split())
    assert "each several times with seeds that the search had not used, the same for both." in method
    assert "The confidence interval is for the difference of the two means, at a confidence of 95.0 %." in method
    rows = re.findall(r"\| (baseline|candidate) \| RUN-\S+ \| ([0-2]) \| success", section(paper, "Results"))
    assert rows == [(side, str(seed)) for side in ("baseline", "candidate") for seed in range(3)]


def test_who_did_which_phase_is_what_the_orders_say(paper: Out) -> None:
    assert re.search(r"- training: `runs`, in RUN-\S+\n- evaluation: `repeats`, in RUN-", section(paper, "Use of AI"))


def test_it_is_said_that_no_model_was_asked_and_whose_the_hypothesis_is(paper: Out) -> None:
    said = section(paper, "Use of AI")
    assert "No model and no agent was asked for a phase: each was done by a fixed rule of labctl." in said
    assert "The hypothesis was given by a person." in said
    assert re.search(r"- ideation: `ideas`, in RUN-\S+, which wrote down what a person gave\n", said)
    named = re.findall(r"^- (\w+): `", said, re.MULTILINE)
    assert named == list(PHASES[: PHASES.index("publishing")])


def test_an_agent_of_any_phase_is_told_of_the_writing_too(told: Told) -> None:
    task, running = told.task()
    task = msgspec.structs.replace(task, order=msgspec.structs.replace(task.order, worker="agent"))
    writing.make(task)
    told.ended(running)
    said = section(task.out, "Use of AI")
    assert "No model and no agent" not in said
    assert "- writing: `agent`, in the run that this paper is of" in said


def test_the_numbers_of_a_placeholder_are_not_given_out_as_an_answer_to_the_topic(told: Told) -> None:
    name = "implementation/built.json"
    data, run = told.files[name]
    placeholder = tasks.a_built(is_shipped=True, made_up_rows=360)
    try:
        told.phase("implementation", {"built.json": page(placeholder)})
        for source in (None, b"# Ours\n" + NEEDED.encode()):
            task, running = told.task(Paper())
            writing.make(task, source)
            told.ended(running)
            shown = text(task.out)
            assert "placeholder that comes with labctl" in shown
            assert "360 rows" in shown
            if source is None:
                assert shown.startswith("# A test of: the least lies near")
                assert "a topic, which this study does not test" in section(task.out, "Abstract")
                assert "the made-up rows of the placeholder study" in section(task.out, "Conclusion")
    finally:
        told.files[name] = (data, run)


def test_what_nobody_verified_is_marked_where_it_is_cited_and_among_the_references(paper: Out) -> None:
    assert "[@roe-note] (unverified)" in section(paper, "Related work")
    assert "[@mis1999] (mismatch)" in section(paper, "Related work")
    assert "[@doe2017]\n" in section(paper, "Related work")
    assert "(**unverified: nobody was asked**)" in section(paper, "References")


def test_what_nobody_verified_is_marked_however_it_is_cited(told: Told) -> None:
    task, running = told.task()
    body = b"# A\n\nAs @mis1999 says [see @doe2017, p. x; @roe-note].\n\n## References\n\n{{ references() }}\n"
    writing.make(task, body + NEEDED.encode())
    told.ended(running)
    assert "As @mis1999 (mismatch) says [see @doe2017, p. x; @roe-note] (unverified)." in text(task.out)
    assert bibliography.entries(task.out.read(claim.BIBTEX) or b"") == {"doe2017", "mis1999", "roe-note"}


def test_references_are_those_that_are_cited_and_no_others(told: Told) -> None:
    task, running = told.task()
    writing.make(task, b"# A\n\nAs in [@doe2017].\n\n## References\n\n{{ references() }}\n" + NEEDED.encode())
    told.ended(running)
    bib = text(task.out, claim.BIBTEX)
    assert bibliography.entries(bib.encode()) == {"doe2017"}
    assert "title = {{Bowls \\& <i>their</i> bottoms}}" in bib
    assert "roe-note" not in text(task.out)


def test_words_that_want_to_be_markup_stay_words(paper: Out) -> None:
    shown = text(paper)
    assert "{{ 7*7 }}" in shown
    assert "{{ 3 }}" in shown
    assert not re.search(r"(?<!\\)<", shown)
    assert "\n# heading" not in shown
    assert "@nobody" not in text(paper, claim.BIBTEX)
    words = next(row for row in claim.read(paper.read(claim.FILE) or b"") if row.expression == "topic")
    assert words.text in shown


def test_the_same_words_are_no_commands_of_latex(paper: Out) -> None:
    tex = text(paper, claim.LATEX)
    assert "\\input{" not in tex
    assert r"\textbackslash{}input\{/etc/passwd\}" in tex
    assert r"\cite{roe-note}" in tex
    assert "nobody" not in "".join(re.findall(r"\\cite\{[^}]*\}", tex))
    assert set(re.findall(r"\\([a-zA-Z]+)", tex)) <= {
        "documentclass", "usepackage", "title", "date", "begin", "end", "maketitle", "section", "subsection", "item",
        "texttt", "textless", "textgreater", "textbar", "textbackslash", "textasciigrave", "cite", "centering",
        "caption",
        "IfFileExists", "includegraphics", "linewidth", "small", "hline", "emph", "textbf", "bibliographystyle",
        "bibliography", "textasciicircum", "ensuremath",
    }  # fmt: skip


def test_the_numbers_of_latex_are_those_of_the_paper(paper: Out) -> None:
    tex = text(paper, claim.LATEX)
    body = tex.partition("\\maketitle")[2].partition("\\bibliographystyle")[0]
    shown = text(paper).partition("\n")[2].partition("\n## References")[0]

    def numbers(words: str) -> list[str]:
        return re.findall(r"\d+(?:\.\d+)?", re.sub(r"\\[a-zA-Z]+\{?|figures/\S+", " ", words))

    assert numbers(body) == numbers(shown)


def test_a_figure_is_drawn_from_the_runs_that_its_caption_names(paper: Out) -> None:
    assert paper.names(claim.FIGURES) == ("figures/stairs.svg",)
    assert "RUN-" in text(paper).partition("![")[2].partition("]")[0]
    row = next(row for row in claim.read(paper.read(claim.FILE) or b"") if row.kind == claim.FIGURE)
    assert row.of[0].file == "artifacts/training.json"


def test_the_same_inputs_give_the_same_bytes(told: Told, paper: Out) -> None:
    task, running = told.task()
    writing.make(task)
    told.ended(running)
    assert {name: task.out.read(name) for name in task.out.names()} == {
        name: paper.read(name) for name in paper.names()
    }


def test_what_it_left_is_believed_and_a_changed_number_is_not(told: Told) -> None:
    task, running = told.task(Paper(latex=False))
    writing.make(task)
    told.ended(running)
    assert list(accepted.problems(task.order, task.out, task)) == []
    right = text(task.out)
    task.out.write(claim.PAPER, right.replace("of which 3 ended", "of which 4 ended").encode())
    wrong = list(accepted.problems(task.order, task.out, None))
    assert len(wrong) == 1
    assert "is 3, and the paper says 4" in wrong[0]
    task.out.write(claim.PAPER, right.encode())
    task.out.write("figures/own.svg", b"<svg/>")
    assert list(accepted.problems(task.order, task.out, task)) == [
        "figures/own.svg is a figure that the lab did not draw"
    ]
    assert not task.out.names("paper.tex")


def test_a_paper_about_runs_that_the_phase_was_not_given_is_refused(told: Told) -> None:
    task, running = told.task()
    writing.make(task)
    told.ended(running)
    order = msgspec.structs.replace(task.order, given={**task.order.given, "training": told.paper})
    assert any("names RUN-" in each for each in accepted.problems(order, task.out, None))


def test_an_agents_source_is_judged_like_ours_and_leaves_nothing_where_it_is_refused(told: Told) -> None:
    task, running = told.task()
    with pytest.raises(BadInput, match=r"line 5: the number 0\.99 comes from no run"):
        writing.make(task, b"# Ours\n\n## Results\n\nWe reach 0.99." + NEEDED.encode())
    with pytest.raises(BadInput, match="a fence of code may be open"):
        writing.make(task, b"# Ours\n\n## Results\n\nAll is well.\n\n```\n")
    with pytest.raises(BadInput, match="no text in UTF-8"):
        writing.make(task, b"\xff\xfe")
    assert task.out.names() == ()
    made = writing.make(
        task, b"# Ours\n\n## Results\n\nBetter by {{ evaluation.gain | fmt('.2f') }}." + NEEDED.encode()
    )
    told.ended(running)
    assert made["claims"] > 20


@pytest.mark.parametrize("before", ["", "{% set negative = none %}{% set rounds = [] %}{% set phases = [] %}"])
def test_whoever_writes_the_source_cannot_keep_quiet_about_what_did_not_help_or_who_did_it(
    told: Told, before: str
) -> None:
    task, running = told.task()
    hidden = "# Ours\n\n## Negative results\n\nNone were seen.\n\n## Use of AI\n\nA script wrote this.\n"
    writing.make(task, f"{before}{hidden}".encode())
    told.ended(running)
    negative = section(task.out, "Negative results, as the lab has them")
    assert "### Round 1" in negative
    assert re.search(r"- RUN-\S+-critic: failed: ", negative)
    assert re.search(r"- training: `runs`, in RUN-", section(task.out, "Use of AI, as the lab has it"))
    assert list(accepted.problems(task.order, task.out, task)) == []


def test_numbers_that_somebody_only_wrote_down_are_quoted(told: Told) -> None:
    task, running = told.task()
    writing.make(task, b"# Ours\n\n## Results\n\nIt is {{ idea.hypothesis }}." + NEEDED.encode())
    told.ended(running)
    assert "It is “the least lies near {{ 3 }} " in text(task.out)


def test_a_bundle_that_was_changed_before_the_paper_is_refused(tmp_path: Path) -> None:
    made = Told(tmp_path)
    task, running = made.task()
    place = made.artifact("evaluation", "evaluation.json")
    place.chmod(0o644)
    place.write_bytes(place.read_bytes().replace(b"3.75", b"9.75"))
    with pytest.raises(Corrupt, match="is not as it was sealed"):
        writing.make(task)
    made.ended(running)


@pytest.mark.parametrize("what", ["a measurement that is gone", "a measurement that was edited"])
def test_no_paper_is_written_about_runs_of_which_verify_would_say_that_they_are_not_what_was_sealed(
    tmp_path: Path, what: str
) -> None:
    made = Told(tmp_path)
    measured = Path(made.root.layout.run(tasks.STUDY, made.evaluated.candidate.made[1].run_id))
    if what.endswith("gone"):
        shutil.rmtree(measured)
    else:
        (measured / "metrics.json").chmod(0o644)
        (measured / "metrics.json").write_bytes(b'{"loss": 0.1}\n')
    task, running = made.task()
    with pytest.raises(Corrupt, match=r"no paper rests on this: .*(there is no run|not as it was sealed)"):
        writing.make(task)
    assert task.out.names() == ()
    made.ended(running)


@pytest.mark.parametrize("without", [*PHASES[:6], "all"])
def test_a_project_that_skipped_a_phase_has_a_paper_that_says_so(told: Told, without: str) -> None:
    words = making.gathered(told.task_)
    kept = {phase: run for phase, run in words.phases.items() if without not in (phase, "all")}
    words = msgspec.structs.replace(words, phases=kept, rounds=words.rounds if without != "all" else ())
    sources = evidence.Evidence(evidence.InLab(told.root), {PAPER_JSON: page(words)})
    made = rendering.render(making.shipped().decode(), words, sources)
    assert "## Negative results" in made.text
    assert ("No literature was searched" in made.text) == (without in ("literature", "all"))
    assert ("Nothing was measured apart from the search" in made.text) == (without in ("evaluation", "all"))
    assert ("There was no training." in made.text) == (without in ("training", "all"))
    assert not made.remarks


def test_an_evaluation_without_a_candidate_and_one_that_is_within_noise_are_told_as_what_they_are(
    tmp_path: Path,
) -> None:
    made = Told(tmp_path)
    whole, none = made.evaluated, Side(of="")
    dull = tuple(msgspec.structs.replace(each, value=1.0, wall_s=0.001) for each in whole.candidate.made)
    for other, says in (
        (none, "No gain was found: of 4 runs none was better than the baseline"),
        (msgspec.structs.replace(whole.candidate, made=whole.baseline.made), "No difference was found: the gain"),
        (msgspec.structs.replace(whole.candidate, made=dull), "The candidate is better"),
    ):
        found = judged(made.trained, "report", whole.baseline, other, 0.95)
        made.phase("evaluation", {"evaluation.json": page(found)})
        task, running = made.task()
        words = making.gathered(task)
        sources = evidence.Evidence(evidence.InLab(made.root), {PAPER_JSON: page(words)})
        task.out.write(claim.PAPER, rendering.render(making.shipped().decode(), words, sources).text.encode())
        made.ended(running)
        assert says in section(task.out, "Abstract")
        assert ("| candidate |" in text(task.out)) == bool(other.of)
        assert ("look whether it did the same work" in section(task.out, "Results")) == (other.made == dull)


@pytest.mark.parametrize("kept", [True, False])
def test_without_a_training_the_runs_that_the_evaluation_chose_from_are_told_and_never_that_there_are_none(
    told: Told, kept: bool
) -> None:
    among = told.trained.made if kept else ()
    before = told.files["evaluation/evaluation.json"]
    told.phase("evaluation", {"evaluation.json": page(msgspec.structs.replace(told.evaluated, among=among))})
    run = told.files["evaluation/evaluation.json"][1]
    told.files["evaluation/evaluation.json"] = before
    words = msgspec.structs.replace(making.gathered(told.task_), phases={"evaluation": run}, rounds=())
    sources = evidence.Evidence(evidence.InLab(told.root), {PAPER_JSON: page(words)})
    made = rendering.render(making.shipped().decode(), words, sources)
    results = made.text.partition("## Results\n")[2].partition("\n## ")[0]
    negative = made.text.partition("## Negative results\n")[2].partition("\n## ")[0]
    assert "nothing was run" not in made.text
    assert ("The study had 4 runs in the tier `choose`, of which 3 had ended well." in results) == kept
    assert bool(re.search(r"- RUN-\S+-critic: failed: ", negative)) == kept
    assert bool(re.search(r"- RUN-\S+-synthesizer: 6\.5\n", negative)) == kept
    assert ("Which runs the measurements were chosen from is not recorded" in negative) == (not kept)
    document, _ = sources.document(run, "artifacts/evaluation.json")
    assert {each.run_id for each in summed.made_of(document)} >= {each.run_id for each in among}


def test_a_paper_is_about_the_round_that_was_kept_and_the_others_are_negative_results(tmp_path: Path) -> None:
    made = Told(tmp_path)
    first = made.files["round-1/training/training.json"][1]
    made.phase("evaluation", {"evaluation.json": page(made.evaluated)}, "round-1/")
    told_of = made.decided("keep", 2)
    made.phase("iteration", {"decision.json": page(msgspec.structs.replace(told_of, kept_round=1))})
    task, running = made.task()
    writing.make(task)
    words = making.gathered(task)
    made.ended(running)
    assert words.phases["training"] == first
    assert [each.number for each in words.rounds] == [2]
    assert words.rounds[0].training == made.files["training/training.json"][1]
    negative = " ".join(section(task.out, "Negative results").split())
    assert "### Round 2" in negative
    assert (
        "was better than the baseline, with a gain of +3.75. It stands here because the paper is about another"
        in negative
    )
    assert "This is about round 1; what came of the other rounds stands below" in section(task.out, "Results")
    assert list(accepted.problems(task.order, task.out, task)) == []


def test_where_too_many_runs_did_not_help_the_failed_come_first_and_it_is_said(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "MOST_NEGATIVE", 1)
    task, running = told.task()
    writing.make(task)
    told.ended(running)
    negative = section(task.out, "Negative results").partition("### Runs that did not help")[2]
    assert re.search(r"- RUN-\S+-critic: failed: ", negative)
    assert "-synthesizer" not in negative
    assert "There are more of them than are listed here" in negative
