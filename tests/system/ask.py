"""Asks one replica over UDP, TCP, TLS, QUIC and HTTPS with dnspython, and has verify.py judge each certificate.

Usage: ask.py CLUSTER.toml DNS-PORT TLS-PORT QUIC-PORT HTTPS-PORT
"""

import pathlib
import subprocess
import sys
import tempfile

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

HOST = "127.0.0.1"
NAME = "www.example.org"
OPTION = 65321
TIMEOUT = 10
H2 = dns.query.HTTPVersion.HTTP_2


def query(flag: int) -> dns.message.Message:
    """A query that asks for a certificate (1) or a reference (2)."""
    option = dns.edns.GenericOption(OPTION, bytes([flag]))
    return dns.message.make_query(NAME, "A", use_edns=0, payload=1232, options=[option])


def carried(response: dns.message.Message) -> bytes:
    """The data of the option in a response."""
    found = [option.to_wire() for option in response.options if int(option.otype) == OPTION]
    assert len(found) == 1, f"expected one option, found {len(found)}: {response}"
    return found[0]


def main() -> None:
    cluster, udp_tcp, tls, quic, https = sys.argv[1], *map(int, sys.argv[2:6])
    transports = {
        "tcp": lambda q: dns.query.tcp(q, HOST, port=udp_tcp, timeout=TIMEOUT),
        "tls": lambda q: dns.query.tls(q, HOST, port=tls, timeout=TIMEOUT, verify=False),
        "quic": lambda q: dns.query.quic(q, HOST, port=quic, timeout=TIMEOUT, verify=False),
        "https": lambda q: dns.query.https(q, f"https://{HOST}:{https}/dns-query", timeout=TIMEOUT, verify=False, http_version=H2),
    }
    answers = set()
    for name, ask in transports.items():
        response = ask(query(1))
        data = carried(response)
        assert data[0] == 1, f"{name}: expected a certificate, found tag {data[0]}"
        assert not response.flags & dns.flags.AD, f"{name}: AD is for DNSSEC alone"
        answers.add(frozenset(str(rr) for rrset in response.answer for rr in rrset))
        with tempfile.NamedTemporaryFile() as file:
            file.write(data[1:])
            file.flush()
            verifier = pathlib.Path(__file__).with_name("verify.py")
            command = [sys.executable, verifier, cluster, file.name, "--name", NAME, "--type", "A"]
            verified = subprocess.run(command, capture_output=True, text=True, check=False)
            assert verified.returncode == 0, f"{name}: {verified.stdout}{verified.stderr}"
        print(f"{name}: {len(data)} bytes of certificate, valid")
    response = dns.query.udp(query(1), HOST, port=udp_tcp, timeout=TIMEOUT)
    assert carried(response)[0] == 2 and len(carried(response)) == 33, "udp: expected a reference"
    answers.add(frozenset(str(rr) for rrset in response.answer for rr in rrset))
    assert len(answers) == 1, f"expected one answer over all transports, found {answers}"


if __name__ == "__main__":
    main()
