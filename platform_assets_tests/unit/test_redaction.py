import pytest

from platform_assets.monitoring.redaction import REDACTED, redact, redact_text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://app:p@ss:w0rd@db:5432/x failed", f"postgresql://app:{REDACTED}@db:5432/x failed"),
        ("postgresql://app:pa/ss@db/x failed", f"postgresql://app:{REDACTED}@db/x failed"),
        ("of pi_3OexampleIntent_secret_x9 there", f"of {REDACTED} there"),
        ("redis://:secret@cache/0", f"redis://:{REDACTED}@cache/0"),
        ("host=db password=hunter2 user=app", f"host=db password={REDACTED} user=app"),
        ("with Bearer abcdefgh.ijk there", f"with Bearer {REDACTED} there"),
        ("Authorization: Bearer abcdefgh.ijk\nAccept: */*", f"Authorization: {REDACTED}\nAccept: */*"),
        ("Cookie: session=x; other=y", f"Cookie: {REDACTED}"),
        ('password = "hunter two" for app', f"password = {REDACTED} for app"),
        ("X-Api-Key: hunter2 given", f"X-Api-Key: {REDACTED} given"),
        ("pwd=hunter2;db=x", f"pwd={REDACTED};db=x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- end", f"{REDACTED} end"),
        ("-----BEGIN PRIVATE KEY-----\nMII cut", REDACTED),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.abc expired", f"{REDACTED} expired"),
        ("AKIAIOSFODNN7EXAMPLE is unknown", f"{REDACTED} is unknown"),
        ("https://discord.com/api/webhooks/1/ab-c", f"https://discord.com/api/webhooks/{REDACTED}"),
        ("key sk_live_51H8x and rk_test_9 fail", f"key {REDACTED} and {REDACTED} fail"),
        ("ghp_0123456789abcdef is revoked", f"{REDACTED} is revoked"),
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{REDACTED}"),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, clean: str) -> None:
    assert redact_text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "matches are 3 hours old",
        "tokens left: none of 5000 was counted",
        "the secret santa of the authorization office",
        "compared by key: payment_id",
        "https://github.com/owner/name?page=2",
        "http://localhost:8080/users?mail=a@b",
        "postgresql://app@db/x",
        "pi_3OexampleIntent needs a new payment method",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_values_under_names_of_secrets_are_taken_out_and_counts_stay() -> None:
    details = {
        "github_token": "x",
        "api_keys": ["x"],
        "tokens_count": 7,
        "text_sha256": "0f",
        "deep": {"Password": "x"},
        "credentials": {"user": {"pin": "x"}, "count": 1},
    }

    assert redact(details) == {
        "github_token": REDACTED,
        "api_keys": REDACTED,
        "tokens_count": 7,
        "text_sha256": "0f",
        "deep": {"Password": REDACTED},
        "credentials": {"user": {"pin": REDACTED}, "count": 1},
    }
