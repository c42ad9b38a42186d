"""Mails over a real SMTP server on this machine, and into a folder."""

import mailbox
import socket
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller

from platform_assets.clients.mailer import FolderMailer, MailerError, MailRefusedError, SmtpMailer


class Server:
    """Takes mails, or answers what it is told to."""

    def __init__(self):
        self.mails = []
        self.recipient_answer = "250 OK"
        self.data_answer = "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  (the library's name)
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  (the library's name)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return self.data_answer


@pytest.fixture
def server():
    handler = Server()
    controller = Controller(handler, hostname="127.0.0.1", port=0)
    # Port 0 lets the system choose, which the controller itself can't wait for.
    with socket.create_server(("127.0.0.1", 0)) as free:
        controller.port = free.getsockname()[1]
    controller.start()
    handler.port = controller.port
    yield handler
    controller.stop()


def mail():
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "payments@example.com",
        "client@example.com",
        "Überfällig",
    )
    message.set_content("1.250 KWD")
    return message


def test_a_mail_arrives(server):
    SmtpMailer(f"smtp://127.0.0.1:{server.port}", timeout_s=5).send(mail())

    [(sender, recipients, content)] = server.mails
    assert (sender, recipients) == ("payments@example.com", ["client@example.com"])
    assert "1.250 KWD" in content


@pytest.mark.parametrize(
    ("attribute", "answer", "error"),
    [
        ("recipient_answer", "550 no such user", MailRefusedError),
        ("recipient_answer", "450 try later", MailerError),
        ("data_answer", "554 spam", MailRefusedError),
        ("data_answer", "451 try later", MailerError),
    ],
)
def test_a_refusal_is_for_good_or_for_now(server, attribute, answer, error):
    setattr(server, attribute, answer)

    with pytest.raises(error) as caught:
        SmtpMailer(f"smtp://127.0.0.1:{server.port}", timeout_s=5).send(mail())

    assert type(caught.value) is error
    assert getattr(caught.value, "may_have_sent", False) is False


def test_a_server_that_is_not_there_has_sent_nothing_and_no_password_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(MailerError, match="ConnectionRefusedError") as caught:
        SmtpMailer(f"smtp://user:a-secret@127.0.0.1:{port}", timeout_s=5).send(mail())

    assert not caught.value.may_have_sent
    assert "secret" not in str(caught.value)


def test_a_url_that_is_none_is_told_at_once():
    with pytest.raises(ValueError, match="smtps://user:password@host"):
        SmtpMailer("mail.example.com", timeout_s=5)


def test_a_folder_keeps_every_mail(tmp_path):
    mailer = FolderMailer(tmp_path / "home" / "mail")
    mailer.send(mail())
    mailer.send(mail())

    assert [each["To"] for each in mailbox.Maildir(tmp_path / "home" / "mail")] == ["client@example.com"] * 2
