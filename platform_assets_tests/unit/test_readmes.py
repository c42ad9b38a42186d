import datetime as dt

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.clients.gemini import MAX_TEXT_CHARS
from platform_assets.clients.github_readmes import Readme
from platform_assets.profiles.readmes import (
    COLUMNS,
    MIN_COMMITS,
    READMES_PER_DEVELOPER,
    REREAD_AFTER,
    RETRY_AFTER,
    due_repositories,
    own_repositories,
    readme_rows,
    readme_words,
)

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
DAY = pd.Timestamp(2026, 10, 1)


def repositories(*rows):
    columns = ["developer_id", "repository", "is_fork", "commits_count", "last_contributed_on"]
    return pd.DataFrame([(*row, DAY)[:5] for row in rows], columns=columns)


def accounts(**logins):
    values = pd.Series(list(logins.values()), dtype="str")
    return pd.DataFrame({"developer_id": list(logins), "current_login": values})


def own(*names, worked_on=DAY):
    return pd.DataFrame(
        {"developer_id": "d", "repository": pd.Series(names, dtype="str"), "last_contributed_on": worked_on}
    )


def known(*rows):
    frame = pd.DataFrame(
        [
            {
                "repository": name,
                "state": state,
                "path": "README.md",
                "oid": "old",
                "bytes_count": 5,
                "text": text,
                "is_truncated": False,
                "failure": None,
                "worked_on": DAY,
                "asked_at": asked_at,
            }
            for name, state, text, asked_at in rows
        ],
        columns=COLUMNS,
    )
    return frame.astype(
        {"repository": "str", "asked_at": "datetime64[us, UTC]", "worked_on": "datetime64[s]"}
    )


NOTHING = known()


def test_only_own_repositories_with_own_work_speak_of_a_developer():
    found = own_repositories(
        repositories(
            ("d", "Me/mine", False, 500),
            ("d", "me/fork", True, 900),
            ("d", "me/tried-once", False, MIN_COMMITS - 1),
            ("d", "torvalds/linux", False, 800),
            ("e", "me/mine", False, 300),
            ("f", "someone/thing", False, 300),
        ),
        accounts(d="ME", e="other"),
    )

    assert found[["developer_id", "repository"]].to_numpy().tolist() == [["d", "Me/mine"]]


def test_of_many_repositories_those_with_the_most_work_count():
    rows = [("d", f"me/{name}", False, commits) for name, commits in zip("abcdef", (20, 90, 50, 90, 11, 60))]

    found = own_repositories(repositories(*rows), accounts(d="me"))

    assert len(found) == READMES_PER_DEVELOPER
    assert list(found["repository"]) == ["me/b", "me/d", "me/f"]


def test_no_repository_at_all_is_no_error():
    assert own_repositories(repositories(), accounts()).empty
    assert due_repositories(own(), NOTHING, now=NOW).empty


def test_a_readme_is_due_when_new_worked_on_failed_a_while_ago_or_long_not_asked_for():
    just, while_ago, long_ago = NOW - dt.timedelta(minutes=5), NOW - RETRY_AFTER, NOW - REREAD_AFTER
    before = known(
        ("a/fresh", "read", "x", just),
        ("a/none", "none", None, just),
        ("a/failed-just-now", "failed", "x", just),
        ("a/failed", "failed", "x", while_ago),
        ("a/old", "read", "x", long_ago),
    )
    names = [*before["repository"], "a/new"]

    assert list(due_repositories(own(*names), before, now=NOW)["repository"]) == [
        "a/new",
        "a/old",
        "a/failed",
    ]

    later = own("a/fresh", "a/none", "a/failed-just-now", worked_on=DAY + dt.timedelta(days=1))
    assert list(due_repositories(later, before, now=NOW)["repository"]) == ["a/fresh", "a/none"]


def test_of_a_long_text_the_beginning_is_kept_and_that_it_was_cut_is_told():
    due = due_repositories(own("a/b", "a/c"), NOTHING, now=NOW)
    long = Readme("a/b", "read", "README.md", "oid", 1_000_000, "Rust 🦀\n" * 140_000)
    odd = Readme("a/c", "read", "README", "oid", 20, "nul \0 and half \ud83d of a pair")

    rows = readme_rows([long, odd], due, NOTHING, asked_at=NOW).set_index("repository")

    assert MAX_TEXT_CHARS - 10 < len(rows.loc["a/b", "text"]) <= MAX_TEXT_CHARS
    assert rows.loc["a/b", "is_truncated"]
    assert rows.loc["a/b", "bytes_count"] == 1_000_000
    assert rows.loc["a/c", "text"] == "nul and half ? of a pair"
    assert not rows.loc["a/c", "is_truncated"]
    assert list(rows["worked_on"]) == [DAY, DAY]


def test_a_failed_read_keeps_what_was_known_and_stays_due():
    before = known(("a/b", "read", "Known.", NOW - REREAD_AFTER))
    due = due_repositories(own("a/b", worked_on=DAY + dt.timedelta(days=9)), before, now=NOW)

    [row] = readme_rows([Readme("a/b", "failed", failure="it hung")], due, before, asked_at=NOW).to_dict(
        "records"
    )

    assert (row["text"], row["oid"], row["state"], row["failure"]) == ("Known.", "old", "failed", "it hung")
    assert row["worked_on"] == DAY
    again = pd.DataFrame([row]).astype(NOTHING.dtypes)
    later = NOW + RETRY_AFTER
    assert list(due_repositories(own("a/b"), again, now=later)["repository"]) == ["a/b"]
    [mended] = readme_rows(
        [Readme("a/b", "unchanged", "README.md", "old", 5)], due, again, asked_at=later
    ).to_dict("records")
    assert (mended["text"], mended["state"], mended["failure"]) == ("Known.", "read", None)
    assert mended["worked_on"] == DAY + dt.timedelta(days=9)


def test_a_readme_that_has_gone_leaves_no_text():
    before = known(("a/b", "read", "Known.", NOW - REREAD_AFTER))
    due = due_repositories(own("a/b"), before, now=NOW)

    [row] = readme_rows([Readme("a/b", "none")], due, before, asked_at=NOW).to_dict("records")

    assert row["state"] == "none"
    assert row["text"] is None


def test_words_are_what_people_read_not_code_images_or_addresses():
    text = """# My *tool* 🚀

<p align="center"><img src="https://x/terraform.png" alt="Ansible"></p>

[![build](https://ci/jenkins.svg)](https://ci) A [parser](https://cobol.example) for
`JSON`, in Rust.

```bash
npm install kubernetes
```

    pip install django

- fast
- Быстрый 日本語
"""
    words = readme_words(text)

    assert words.splitlines() == ["My tool 🚀", "A parser for JSON, in Rust.", "fast", "Быстрый 日本語"]


def test_other_formats_read_well_enough():
    assert "Written in Haskell." in readme_words("Title\n=====\n\nWritten in Haskell.\n\n.. code:: bash\n")
    assert readme_words("") == readme_words("\n \n") == readme_words("<!-- nothing -->") == ""


@given(st.text(max_size=2_000))
def test_any_text_can_be_read(text):
    assert isinstance(readme_words(text), str)
