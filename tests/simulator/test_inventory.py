import uuid

from thousandeyes.simulator.inventory import seeded_agents, seeded_tests


def test_the_same_seed_gives_the_same_tests_and_agents() -> None:
    assert list(seeded_tests(7, 20, [])) == list(seeded_tests(7, 20, []))
    assert seeded_agents(7, 20) == seeded_agents(7, 20)
    assert seeded_agents(7, 20) != seeded_agents(8, 20)


def test_more_tests_leave_the_first_ones_as_they_are() -> None:
    assert list(seeded_tests(0, 40, []))[:10] == list(seeded_tests(0, 10, []))


def test_tests_have_nine_digits_a_name_of_their_own_and_each_kind_in_turn() -> None:
    tests = list(seeded_tests(0, 500, []))
    assert len({test.name for test in tests}) == 500
    assert all(len(test.id) == 9 and test.id.isdigit() for test in tests)
    assert [test.kind for test in tests[:3]] == [
        "agent-to-server",
        "http-server",
        "agent-to-server",
    ]


def test_given_ids_are_held_in_their_order() -> None:
    assert [test.id for test in seeded_tests(0, ["b", "a"], [])] == ["b", "a"]


def test_some_agents_are_offline_and_have_not_been_seen_for_an_hour() -> None:
    agents = seeded_agents(0, 200)
    offline = [agent for agent in agents if not agent.is_online]
    assert 10 < len(offline) < 50
    assert all(agent.seen_seconds_ago > 3_600 for agent in offline)
    assert agents[0].is_online
    assert all(uuid.UUID(agent.id).version == 4 for agent in agents)
