"""TLS as the protocol asks for it: 1.3, ALPN, a certificate that bears the server's name."""

from __future__ import annotations

import platform
import ssl
from typing import TYPE_CHECKING

from needletail._version import VERSION
from needletail.errors import TLS_FAILED, CallError, Code, SettingsError, call_error

if TYPE_CHECKING:
    from needletail.settings import Settings

PROTOCOL = "needletail/1"


def client_name() -> str:
    """What Hello says about this program: `needletail-python/0.1.0 cpython/3.12.1 linux`."""
    python = f"{platform.python_implementation().lower()}/{platform.python_version()}"
    return f"needletail-python/{VERSION} {python} {platform.system().lower()}"


def make_context(settings: Settings) -> ssl.SSLContext:
    """The context of all of a client's connections.

    Raises:
        SettingsError: A certificate file can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([PROTOCOL])
    try:
        if settings.ca_file or settings.ca_pem:
            # A server's own certificate may be trusted, without its issuer.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cafile=settings.ca_file, cadata=settings.ca_pem)
        else:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except OSError as error:
        stored = "the profile" if settings.ca_pem else None
        files = ", ".join(filter(None, (settings.ca_file, stored, settings.certificate_file)))
        raise SettingsError(f"cannot load certificates from {files}: {error}") from None
    return context


def wrong_protocol(address: str, chosen: str | None) -> CallError | None:
    """What is wrong when the server didn't choose the protocol in the handshake."""
    if chosen == PROTOCOL:
        return None
    message = f"{address} does not speak {PROTOCOL}"
    return call_error(Code.UNAVAILABLE, TLS_FAILED, message)


def permanent_failure(address: str, error: BaseException) -> CallError | None:
    """The error of a handshake that fails the same way next time; None when it may not.

    A server looks at a client's certificate when the handshake has ended here (TLS 1.3), so what
    fails before the first byte of the server belongs to it.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of {address} is not trusted: {error.verify_message}"
        return call_error(Code.UNAVAILABLE, TLS_FAILED, message)
    lasting = ("ALERT", "PROTOCOL", "VERSION", "WRONG")
    if isinstance(error, ssl.SSLError) and error.reason and _any_in(lasting, error.reason):
        message = f"TLS with {address}: {error.reason}"
        if _any_in(("CERTIFICATE", "UNKNOWN_CA"), error.reason):
            message += "; the server asks for a client's certificate that it trusts: name one with"
            message += " certificate_file and key_file, or in the environment"
        return call_error(Code.UNAVAILABLE, TLS_FAILED, message)
    return None


def _any_in(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)
