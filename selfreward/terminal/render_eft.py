"""What building EFT data says in a terminal."""

from collections.abc import Iterator

from selfreward.eft.report import EFTReport
from selfreward.seeding.agreement import Agreement

_HOW = {
    "judged": "judged by {judge} ({method}), kept where {keep} agrees",
    "from_ranks": "scores without reasons, made of people's ranks; for judge.method.type=expected",
    "converted": "the source has scores; they were taken as they are",
}
_KEEP = {"strict": "the whole prompt", "pair": "a response with its own pairs"}


def lines(report: EFTReport) -> Iterator[str]:
    """What was made, how far judge and people agree, the scores, and what was left out."""
    yield f"{report.source}: {report.rows:,} responses to {report.prompts:,} prompts"
    how = _HOW[report.mode].format(judge=report.judge, method=report.method, keep=_KEEP.get(report.keep or ""))
    yield f"{how}; rubric {report.rubric}"
    yield f"{report.written:,} rows written to {report.output}"
    if report.heldout:
        yield f"{report.heldout_rows:,} responses to {report.heldout_prompts:,} prompts held out in {report.heldout}"
    if report.judgments:
        yield f"judgments: {report.judgments:,}, unreadable {report.unreadable / report.judgments:.1%}"
    if report.before:
        yield f"judge and people before: {_agreement(report.before)}"
    if report.after:
        yield f"scores written and people: {_agreement(report.after)}"
    for what, scores in (
        ("scores of all judgments", report.judged_scores),
        ("scores kept", report.kept_scores),
        ("scores after thinning", report.scores),
    ):
        if scores:
            yield f"{what}: " + ", ".join(f"{score}: {count:,}" for score, count in scores.items())
    if report.left_out:
        yield f"left out: {sum(report.left_out.values()):,}; {report.output}.report.jsonl has line and reason of each"
        for reason, count in report.left_out.items():
            yield f"  {count:>9,}  {reason}"


def _agreement(found: Agreement) -> str:
    share = "no pairs with two scores" if found.share is None else f"{found.share:.1%} of pairs agree"
    return (
        f"{share} ({found.agree:,} agree, {found.tied:,} tied, {found.against:,} against, {found.unreadable:,} without "
        f"a score); {found.in_order:,} of {found.prompts:,} prompts in order"
    )
