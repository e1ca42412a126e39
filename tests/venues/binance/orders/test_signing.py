"""Payload rules and signatures, against published vectors."""

import json
from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.venues.binance.orders.signing import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
    HmacKey,
    Parameter,
    is_ed25519_pem,
    ws_payload,
)
from tests.paths import SHARED

VECTORS = SHARED / "vectors" / "signatures.json"

PRIVATE = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u
-----END PRIVATE KEY-----
"""
"""The venue's published example key."""

PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0=
-----END PUBLIC KEY-----
"""


def vectors(kind: str) -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    return [each for each in json.loads(VECTORS.read_text()) if each["kind"] == kind]


@pytest.mark.skipif(not VECTORS.exists(), reason="no ../shared/data beside the checkout")
def test_published_hmac_vectors() -> None:
    """Each published payload has its published signature."""
    found = vectors("hmac-sha256")
    assert len(found) >= 3
    for vector in found:
        key = HmacKey(vector["key"])
        assert key.sign(vector["payload"]) == vector["signature"]
        assert key.verify(vector["payload"], vector["signature"].upper())


@pytest.mark.skipif(not VECTORS.exists(), reason="no ../shared/data beside the checkout")
def test_published_ed25519_vectors() -> None:
    """Each published payload has its published signature, and the public key agrees."""
    pytest.importorskip("cryptography")
    found = vectors("ed25519")
    assert found
    for vector in found:
        private = Ed25519PrivateKey(vector["private_key_pem"])
        assert private.sign(vector["payload"]) == vector["signature"]
        public = Ed25519PublicKey(vector["public_key_pem"])
        assert public.verify(vector["payload"], vector["signature"])


def test_a_ws_payload_is_sorted_and_not_encoded() -> None:
    """Sorted by name, signature left out, booleans as JSON text."""
    params: dict[str, Parameter] = {
        "symbol": "日本USDT",
        "apiKey": "A",
        "signature": "x",
        "flag": False,
        "n": 5,
    }
    assert ws_payload(params) == "apiKey=A&flag=false&n=5&symbol=日本USDT"


@pytest.mark.parametrize("signature", ["", "zz", "é", "0" * 64, "=" * 88, "A" * 87])
def test_a_wrong_signature_is_no_error(signature: str) -> None:
    """Whatever a client sends as a signature is at worst not one."""
    assert not HmacKey("secret").verify("a=1", signature)
    pytest.importorskip("cryptography")
    assert not Ed25519PublicKey(PUBLIC).verify("a=1", signature)


def test_a_key_is_refused_when_it_is_read() -> None:
    """Not an Ed25519 key: said at once, and without quoting it."""
    pytest.importorskip("cryptography")
    canary = PRIVATE.replace("MC4CAQAw", "canary00")
    for wrong in (canary, "canary", PUBLIC):
        with pytest.raises(UsageError, match="expected an Ed25519 private key") as caught:
            Ed25519PrivateKey(wrong)
        assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match="expected an Ed25519 public key"):
        Ed25519PublicKey(PRIVATE)


def test_secrets_do_not_show() -> None:
    """A key in a traceback or a log shows nothing."""
    pytest.importorskip("cryptography")
    assert "canary" not in repr(HmacKey("canary"))
    assert "BEGIN" not in repr(Ed25519PrivateKey(PRIVATE))


def test_kinds_of_keys_are_told_apart() -> None:
    """A public key is PEM, everything else is an HMAC secret."""
    assert is_ed25519_pem(PUBLIC)
    assert not is_ed25519_pem("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
