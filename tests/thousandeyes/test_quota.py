import math

import pytest

from tests.thousandeyes.model_server import BOTH, EPOCH, STEMS, ModelServer
from thousandeyes.families import WINDOW, Family
from thousandeyes.quota import DOCUMENTED, GRACE, Permit, Quota
from thousandeyes.replies import Reply

ORGANIZATION = (Family.ORGANIZATION,)
INSTANT = Family.INSTANT


def reply(
    status: int = 200,
    *,
    body: str = "{}",
    at: float = 0,
    retry_after: str | None = None,
    organization: tuple[int, int, float] | None = None,
    instant: tuple[int, int, float] | None = None,
) -> Reply:
    """Make a reply that is written `at` that second; Resets are seconds from zero as well."""
    headers = {"date": _http_date(at)}
    for family, told in ((Family.ORGANIZATION, organization), (INSTANT, instant)):
        if told:
            limit, remaining, reset = told
            headers[f"{STEMS[family]}-limit"] = str(limit)
            headers[f"{STEMS[family]}-remaining"] = str(remaining)
            headers[f"{STEMS[family]}-reset"] = str(int(EPOCH + reset))
    if retry_after is not None:
        headers["retry-after"] = retry_after
    return Reply(status, headers, body, arrived=EPOCH + at)


def _http_date(at: float) -> str:
    server = ModelServer({Family.ORGANIZATION: 1, INSTANT: 1})
    return server.headers(at - 0.25)["date"]


def begun(told: Reply, reserve: float = 0.0) -> Quota:
    """Make a quota that has heard this from its first call."""
    quota = Quota(reserve)
    quota.replied(quota.send(BOTH), told, 0)
    return quota


def sent_at_once(quota: Quota, now: float, at_most: int = 100) -> list[Permit]:
    """Send as many calls as may go out without another word from the API."""
    permits: list[Permit] = []
    while len(permits) < at_most and quota.wait(BOTH, now) == 0:
        permits.append(quota.send(BOTH))
    return permits


def test_an_unknown_quota_lets_one_call_through_alone() -> None:
    quota = Quota()
    assert len(sent_at_once(quota, 0)) == 1
    assert quota.wait(BOTH, 1000) == math.inf
    assert quota.wait(ORGANIZATION, 1000) == math.inf


def test_a_family_that_is_told_does_not_wait_for_one_that_is_asked_about() -> None:
    quota = Quota()
    quota.replied(quota.send(ORGANIZATION), reply(organization=(240, 239, 60)), 0)
    assert len(sent_at_once(quota, 0)) == 1  # asks about the instant tests
    assert quota.wait(ORGANIZATION, 0) == 0


@pytest.mark.parametrize("ending", ["lost", "unsent"])
def test_after_a_first_call_without_a_word_the_next_one_asks(ending: str) -> None:
    quota = Quota()
    permit = quota.send(BOTH)
    quota.lost(permit) if ending == "lost" else quota.unsent(permit)
    assert len(sent_at_once(quota, 0)) == 1


def test_a_quarter_of_the_room_goes_out_until_it_shows_whether_others_use_it() -> None:
    quota = begun(reply(organization=(240, 239, 60), instant=(24, 23, 60)))
    assert len(sent_at_once(quota, 0)) == 5


def test_the_last_calls_of_a_window_go_out_one_at_a_time() -> None:
    quota = begun(reply(organization=(240, 239, 60), instant=(24, 2, 60)))
    assert len(sent_at_once(quota, 0)) == 1


def test_an_empty_window_is_waited_for_until_its_reset() -> None:
    quota = begun(reply(at=10, organization=(240, 100, 60), instant=(24, 0, 55)))
    assert quota.wait(BOTH, 0) == 45
    assert quota.wait(BOTH, 44.9) == pytest.approx(0.1)
    assert quota.wait(BOTH, 45) == 0
    assert len(sent_at_once(quota, 45)) == 1, "unknown again"


def test_the_other_family_goes_on_while_one_is_used_up() -> None:
    quota = begun(reply(organization=(240, 100, 60), instant=(24, 0, 60)))
    assert quota.wait(ORGANIZATION, 0) == 0


def test_the_tighter_family_counts() -> None:
    quota = begun(reply(organization=(240, 4, 60), instant=(24, 23, 60)))
    assert len(sent_at_once(quota, 0)) == 1


