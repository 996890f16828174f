"""Why a test has its verdict, in one line for people: who answered, who failed, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from thousandeyes.outcomes import VerdictName
from thousandeyes.text import isolated_in, listed
from thousandeyes.thresholds import Thresholds, in_one
from thousandeyes.verdict import WORST_TOLD, FailingAgent, Verdict

_MOST_REASONS: Final = 4
"""Kinds of reasons that are listed if agents are counted rather than listed one by one."""


@dataclass(frozen=True)
class Count:
    """How many agents answered a test, and what is known of those that did not, or only in part."""

    answered: int
    blocked: int
    in_part: int
    errors: list[str]
    expected: int | None
    complete: bool
    too_early: bool

    @property
    def missing(self) -> int | None:
        """How many more should answer; None if unknown."""
        return None if self.expected is None else max(self.expected - self.answered, self.in_part)

    @property
    def may_grow(self) -> bool:
        """Whether more may answer, which may change the verdict."""
        return self.too_early and self.missing != 0

    @property
    def unanswered(self) -> list[str]:
        """Who may still change the verdict, and who answered only in part."""
        who = "they" if self.expected else "some"
        if self.answered:
            who = "others" if self.missing is None else f"{self.missing} more"
        return self._and_in_part(f"provisional: {who} may still answer" if self.may_grow else "")

    def _and_in_part(self, who: str) -> list[str]:
        of_them = " of them" if who else ""
        in_part = f"{self.in_part}{of_them} with network results only" if self.in_part else ""
        return list(filter(None, (who, in_part)))

    @property
    def notes(self) -> list[str]:
        """What the reader should know of those that don't count."""
        notes = self.unanswered
        if self.missing and not self.may_grow:
            late = "" if self.complete else " in time"
            notes = self._and_in_part(f"{self.missing} more did not answer{late}")
        if blocked := self.blocked - len(self.errors):
            notes.append(f"{blocked} with ICMP blocked")
        if self.errors:
            told = listed(sorted(set(filter(None, self.errors))), WORST_TOLD, "; ")
            notes.append(f"{len(self.errors)} measured nothing" + (f": {told}" if told else ""))
        return notes


def because(
    name: VerdictName, count: Count, failing: tuple[FailingAgent, ...], thresholds: Thresholds
) -> str:
    """Return the reason.

    If few agents failed, each is listed with all its reasons. More are counted by their worst
    reason: else the same few, which are the worst in every test, would hide why the others failed.

    Args:
        name: The verdict.
        count: Who answered.
        failing: Who failed, the worst first.
        thresholds: What they had to keep to.
    """
    of = "" if count.expected is None else f" of {count.expected} expected"
    if name is VerdictName.NO_DATA:
        text = f"none{of} agents answered" if count.expected else "no agent answered"
        return text + _in_brackets(*count.unanswered)
    if name is VerdictName.TIMED_OUT:
        when = "so far" if count.may_grow else "and no more came"
        return (
            f"{count.answered}{of} agents answered {when if count.complete else 'by the deadline'}"
            f", at least {thresholds.min_agents} needed{_in_brackets(*count.unanswered)}"
        )
    failed, notes = len(failing), _in_brackets(*count.notes)
    if name is VerdictName.FAILED:
        text = f"{failed} of {count.answered} agents failed{notes}"
    else:
        text = f"{count.answered - failed} of {count.answered} agents passed{notes}"
    if failed <= WORST_TOLD:
        worst = (f"{one.name}: {', '.join(why.text for why in one.reasons)}" for one in failing)
        return ", ".join(filter(None, (text, "; ".join(worst))))
    text += "" if name is VerdictName.FAILED else f"; {failed} failed"
    return f"{text}, {'; '.join(_counted(failing))}"


def agents_isolated(text: str, verdict: Verdict | None, *others: str) -> str:
    """Return a sentence with the names of failing agents, and other names, isolated in it.

    Args:
        text: What is said of a test. The verdict itself is also for programs, and has none.
        verdict: Names the agents.
        others: More names, such as the test's.
    """
    return isolated_in(text, [*others, *(verdict.known_to_have_failed if verdict else [])])


def _counted(failing: tuple[FailingAgent, ...]) -> Iterator[str]:
    """Yield each kind of reason with the agents whose worst it is, the most frequent first."""
    alike: dict[str, list[FailingAgent]] = {}
    for agent in failing:
        alike.setdefault(agent.reasons[0].kind, []).append(agent)
    by_number = sorted(alike.values(), key=len, reverse=True)
    for agents in by_number[:_MOST_REASONS]:
        what, name = in_one([agent.reasons[0] for agent in agents]), agents[0].name
        if len(agents) == 1:
            yield f"{name} with {what}"
        else:
            yield f"{'all' if len(alike) == 1 else len(agents)} with {what}, such as {name}"
    if rest := sum(map(len, by_number[_MOST_REASONS:])):
        yield f"and {rest} for other reasons"


def _in_brackets(*notes: str) -> str:
    return f" ({', '.join(notes)})" if any(notes) else ""
