import pytest

from platform_assets.settings import ConfigurationError, is_off, load_settings

PRODUCTION = {
    "PLATFORM_DATABASE_URL": "postgresql://platform:hunter2@db/app",
    "PLATFORM_DAGSTER_DATABASE_URL": "postgresql://dagster:hunter2@db/dagster",
    "PLATFORM_GITHUB_TOKEN": "off",
    "PLATFORM_STRIPE_API_KEY": "rk_live_123",
    "PLATFORM_NEO4J_URI": "off",
    "PLATFORM_GEMINI_API_KEY": "off",
    "PLATFORM_NOTIFICATIONS": "off",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    import os

    for name in list(os.environ):
        if name.startswith("PLATFORM_"):
            monkeypatch.delenv(name)
    return monkeypatch


def set_all(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


def test_without_a_database_url_it_is_a_sandbox(environment: pytest.MonkeyPatch) -> None:
    assert load_settings().is_sandbox


def test_a_stray_variable_of_another_tool_changes_nothing(environment: pytest.MonkeyPatch) -> None:
    before = load_settings()
    set_all(
        environment,
        {"GITHUB_TOKEN": "ghp_x", "DATABASE_URL": "postgresql://x/y", "STRIPE_API_KEY": "sk_live_x"},
    )

    assert load_settings() == before


def test_an_empty_variable_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PLATFORM_DATABASE_URL", "")

    assert load_settings().is_sandbox


@pytest.mark.parametrize("key", ["sk_live_abc", "rk_live_abc"])
def test_a_live_key_in_the_sandbox_is_refused_without_being_shown(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    environment.setenv("PLATFORM_STRIPE_API_KEY", key)

    with pytest.raises(ConfigurationError, match="live key") as caught:
        load_settings()
    assert key not in str(caught.value)


def test_production_lists_everything_that_is_missing_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PLATFORM_DATABASE_URL", PRODUCTION["PLATFORM_DATABASE_URL"])

    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    for name in PRODUCTION.keys() - {"PLATFORM_DATABASE_URL"}:
        assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_production_takes_services_configured_or_switched_off(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, PRODUCTION)

    settings = load_settings()

    assert not settings.is_sandbox
    assert is_off(settings.github_token)
    assert not is_off(settings.stripe_api_key)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("key", "mode", "complaint"),
    [("sk_test_1", None, "PLATFORM_STRIPE_MODE=test"), ("sk_live_1", "test", "live key")],
)
def test_a_key_of_the_wrong_mode_is_refused(
    environment: pytest.MonkeyPatch, key: str, mode: str | None, complaint: str
) -> None:
    set_all(environment, {**PRODUCTION, "PLATFORM_STRIPE_API_KEY": key})
    if mode:
        environment.setenv("PLATFORM_STRIPE_MODE", mode)

    with pytest.raises(ConfigurationError, match=complaint):
        load_settings()


def test_a_malformed_value_is_named_without_being_shown(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, {"PLATFORM_AS_OF": "yesterday", "PLATFORM_SANDBOX_ERROR_RATE": "7"})

    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "PLATFORM_AS_OF" in str(caught.value)
    assert "PLATFORM_SANDBOX_ERROR_RATE" in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_faults_of_more_than_every_call_are_refused(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, {"PLATFORM_SANDBOX_ERROR_RATE": "0.7", "PLATFORM_SANDBOX_TIMEOUT_RATE": "0.4"})

    with pytest.raises(ConfigurationError, match="PLATFORM_SANDBOX_TIMEOUT_RATE together exceed 1"):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"PLATFORM_NEO4J_URI": "neo4j+s://graph.example.com"}, "PLATFORM_NEO4J_PASSWORD is not set"),
        ({"PLATFORM_NEO4J_URI": "https://graph.example.com"}, "no address of a Neo4j"),
        ({"PLATFORM_NEO4J_URI": "neo4j"}, "no address of a Neo4j"),
        ({"PLATFORM_NEO4J_URI": "bolt://neo4j:hunter2@graph"}, "holds a user or a password"),
    ],
)
@pytest.mark.parametrize("base", [{}, PRODUCTION], ids=["sandbox", "production"])
def test_a_neo4j_that_cannot_work_is_told_in_either_mode(
    environment: pytest.MonkeyPatch, base: dict[str, str], variables: dict[str, str], complaint: str
) -> None:
    set_all(environment, base | variables)

    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_neo4j_with_a_password_is_taken_and_the_password_not_shown(
    environment: pytest.MonkeyPatch,
) -> None:
    set_all(
        environment,
        PRODUCTION | {"PLATFORM_NEO4J_URI": "neo4j+s://graph", "PLATFORM_NEO4J_PASSWORD": "hunter2"},
    )

    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize(
    ("variables", "is_retrying"),
    [
        ({}, True),
        ({"PLATFORM_PAYMENT_RETRIES": "off"}, False),
        (PRODUCTION, False),
        (PRODUCTION | {"PLATFORM_PAYMENT_RETRIES": "on"}, True),
    ],
)
def test_production_charges_again_only_when_told_to(
    environment: pytest.MonkeyPatch, variables: dict[str, str], is_retrying: bool
) -> None:
    set_all(environment, variables)

    assert load_settings().is_retrying_payments is is_retrying


def test_production_sends_reminders_only_when_told_how(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, PRODUCTION | {"PLATFORM_PAYMENT_REMINDERS": "on"})
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    environment.setenv("PLATFORM_PAYMENT_REMINDER_SENDER", "payments@example.com")
    environment.setenv("PLATFORM_PAYMENT_REMINDER_SMTP_URL", "https://user:hunter2@mail.example.com")
    with pytest.raises(ConfigurationError, match="must begin with smtps://") as other:
        load_settings()
    environment.setenv("PLATFORM_PAYMENT_REMINDER_SMTP_URL", "smtps://user:hunter2@mail.example.com")

    assert "PLATFORM_PAYMENT_REMINDER_SENDER" in str(caught.value)
    assert "PLATFORM_PAYMENT_REMINDER_SMTP_URL" in str(caught.value)
    assert "hunter2" not in str(other.value)
    assert load_settings().payment_reminders == "on"