def test_the_lowest_remaining_of_a_window_counts_whatever_comes_last() -> None:
    quota = begun(reply(instant=(24, 23, 60)))
    first, second = quota.send(BOTH), quota.send(BOTH)
    quota.replied(second, reply(instant=(24, 3, 60)), 0)
    quota.replied(first, reply(instant=(24, 22, 61)), 0)
    known = quota.families[INSTANT]
    assert (known.told and known.told.remaining) == 3


def test_a_late_reply_of_an_older_window_changes_nothing() -> None:
    quota = begun(reply(instant=(24, 23, 60)))
    late = quota.send(BOTH)
    quota.replied(quota.send(BOTH), reply(instant=(24, 20, 60)), 0)
    assert len(sent_at_once(quota, 60)) == 1
    quota.replied(late, reply(at=59, instant=(24, 22, 60)), 60)
    assert quota.families[INSTANT].told is None
    assert quota.wait(BOTH, 60) == math.inf


def test_a_reply_of_a_newer_window_opens_it() -> None:
    quota = begun(reply(instant=(24, 0, 60)))
    late = quota.send(BOTH)
    quota.replied(late, reply(at=59, instant=(24, 12, 118)), 59)
    assert len(sent_at_once(quota, 59)) == 3


def test_a_reply_that_was_long_on_its_way_does_not_stretch_the_window() -> None:
    quota = begun(reply(at=0, instant=(24, 9, 60)))
    slow = quota.send(BOTH)
    quota.replied(slow, reply(at=1, instant=(24, 0, 60)), 40)
    assert quota.wait(BOTH, 40) == 20


def test_a_skewed_clock_does_no_harm() -> None:
    told = reply(at=3600, instant=(24, 0, 3660))
    quota = begun(Reply(told.status, told.headers, told.body, arrived=EPOCH))
    assert quota.wait(BOTH, 0) == 60


@pytest.mark.parametrize("answer", [reply(500), reply(body="<html>")])
def test_an_untrustworthy_reply_that_tells_nothing_stays_spent(answer: Reply) -> None:
    quota = begun(reply(instant=(24, 23, 60)))
    for _ in range(3):
        quota.replied(quota.send(BOTH), answer, 0)
    assert quota.families[INSTANT].free == 20


def test_a_lost_call_stays_spent_until_the_window_rolls_over() -> None:
    quota = begun(reply(instant=(24, 2, 60)))
    quota.lost(quota.send(BOTH))
    quota.lost(quota.send(BOTH))
    assert quota.wait(BOTH, 0) == 60
    quota.replied(quota.send(BOTH), reply(at=60, instant=(24, 23, 120)), 60)
    assert quota.families[INSTANT].free == 23


def test_a_call_lost_while_a_window_s_first_was_out_may_not_be_in_its_remaining() -> None:
    quota = begun(reply(instant=(3, 2, 60)))
    opens, lost = quota.send(BOTH), quota.send(BOTH)
    quota.lost(lost)
    quota.replied(opens, reply(at=61, instant=(3, 2, 121)), 61)
    assert quota.families[INSTANT].free == 1


def test_a_call_that_never_left_takes_nothing() -> None:
    quota = begun(reply(instant=(24, 1, 60)))
    quota.unsent(quota.send(BOTH))
    assert quota.wait(BOTH, 0) == 0


def test_without_headers_nothing_is_held_back() -> None:
    quota = begun(reply())
    assert len(sent_at_once(quota, 0, at_most=50)) == 50


def test_without_headers_the_organization_has_what_the_documents_name() -> None:
    quota = begun(reply())
    for _ in range(DOCUMENTED - 1):
        assert quota.wait(ORGANIZATION, 7) == 0
        quota.replied(quota.send(ORGANIZATION), reply(), 7)
    assert quota.wait(ORGANIZATION, 7) == 53, "since the first answer"
    quota.replied(quota.send(ORGANIZATION), reply(at=60, organization=(300, 299, 120)), 60)
    assert quota.families[Family.ORGANIZATION].free == 299, "headers overrule it"
    quota.replied(quota.send(ORGANIZATION), reply(), 60)
    assert quota.families[Family.ORGANIZATION].free == 298


def test_the_reserve_is_left_to_others_without_headers_too() -> None:
    quota = begun(reply(), reserve=0.5)
    assert quota.families[Family.ORGANIZATION].free == DOCUMENTED / 2 - 1


