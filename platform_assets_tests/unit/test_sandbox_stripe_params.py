import pytest

from platform_assets.sandbox.stripe.params import Params, StripeError, parse_form


def test_bracket_notation_becomes_groups_and_lists():
    parsed = parse_form(
        [
            ("amount", "100"),
            ("metadata[payment_id]", "p-1"),
            ("created[gte]", "1"),
            ("expand[]", "data.charge"),
            ("expand[]", "data.customer"),
            ("payment_method_types[0]", "card"),
            ("card[token]", "tok_visa"),
        ]
    )

    assert parsed == {
        "amount": "100",
        "metadata": {"payment_id": "p-1"},
        "created": {"gte": "1"},
        "expand": ["data.charge", "data.customer"],
        "payment_method_types": ["card"],
        "card": {"token": "tok_visa"},
    }


@pytest.mark.parametrize("pairs", [[("a", "1"), ("a[b]", "2")], [("[a]", "1")], [("a[", "1")], [("", "1")]])
def test_malformed_names_are_refused(pairs):
    with pytest.raises(StripeError, match="Invalid parameter name"):
        parse_form(pairs)


def test_a_parameter_that_the_endpoint_does_not_take_is_named():
    with pytest.raises(StripeError) as error:
        Params({"amout": "1"}, ("amount",))

    assert (error.value.code, error.value.param) == ("parameter_unknown", "amout")


@pytest.mark.parametrize("value", ["ten", "1.5", "", "1" * 40, "١"])
def test_what_is_no_whole_number_is_refused(value):
    params = Params({"limit": value}, ("limit",))
    if value == "":
        assert params.integer("limit") is None
        return
    with pytest.raises(StripeError, match="Invalid integer") as error:
        params.integer("limit")
    assert error.value.param == "limit"


def test_numbers_outside_their_limits_are_refused_with_the_limit():
    params = Params({"limit": "101"}, ("limit",))

    with pytest.raises(StripeError, match="less than or equal to 100 "):
        params.integer("limit", minimum=1, maximum=100)


def test_a_timestamp_may_be_bare_or_a_range():
    assert Params({"created": "5"}, ("created",)).window("created") == {"gte": 5, "lte": 5}
    assert Params({"created": {"gt": "5", "lte": "9"}}, ("created",)).window("created") == {"gt": 5, "lte": 9}
    with pytest.raises(StripeError, match="Invalid range"):
        Params({"created": {"after": "5"}}, ("created",)).window("created")
