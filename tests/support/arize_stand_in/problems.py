"""What is wrong with a request, as AX says it (RFC 9457)."""

from __future__ import annotations

from typing import Any

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Problem(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def body(self, path: str) -> dict[str, Any]:
        title = TITLES.get(self.status, "Error")
        kind = title.lower().replace(" ", "-")
        return {
            "type": f"https://arize.com/docs/ax/rest-reference/errors#{kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "instance": path,
            "error_code": kind.upper().replace("-", "_"),
        }
