"""Asks for an address as a sign of life, in the manner of healthchecks.io: whoever watches it raises alarm at silence.

Whether a sign may be given is decided elsewhere. The address is a secret: whoever knows it can keep the alarm silent.
"""

from __future__ import annotations

from platform_assets.clients.http_errors import PermanentError, ServiceError, TransientError

SERVICE = "The dead man's switch"


class DeadmanSwitch:
    """A watcher outside.

    Args:
        url: What to ask for. It appears in no message.
        timeout_s: Limit of the call, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = min(timeout_s, 10.0)

    def ping(self) -> None:
        """Give a sign of life.

        Raises:
            ServiceError: It did not arrive.
        """
        import httpx

        try:
            answer = httpx.get(self._url, timeout=self._timeout_s, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The library's texts repeat the address.
            raise TransientError(
                service=SERVICE,
                action="give a sign of life",
                detail=f"{type(error).__name__} (no usable answer)",
            ) from None
        if not answer.is_success:
            raise _refusal(answer.status_code)


def _refusal(status: int) -> ServiceError:
    cls = TransientError if status >= 500 or status == 429 else PermanentError
    return cls(service=SERVICE, action="give a sign of life", status=status, detail="the sign was not taken")
