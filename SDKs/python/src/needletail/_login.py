"""A key for a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail.client import connect

if TYPE_CHECKING:
    from needletail._generated import identity


def login(
    email: str,
    password: str,
    *,
    organization: str = "",
    key_name: str = "",
    expires_in_seconds: int = 0,
    url: str | None = None,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    profile: str | None = None,
    timeout_seconds: float | None = None,
) -> identity.LoginResponse:
    """Gets a key that expires, over a connection of its own without one.

    Connect with its `secret`: `needletail.connect(api_key=needletail.login(...).secret)`.

    Args:
        email: In any case.
        password: At most 1,024 bytes.
        organization: Slug of the organization to work in; may be empty where there is only one.
        key_name: What the key is called; "login" by default.
        expires_in_seconds: How long it works; 0 = 12 hours.
        url: As for `connect`.
        ca_file: As for `connect`.
        certificate_file: As for `connect`.
        key_file: As for `connect`.
        profile: As for `connect`.
        timeout_seconds: Of the call; 30 by default.

    Raises:
        UnauthenticatedError: CREDENTIALS_INVALID, whatever of them is wrong.
        FailedPreconditionError: ORGANIZATION_NEEDED; `details` names those to choose from.
        ResourceExhaustedError: LOGIN_THROTTLED, after too many wrong passwords.
        SettingsError: A setting is missing or can't be used.
    """
    with connect(
        url,
        is_anonymous=True,
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
        profile=profile,
        timeout_seconds=timeout_seconds,
    ) as client:
        return client.identity.login(
            email=email,
            password=password,
            organization=organization,
            key_name=key_name,
            expires_in_seconds=expires_in_seconds,
        )
