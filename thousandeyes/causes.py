"""What the failing laptops of a run share, as a value and in words for people. Pure."""

from dataclasses import dataclass

from thousandeyes.laptop import NETWORKS, Fact


@dataclass(frozen=True)
class Cause:
    """Something that applies to laptops which fail far more often than the others."""

    fact: Fact
    failed: int
    laptops: int
    failed_elsewhere: int
    elsewhere: int
    chance: float
    """The probability that chance alone produces something as strong, after the correction."""
    mostly: bool
    """Whether a laptop counts as failed that failed in more than half of its tests; else in any."""

    def words(self, *, with_names: bool, tell_how: bool) -> str:
        """Return it in words for people.

        Args:
            with_names: Whether networks go by name and address, rather than by kind.
            tell_how: Whether to say what counts as failed.
        """
        named = with_names or self.fact.attribute not in NETWORKS
        where = self.fact.words if named else self.fact.attribute.value
        who = f"{self.failed} of the" if self.failed < self.laptops else "all"
        how = f" in {self.counts_by} of their tests" if tell_how else ""
        return (
            f"{who} {self.laptops} laptops {where} failed{how}, "
            f"{self.failed_elsewhere or 'none'} of {self.elsewhere} elsewhere"
        )

    @property
    def counts_by(self) -> str:
        """In how many of its tests a laptop has to fail to count as failed."""
        return "more than half" if self.mostly else "any"


@dataclass(frozen=True)
class Shared:
    """What the failing laptops of a run share: causes, the strongest first, or none.

    Each cause describes the laptops that those before it don't apply to.
    """

    laptops: int = 0
    failed: int = 0
    """Laptops that failed in any test that counts."""
    causes: tuple[Cause, ...] = ()
    tests: int = 0
    """Tests for which anything is known of the laptops."""
    tests_all_failed: int = 0
    """Those in which all laptops failed, which count for nothing else."""

    def sentence(self, *, with_names: bool = True) -> str:
        """Return it for people, in a sentence or more; empty if no laptop failed.

        Args:
            with_names: Whether networks go by name and address, rather than by kind.
        """
        told = self._causes(with_names=with_names) if self.causes else [self._nothing]
        told.append(self._of_tests_that_all_failed)
        return " ".join(f"{text[0].upper()}{text[1:]}." for text in told if text)

    def headline(self, *, with_names: bool = True) -> str:
        """Return the strongest cause as one sentence; empty if none was found."""
        if not self.causes:
            return ""
        text = self.causes[0].words(with_names=with_names, tell_how=False)
        return f"{text[0].upper()}{text[1:]}."

    def _causes(self, *, with_names: bool) -> list[str]:
        differ = len({cause.mostly for cause in self.causes}) > 1
        words = [cause.words(with_names=with_names, tell_how=differ) for cause in self.causes]
        told = ["; of the other laptops, ".join(words)]
        if self.tests - self.tests_all_failed > 1:
            by = (
                ""
                if differ
                else f", as failed if it failed in {self.causes[0].counts_by} of its tests"
            )
            told.append(f"each laptop counts once{by}")
        return told

    @property
    def _nothing(self) -> str:
        if not self.failed:
            return ""
        if self.failed == self.laptops:
            return "every laptop failed in some test, and nothing sets apart those that failed most"
        return (
            f"nothing that the laptops report differs between the {self.failed} that failed and "
            f"the {self.laptops - self.failed} that passed by more than chance would explain"
        )

    @property
    def _of_tests_that_all_failed(self) -> str:
        if not self.tests_all_failed:
            return ""
        if self.tests == self.tests_all_failed:
            return "every laptop failed, which says nothing about what the failing ones share"
        if not self.failed:  # there is nothing before this that it could refer to
            where = f"{self.tests_all_failed} tests" if self.tests_all_failed > 1 else "one test"
            what = "services" if self.tests_all_failed > 1 else "service"
            return (
                f"in {where} every laptop failed: check the {what} or the path there, not "
                "single laptops"
            )
        if self.tests_all_failed == 1:
            return "a test in which every laptop failed says nothing about that and is left out"
        return (
            f"{self.tests_all_failed} tests in which every laptop failed say nothing about that "
            "and are left out"
        )