def test_a_family_that_was_told_once_and_is_not_now_goes_one_at_a_time() -> None:
    quota = begun(reply(instant=(24, 0, 60)))
    quota.replied(sent_at_once(quota, 60)[0], reply(), 60)
    assert len(sent_at_once(quota, 60)) == 1


@pytest.mark.parametrize(("reserve", "left"), [(0.25, 17), (0.5, 11), (0.99, 0), (0.001, 22)])
def test_the_reserve_is_left_to_others(reserve: float, left: int) -> None:
    quota = begun(reply(instant=(24, 23, 60)), reserve)
    assert quota.families[INSTANT].free == left


def test_the_reserve_leaves_at_least_one_call_to_the_run() -> None:
    quota = begun(reply(instant=(1, 1, 60)), reserve=0.9)
    assert quota.wait(BOTH, 0) == 0


def test_a_429_closes_for_all_until_the_reset_that_explains_it() -> None:
    quota = begun(reply(organization=(240, 200, 42), instant=(24, 9, 42)))
    permit = quota.send(BOTH)
    told = reply(429, at=10, organization=(240, 200, 42), instant=(24, 0, 42))
    quota.replied(permit, told, 10)
    assert quota.wait(ORGANIZATION, 10) == 32
    assert quota.wait(BOTH, 41.5) == 0.5
    assert len(sent_at_once(quota, 42.0)) == 1


def test_of_two_resets_that_explain_a_429_the_later_one_counts() -> None:
    quota = begun(reply(429, organization=(240, 0, 20), instant=(24, 0, 50)))
    assert quota.wait(ORGANIZATION, 0) == 50


def test_a_reset_that_has_passed_waits_a_second() -> None:
    quota = begun(reply(429, at=61, instant=(24, 0, 60)))
    assert quota.wait(BOTH, 0) == GRACE


def test_a_429_after_its_reset_shows_that_windows_go_on_after_theirs() -> None:
    quota = begun(reply(at=60.2, instant=(24, 0, 60)))
    assert quota.wait(BOTH, 0) == 0, "a window that is over"
    quota.replied(quota.send(BOTH), reply(429, at=60.3, instant=(24, 0, 60)), 0)
    quota.replied(quota.send(BOTH), reply(at=61.2, instant=(24, 23, 121)), 1)
    assert quota.families[INSTANT].rolls_over_at == 61, "as long as the one that opened it told"
    quota.replied(quota.send(BOTH), reply(at=62, instant=(24, 0, 121)), 1.8)
    assert quota.families[INSTANT].rolls_over_at == 61
    quota.replied(quota.send(BOTH), reply(at=121.9, instant=(24, 9, 181)), 61.5)
    assert quota.families[INSTANT].rolls_over_at == 61.5 + 60 + 1, "another run opened this one"


@pytest.mark.parametrize(
    "told", [reply(429), reply(429, organization=(240, 9, 30), instant=(24, 9, 30))]
)
def test_a_429_that_nothing_explains_closes_for_a_window(told: Reply) -> None:
    assert begun(told).wait(ORGANIZATION, 0) == WINDOW


def test_a_retry_after_explains_a_429() -> None:
    assert begun(reply(429, retry_after="7")).wait(BOTH, 0) == 7
    assert begun(reply(429, retry_after="0")).wait(BOTH, 0) == GRACE


def test_the_longest_wait_of_several_429s_counts() -> None:
    quota = begun(reply())
    first, second = quota.send(BOTH), quota.send(BOTH)
    quota.replied(first, reply(429, retry_after="30"), 0)
    quota.replied(second, reply(429, retry_after="3"), 1)
    assert quota.wait(BOTH, 1) == 29


@pytest.mark.parametrize("retry_after", [None, "60"])
def test_after_an_unexplained_429_what_was_accepted_is_taken_as_the_limit(
    retry_after: str | None,
) -> None:
    quota = begun(reply())
    for _ in range(9):
        quota.replied(quota.send(BOTH), reply(), 0)
    late, refused = quota.send(BOTH), quota.send(BOTH)
    quota.replied(refused, reply(429, retry_after=retry_after), 1)
    assert quota.assumed == 10
    quota.replied(late, reply(), 2)
    assert quota.assumed == 11, "a reply from before the 429"
    assert quota.wait(BOTH, 2) == 59
    [asks] = sent_at_once(quota, 61)
    quota.replied(asks, reply(), 62)
    assert quota.families[INSTANT].free == 10
    for _ in range(10):
        quota.replied(quota.send(BOTH), reply(), 63)
    assert quota.wait(BOTH, 63) == 59, "counted from the answer that opened the window"


