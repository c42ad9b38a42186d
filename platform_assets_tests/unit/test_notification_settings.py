"""The file of channels and routes: what it may say, and that everything wrong with it is told at once, without secrets."""

from pathlib import Path

import pytest

from platform_assets.notification_settings import NOBODY, ChannelBook, read_channel_book
from platform_assets.settings import ConfigurationError, load_settings

ENVIRON = {"PLATFORM_SLACK_URL": "slack://hidden-token", "PLATFORM_MAIL_URL": "mailtos://u:hidden@host"}

GOOD = """
canary = "mail"

[channels.oncall]
url_env = "PLATFORM_SLACK_URL"
min_severity = "high"
messages_per_minute = 6
fallback = "mail"

[channels.mail]
url_env = "PLATFORM_MAIL_URL"

[[routes]]
channels = ["oncall"]

[[routes]]
owner = "team:finance-data"
min_severity = "critical"
channels = ["mail", "oncall", "mail"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.toml"


def read(file: Path, text: str) -> tuple[ChannelBook, list[str]]:
    file.write_text(text)
    return read_channel_book(file, ENVIRON)


def test_a_good_file_gives_channels_and_routes(file: Path) -> None:
    book, problems = read(file, GOOD)

    assert problems == []
    oncall = book.channels["oncall"]
    assert (oncall.min_severity, oncall.messages_per_minute, oncall.fallback) == ("high", 6, "mail")
    assert oncall.address() == "slack://hidden-token"
    assert book.routes[1].channels == ("mail", "oncall")
    assert book.canary == "mail"
    assert "hidden" not in repr(book)


def test_everything_wrong_is_told_at_once(file: Path) -> None:
    book, problems = read(
        file,
        """
        canary = "nobody"
        [channels.a]
        url_env = "PLATFORM_UNSET_URL"
        fallback = "b"
        [channels.b]
        url_env = "PLATFORM_SLACK_URL"
        fallback = "a"
        [channels.c]
        url_env = "PLATFORM_MAIL_URL"
        fallback = "missing"
        [[routes]]
        owner = "team:matching"
        channels = ["a", "d"]
        """,
    )

    assert book is NOBODY
    text = "\n".join(problems)
    for part in (
        "canary names 'nobody'",
        "channels.a.fallback leads back to 'a'",
        "channels.b.fallback leads back to 'b'",
        "channels.c.fallback names 'missing'",
        "routes.0.channels names 'd'",
        "no route without an owner",
        "PLATFORM_UNSET_URL is not set",
    ):
        assert part in text
    assert len(problems) == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[channels", "no TOML"),
        ("", "channels: Field required"),
        (
            '[channels.a]\nurl = "slack://hidden"\nurl_env = "PLATFORM_SLACK_URL"\n[[routes]]\nchannels = ["a"]',
            "channels.a.url is unknown: put the address into a variable",
        ),
        (
            '[channels.a]\nurl_env = "slack://hidden"\n[[routes]]\nchannels = ["a"]',
            "channels.a.url_env must name a variable that begins with PLATFORM_",
        ),
        (
            '[channels.a]\nurl_env = "PLATFORM_SLACK_URL"\nmin_severity = "urgent"\n[[routes]]\nchannels = ["a"]',
            "channels.a.min_severity",
        ),
        ('[channels.a]\nurl_env = "PLATFORM_SLACK_URL"\n[[routes]]\nchannels = []', "routes.0.channels"),
    ],
)
def test_a_bad_file_is_explained_and_shows_no_address(file: Path, text: str, told: str) -> None:
    book, problems = read(file, text)

    assert book is NOBODY
    assert any(told in problem for problem in problems), problems
    assert "hidden" not in str(problems)


def test_an_address_that_is_none_is_told_without_being_shown(file: Path) -> None:
    file.write_text('[channels.a]\nurl_env = "PLATFORM_SLACK_URL"\n[[routes]]\nchannels = ["a"]')

    _, problems = read_channel_book(file, {"PLATFORM_SLACK_URL": "hidden-token without a scheme"})

    assert "PLATFORM_SLACK_URL is no Apprise URL" in problems[0]
    assert "hidden" not in problems[0]


def test_bytes_that_are_no_text_are_no_file_of_channels(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")

    assert "no TOML" in read_channel_book(file, {})[1][0]


def test_settings_list_the_problems_of_the_file_beside_their_own(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD)
    monkeypatch.setenv("PLATFORM_NOTIFICATIONS", str(file))
    monkeypatch.setenv("PLATFORM_DEADMAN_URL", "hc-ping.com/hidden")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert "PLATFORM_SLACK_URL is not set" in str(caught.value)
    assert "PLATFORM_MAIL_URL is not set" in str(caught.value)
    assert "PLATFORM_DEADMAN_URL must begin with https://" in str(caught.value)
    assert "hidden" not in str(caught.value)
