"""Messages through the real Apprise to real servers on this machine: mail, webhooks, chats; and the dead man's switch."""

import contextlib
import email
import email.policy
import logging
import socket
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from apprise.plugins.slack import NotifySlack
from scripted_http import Call, Reply, serve

from platform_assets.clients.deadman import DeadmanSwitch
from platform_assets.clients.http_errors import PermanentError, RateLimited, TransientError
from platform_assets.clients.notifier import Message, Notifier, Receipt

MESSAGE = Message(
    "id-1",
    "🟠 high: <b>5 & more</b>",
    "Plain <b>text</b> *stars* and http://ui/runs/1",
    '<p>Rich &lt;script&gt;alert(1)&lt;/script&gt; *stars* &lt;!channel&gt; <a href="http://ui/runs/1">Open</a></p>',
    "warning",
)


def send(address: str, *, timeout_s: float = 5) -> Receipt:
    return Notifier(timeout_s=timeout_s).send("oncall", address, MESSAGE)


class Mailbox:
    """Takes mails, or answers what it is told to."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.recipient_answer = self.data_answer = "250 OK"
        self.port = 0

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  (the library's name)
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  (the library's name)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return self.data_answer

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=platform@example.com&to=team@example.com"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        box.port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@contextlib.contextmanager
def webhook(reply: Reply, calls: list[Call]) -> Iterator[str]:
    def answer(call: Call) -> Reply:
        calls.append(call)
        return reply

    with serve(answer) as url:
        yield url.partition("://")[2]


def test_a_mail_is_read_as_text_and_as_html_and_carries_the_id(mailbox):
    receipt = send(mailbox.address)

    [mail] = mailbox.mails
    assert mail["Subject"] == MESSAGE.title
    assert mail["Idempotency-Key"] == "id-1"
    assert MESSAGE.html in mail.get_body(("html",)).get_content()
    assert "<script>alert(1)</script>" in mail.get_body(("plain",)).get_content()
    assert "Sent Email" in receipt.answer


@pytest.mark.parametrize(
    ("attribute", "answer", "error"),
    [
        ("recipient_answer", "550 no such user", PermanentError),
        ("recipient_answer", "450 try later", TransientError),
        ("data_answer", "554 spam", PermanentError),
        ("data_answer", "451 try later", TransientError),
    ],
)
def test_a_mail_server_refuses_for_good_or_for_now(mailbox, attribute, answer, error):
    setattr(mailbox, attribute, answer)

    with pytest.raises(error, match=answer.split()[0]) as caught:
        send(mailbox.address)

    assert type(caught.value) is error


def test_a_webhook_gets_plain_text_and_the_id():
    calls: list[Call] = []
    with webhook(Reply(202), calls) as host:
        send(f"json://{host}/hook?+X-Team=matching")

    [call] = calls
    assert (call.headers["Idempotency-Key"], call.headers["X-Team"]) == ("id-1", "matching")
    assert call.json()["title"] == MESSAGE.title
    assert call.json()["message"] == MESSAGE.text
    assert call.json()["type"] == "warning"


def test_a_chat_shows_what_an_alert_says_and_obeys_none_of_it(monkeypatch):
    calls: list[Call] = []
    with webhook(Reply(200, b"ok"), calls) as host:
        # The plugin knows no other address than Slack's own.
        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{host}/services")
        send("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")

    attachment = calls[0].json()["attachments"][0]
    assert "<http://ui/runs/1|Open>" in attachment["text"]
    assert "&lt;script&gt;" in attachment["text"]
    assert "&lt;!channel&gt;" in attachment["text"]
    assert r"\*stars\*" in attachment["text"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, PermanentError),
        (400, PermanentError),
        (401, PermanentError),
        (404, PermanentError),
        (410, PermanentError),
        (408, TransientError),
        (429, RateLimited),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_a_status_says_whether_another_try_helps(status, error):
    with (
        webhook(Reply(status, b"hidden-answer", {"location": "http://127.0.0.1:1/"}), []) as host,
        pytest.raises(error, match=f"oncall: could not send a message: HTTP {status}") as caught,
    ):
        send(f"json://user:hidden-password@{host}/hidden-path?token=hidden-query")

    assert type(caught.value) is error
    for secret in ("hidden-password", "hidden-path", "hidden-query"):
        assert secret not in str(caught.value)


def test_nobody_at_the_address_may_pass_and_an_address_that_is_none_does_not():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(TransientError, match="refused"):
        send(f"json://user:hidden-password@127.0.0.1:{port}/hidden-path")
    for address in ("slack://hidden", "nothing at all", "foo://hidden-host"):
        with pytest.raises(PermanentError, match="does not understand") as caught:
            send(address)
        assert "hidden" not in str(caught.value)


def test_an_answer_that_does_not_come_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TransientError):
        send(f"json://127.0.0.1:{silent.getsockname()[1]}/hook", timeout_s=0.5)


def test_apprise_writes_nothing_of_an_address_to_other_logs(caplog):
    root = logging.getLogger()
    seen: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    root.addHandler(handler)
    try:
        with webhook(Reply(200), []) as host:
            send(f"json://user:hidden-password@{host}/hidden-path")
    finally:
        root.removeHandler(handler)

    assert not [line for line in seen if "hidden" in line and "JSON" in line]


def test_the_kind_of_an_address_is_known():
    notifier = Notifier(timeout_s=1)

    assert notifier.kind("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops") == "Slack"
    with pytest.raises(PermanentError):
        notifier.kind("slack://x")


def test_a_sign_of_life_is_a_plain_request():
    calls: list[Call] = []
    with webhook(Reply(200), calls) as host:
        DeadmanSwitch(f"http://{host}/hidden-id", timeout_s=2).ping()

    assert [(call.method, call.path) for call in calls] == [("GET", "/hidden-id")]


@pytest.mark.parametrize(
    ("status", "error"), [(404, PermanentError), (302, PermanentError), (503, TransientError)]
)
def test_a_sign_of_life_that_is_not_taken_is_told_without_the_address(status, error):
    with webhook(Reply(status), []) as host, pytest.raises(error) as caught:
        DeadmanSwitch(f"http://{host}/hidden-id", timeout_s=2).ping()

    assert "hidden" not in str(caught.value)


def test_a_watcher_that_is_away_is_told_without_the_address():
    with pytest.raises(TransientError) as caught:
        DeadmanSwitch("http://127.0.0.1:1/hidden-id", timeout_s=2).ping()

    assert "hidden" not in str(caught.value)