def window_without_headers(quota: Quota, now: float, accepted: int, then: int = 200) -> None:
    """Let calls be accepted from that second on, and one more be answered so."""
    for second in range(accepted + 1):
        answer = reply(then if second == accepted else 200)
        [call] = sent_at_once(quota, now + second, 1)
        quota.replied(call, answer, now + second)


def test_an_assumed_limit_grows_with_each_window_without_a_429_up_to_the_documented_one() -> None:
    quota = begun(reply())
    window_without_headers(quota, 0, accepted=3, then=429)
    assumed = []
    for window in range(1, 7):
        window_without_headers(quota, 100 * window, accepted=0)
        assumed.append(quota.assumed)
    assert assumed == [4, 10, 16, 22, 24, 24]
    window_without_headers(quota, 700, accepted=7, then=429)
    window_without_headers(quota, 800, accepted=0)
    assert quota.assumed == 7, "others use the rest now"
    window_without_headers(quota, 900, accepted=0)
    assert quota.assumed == 13


def test_an_assumed_limit_above_the_documented_one_stays() -> None:
    quota = begun(reply())
    window_without_headers(quota, 0, accepted=39, then=429)
    for window in (1, 2, 3):
        window_without_headers(quota, 100 * window, accepted=0)
    assert quota.assumed == 40


def test_a_429_for_a_call_that_reads_says_nothing_of_the_limit_of_instant_tests() -> None:
    quota = begun(reply())
    quota.replied(quota.send(ORGANIZATION), reply(429), 1)
    assert quota.assumed is None
    assert quota.wait(BOTH, 1) == 60


def test_a_reply_that_is_not_the_apis_own_opens_no_window_of_the_organizations() -> None:
    quota = Quota()
    quota.replied(quota.send(ORGANIZATION), reply(502), 0)
    assert quota.families[Family.ORGANIZATION].told is None
    quota.send(ORGANIZATION)
    assert quota.wait(ORGANIZATION, 1) == math.inf, "one call alone finds out"


def test_headers_overrule_the_assumed_limit() -> None:
    quota = begun(reply())
    quota.replied(quota.send(BOTH), reply(429), 0)
    quota.replied(sent_at_once(quota, 60)[0], reply(at=60, instant=(24, 23, 120)), 60)
    assert quota.assumed is None
    assert quota.families[INSTANT].free == 23


def test_a_limit_is_assumed_also_when_headers_stopped_coming() -> None:
    quota = begun(reply(instant=(24, 0, 60)))
    for now in (60, 61, 62):
        quota.replied(sent_at_once(quota, now)[0], reply(), now)
    quota.replied(sent_at_once(quota, 63)[0], reply(429), 63)
    quota.replied(sent_at_once(quota, 123)[0], reply(), 123)
    assert quota.families[INSTANT].free == 2


def test_a_late_answer_does_not_end_the_asking() -> None:
    quota = begun(reply())
    refused, late = quota.send(BOTH), quota.send(BOTH)
    quota.replied(refused, reply(429), 0)
    quota.replied(late, reply(), 1)
    assert len(sent_at_once(quota, 60)) == 1


def test_an_older_window_s_lower_remaining_does_not_count_in_this_one() -> None:
    quota = begun(reply(instant=(24, 20, 60)))
    late = quota.send(BOTH)
    quota.replied(quota.send(BOTH), reply(at=61, instant=(24, 23, 121)), 61)
    quota.replied(late, reply(at=59, instant=(24, 1, 60)), 61)
    assert quota.families[INSTANT].free == 23


def test_a_window_that_is_over_explains_no_429() -> None:
    quota = begun(reply(instant=(24, 0, 60)))
    quota.replied(quota.send(BOTH), reply(429), 70)
    assert quota.wait(BOTH, 70) == WINDOW


def test_a_window_known_to_be_used_up_explains_a_429_without_headers() -> None:
    quota = begun(reply(instant=(24, 0, 60)))
    quota.replied(quota.send(BOTH), reply(429), 20)
    assert quota.wait(BOTH, 20) == 40
