"""What is signed, and how: the venue's payload rules, HMAC and Ed25519. Pure.

A REST request signs its query string and body as they travel, joined with nothing between. A
WS API request signs every parameter but the signature, sorted by name, as `k=v` joined with `&`,
UTF-8, not percent-encoded. An HMAC signature is hex, an Ed25519 one base64.

Ed25519 comes from `cryptography`: the standard library has no elliptic curves, and one written
here would sign with a real key in time that depends on the key. It is imported where it is used,
so that a fleet with an HMAC key does not wait for it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Protocol

import attrs

from levitrio.errors import UsageError

SIGNATURE = "signature"

Parameter = str | int | bool | None


def ws_payload(params: Mapping[str, Parameter]) -> str:
    """What a WS API request signs: `apiKey` is part of it, `signature` is not."""
    return "&".join(
        f"{name}={_text(params[name])}"
        for name in sorted(params)
        if name != SIGNATURE and params[name] is not None
    )


def _text(value: Parameter) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Signer(Protocol):
    """Signs for one API key. The broker asks it for each signed request."""

    def sign(self, payload: str) -> str:
        """The signature as the venue wants it in the `signature` parameter, not encoded."""


class Verifier(Protocol):
    """Judges signatures of one API key. The simulator asks it."""

    def verify(self, payload: str, signature: str) -> bool:
        """Whether the signature is that of the payload; False for anything malformed."""


@attrs.frozen
class HmacKey:
    """An HMAC-SHA256 secret, which both sides know: signs and verifies."""

    secret: str = attrs.field(repr=False)

    def sign(self, payload: str) -> str:
        """64 hex digits."""
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def verify(self, payload: str, signature: str) -> bool:
        """Upper and lower case are the same."""
        expected = self.sign(payload).encode()
        return hmac.compare_digest(expected, signature.lower().encode())


@attrs.frozen
class Ed25519PrivateKey:
    """A private key as PKCS#8 PEM, without a passphrase. Raises UsageError for anything else."""

    pem: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        # At the start, not at the first order.
        self.sign("")

    def sign(self, payload: str) -> str:
        """88 characters of base64."""
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self.pem.encode(), password=None)
        except (ValueError, TypeError):
            # The library's own text may quote the key.
            key = None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise UsageError("expected an Ed25519 private key as PEM, without a passphrase")
        return base64.b64encode(key.sign(payload.encode())).decode()


@attrs.frozen
class Ed25519PublicKey:
    """A public key as PEM. Raises UsageError for anything else."""

    pem: str

    def __attrs_post_init__(self) -> None:
        self.verify("", "")

    def verify(self, payload: str, signature: str) -> bool:
        """Whether the base64 signature is that of the payload."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(self.pem.encode())
        except ValueError:
            key = None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise UsageError("expected an Ed25519 public key as PEM")
        try:
            key.verify(base64.b64decode(signature, validate=True), payload.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def is_ed25519_pem(secret: str) -> bool:
    """Whether the other side of an API key is a public key rather than an HMAC secret."""
    return secret.lstrip().startswith("-----BEGIN PUBLIC KEY-----")
