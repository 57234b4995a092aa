"""A certificate for the peers: the kind that Needletail uses, ECDSA on P-256."""

from dataclasses import dataclass
from pathlib import Path

from Benchmarks.processes import output_of, program


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for localhost and its key."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        """Makes both in the folder."""
        made = cls(folder / "peer.crt", folder / "peer.key")
        output_of(
            [
                *(program("openssl", "openssl"), "req", "-x509", "-nodes", "-days", "2"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
                *("-keyout", str(made.key), "-out", str(made.certificate)),
            ],
            limit_seconds=20,
        )
        return made
