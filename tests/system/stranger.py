"""Tries to connect to a replica's peer port without a key of the cluster. Succeeds when the replica refuses.

Usage: stranger.py PEER-PORT
"""

import asyncio
import datetime
import ssl
import sys

from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID


def own_certificate():
    """A certificate that nobody has pinned."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, None), key


async def main() -> None:
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["quorate-peer/1"], verify_mode=ssl.CERT_NONE)
    configuration.certificate, configuration.private_key = own_certificate()
    try:
        async with asyncio.timeout(10), connect("127.0.0.1", int(sys.argv[1]), configuration=configuration) as client:
            await client.ping()
    except (ConnectionError, TimeoutError, OSError):
        return
    sys.exit("expected the replica to refuse, but it let a stranger in")


asyncio.run(main())
