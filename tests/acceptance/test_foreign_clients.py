"""Clients of other projects, each in a virtual environment of its own, against `levi simulator`.

They are judges, not dependencies: what they take for the venue must be good enough for a fleet.
Where one cannot be installed its test is skipped and says why.
"""

import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parent / "clients"

_INSTALL_SECONDS = 300
_JUDGE_SECONDS = 120

JUDGES = [
    ("ccxt", "ccxt_rest.py"),
    ("ccxt", "ccxt_streams.py"),
    ("python-binance", "python_binance.py"),
    ("binance-sdk-spot", "official_sdk.py"),
]
"""Package and the script that uses it."""


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | str]:
    """Package -> the Python that has it, or why there is none."""
    found: dict[str, Path | str] = {}
    for package in dict.fromkeys(package for package, _ in JUDGES):
        home = tmp_path_factory.mktemp(package)
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        command = [str(python), "-m", "pip", "install", "--quiet", package]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            found[package] = f"{package} could not be installed in {_INSTALL_SECONDS} s"
            continue
        failure = (done.stderr.strip() or "no reason given").splitlines()[-1]
        found[package] = python if done.returncode == 0 else f"{package}: {failure}"
    return found


@contextmanager
def simulator(secret: str) -> Iterator[tuple[str, str]]:
    """A simulator as its own process; gives its http and ws urls."""
    command = [sys.executable, "-c", "from levitrio.cli.main import main; main()", "simulator"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--api-key", "K", "--api-secret", secret],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        orders = [process.stdout.readline(), process.stdout.readline()][1].split()
        ws = orders[1].removesuffix("/ws-api/v3")
        http = orders[3].removesuffix("/api/v3")
        yield http, ws
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def judge(python: Path | str, script: str, *arguments: str) -> None:
    """Run a client's script; it ends with `fine`, or says what is wrong."""
    if isinstance(python, str):
        pytest.skip(python)
    done = subprocess.run(
        [python, CLIENTS / script, *arguments],
        capture_output=True,
        text=True,
        timeout=_JUDGE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("fine\n"), done.stdout


@pytest.mark.parametrize(("package", "script"), JUDGES, ids=[script for _, script in JUDGES])
def test_a_foreign_client_believes_us(
    package: str, script: str, environments: dict[str, Path | str]
) -> None:
    """Markets, candles, streams, order book, signed orders, user data: as from the venue."""
    with simulator("S") as (http, ws):
        judge(environments[package], script, http, ws)


def test_the_official_client_logs_on(environments: dict[str, Path | str], tmp_path: Path) -> None:
    """With an Ed25519 key: signed REST, session.logon, and requests without a signature."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ed25519

    private = ed25519.Ed25519PrivateKey.generate()
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(
        private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    public = private.public_key().public_bytes(
        pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo
    )
    with simulator(public.decode()) as (http, ws):
        judge(environments["binance-sdk-spot"], "official_sdk.py", http, ws, str(key_file))
