from thousandeyes.outcomes import MEANING, Outcome, VerdictName


def test_every_ending_has_a_meaning_that_is_a_sentence() -> None:
    assert set(MEANING) == {*Outcome, *VerdictName}
    assert all(meaning.tells.endswith(".") for meaning in MEANING.values())


def test_no_meaning_contradicts_itself() -> None:
    for ending, meaning in MEANING.items():
        assert not (meaning.good and meaning.in_doubt), ending
        assert not (meaning.in_doubt and meaning.unheard), ending
        assert not (meaning.kept and (meaning.in_doubt or meaning.unheard)), ending
