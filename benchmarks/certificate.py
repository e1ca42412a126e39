"""A certificate for localhost, made for one measurement."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def trusted_certificate() -> Iterator[Path | None]:
    """Key and certificate in one file, which this process trusts meanwhile.

    None where there is no openssl command to make one.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "venue.pem"
        made = subprocess.run(
            [openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", "-"],
            capture_output=True, check=True,
        )  # fmt: skip
        with path.open("ab") as file:
            file.write(made.stdout)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(path)
        try:
            yield path
        finally:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before
