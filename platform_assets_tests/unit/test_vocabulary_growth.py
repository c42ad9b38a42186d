import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.profiles.vocabulary import Vocabulary, packaged_vocabulary, vocabulary_from_frames
from platform_assets.profiles.vocabulary_growth import (
    TOPIC_MAX_RATIO,
    TOPIC_MIN_OWNERS,
    GrownVocabulary,
    grow_vocabulary,
)

EMPTY = vocabulary_from_frames(
    pd.DataFrame(columns=["skill_id", "name", "kind", "source"]),
    pd.DataFrame(columns=["alias", "skill_id", "source"]),
)
PACKAGED = packaged_vocabulary()


def repositories(*rows: tuple[str, dict[str, int], list[str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["repository", "languages", "topics"])


def topic_in(count: int, *, of: int, topic: str = "quantum-knitting") -> pd.DataFrame:
    return repositories(*((f"o{n}/r", {}, [topic] if n < count else []) for n in range(of)))


def stored(grown: GrownVocabulary, known: Vocabulary = EMPTY) -> Vocabulary:
    """The vocabulary as it stands once the rows are upserted over what was known."""
    frames = zip(known.frames(), (grown.skills, grown.aliases), ("skill_id", "alias"))
    return vocabulary_from_frames(
        *(pd.concat([old, new]).drop_duplicates(key, keep="last") for old, new, key in frames)
    )


def names(grown: GrownVocabulary) -> set[str]:
    return set(grown.skills["name"])


def test_an_empty_vocabulary_begins_with_the_packaged_list():
    grown = grow_vocabulary(EMPTY, repositories(), [])

    assert set(grown.skills["skill_id"]) == set(PACKAGED.by_id)
    assert set(grown.skills["source"]) == {"packaged"}


def test_what_is_declared_or_written_in_joins_once_under_its_source():
    grown = grow_vocabulary(
        EMPTY, repositories(("o/r", {"Zzlang": 10}, [])), [["Loom Weaving"], ["loom weaving"]]
    )
    new = grown.skills[grown.skills["source"] != "packaged"].set_index("source")

    assert new.loc["github", "name"] == "Zzlang"
    assert new.loc["github", "kind"] == "language"
    assert new.loc["declared", "name"].casefold() == "loom weaving"
    assert len(new) == 2


def test_another_spelling_of_a_known_skill_is_no_new_skill():
    grown = grow_vocabulary(
        EMPTY, repositories(("o/r", {"Python": 10}, [])), [["python"], ["PYTHON "], ["Postgres"]]
    )

    assert set(grown.skills["source"]) == {"packaged"}


def test_a_topic_joins_when_enough_owners_use_it_and_not_nearly_all_repositories():
    most = int(TOPIC_MAX_RATIO * 200)
    for count, joins in (
        (TOPIC_MIN_OWNERS - 1, False),
        (TOPIC_MIN_OWNERS, True),
        (most, True),
        (most + 1, False),
    ):
        grown = grow_vocabulary(EMPTY, topic_in(count, of=200), [])
        assert any("knitting" in name.casefold() for name in names(grown)) is joins, count


def test_a_repository_that_many_work_on_counts_once():
    shared = repositories(
        *(("o/same", {}, ["quantum-knitting"]) for _ in range(8)), *topic_in(0, of=200).to_numpy()
    )

    assert not any("knitting" in name.casefold() for name in names(grow_vocabulary(EMPTY, shared, [])))


def test_what_one_owner_puts_on_all_their_repositories_names_no_skill():
    own = repositories(*((f"o/r{n}", {}, ["quantum-knitting"]) for n in range(9)))
    others = topic_in(0, of=200)

    assert not any(
        "knitting" in name.casefold() for name in names(grow_vocabulary(EMPTY, pd.concat([own, others]), []))
    )


def test_a_repository_in_several_states_brings_all_its_languages():
    grown = grow_vocabulary(EMPTY, repositories(("o/r", {}, []), ("o/r", {"Zzlang": 1}, [])), [])

    assert "Zzlang" in names(grown)


def test_the_packaged_list_corrects_what_is_stored():
    skills, aliases = PACKAGED.frames()
    skills = skills.assign(name="An old name")
    grown = grow_vocabulary(vocabulary_from_frames(skills, aliases), repositories(), [])

    assert "An old name" not in names(grown)
    assert not grown.skills["skill_id"].duplicated().any()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), max_size=4), max_size=6))
def test_growing_again_from_what_is_stored_adds_nothing(declared):
    first = grow_vocabulary(EMPTY, repositories(("o/r", {"Zzlang": 1}, [])), declared)
    known = stored(first)
    again = grow_vocabulary(known, repositories(("o/r", {"Zzlang": 1}, [])), declared)

    assert not first.skills["skill_id"].duplicated().any()
    assert not first.aliases["alias"].duplicated().any()
    assert set(first.aliases["skill_id"]) <= set(first.skills["skill_id"])
    assert stored(again, known).by_id == known.by_id
    assert stored(again, known).by_alias == known.by_alias
