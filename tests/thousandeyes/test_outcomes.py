from thousandeyes.outcomes import GOOD, IN_DOUBT, KEPT, MEANING, OPEN, UNHEARD, Outcome, VerdictName


def test_every_ending_has_a_meaning_that_is_a_sentence() -> None:
    assert set(MEANING) == {*Outcome, *VerdictName}
    assert all(meaning.endswith(".") for meaning in MEANING.values())


def test_no_ending_contradicts_itself() -> None:
    assert not IN_DOUBT & (GOOD | KEPT | UNHEARD)
    assert not KEPT & UNHEARD
    assert not GOOD & OPEN
