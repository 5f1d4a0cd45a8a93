"""Asks a running server the questions of behaviour cases and says how its answers differ from what the cases expect.

Usage: behave.py FOLDER

Writes cert.pem and key.pem, a self-signed certificate for 127.0.0.1, into FOLDER and prints an empty line. From then on it
reads one case a line (JSON, placeholders replaced; `dir`, `main_port` and `pid` added by the caller) and prints one line for
each: a JSON list of {"at", "field", "expected", "got"}, empty when everything is as expected. A field that it does not know is
a difference, so that nothing goes unchecked.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import sys
import time
import urllib.error
import urllib.request

import aioquic.asyncio
import aioquic.quic.configuration
import aioquic.quic.events
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
TIMEOUT = 10
# How long a server may take to notice what a step changed: longer than cases say, since tests share the machine.
SETTLE_SECONDS_MIN = 20
# How long nothing must come over UDP where a case expects silence.
SILENCE_SECONDS = 0.5
QUERY_FIELDS = {
    "qname", "qtype", "qclass", "transport", "port", "edns", "message_id", "repeat", "rd", "doh_method", "wait_until_s", "source_ip",
}
EXPECT_FIELDS = {
    "rcode", "answers", "authority", "additional", "additional_count", "answer_count", "answer_count_udp", "max_wire_bytes",
    "first_answer_type", "answer_type_order", "flags", "noflags", "opt", "ede", "ede_text", "ignore_ttl", "doq_connection_close",
    "question", "silence", "first_answer",
}
# What a case says for people.
REMARKS = {"note", "basis", "optional"}


class Differences(list):
    """What differed so far."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def check(self, field: str, expected, got) -> None:
        if expected != got:
            self.append({"at": self.at, "field": field, "expected": expected, "got": got})


def make_certificate(folder: pathlib.Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


# Records.


def canonical(owner: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> str:
    """One text for all spellings of a record: owner and names in the data in lower case (RFC 4034 §6.2)."""
    wire = rdata.to_digestable()
    low = dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))
    shown_class = dns.rdataclass.to_text(rdata.rdclass)
    return f"{owner.canonicalize()} {ttl} {shown_class} {dns.rdatatype.to_text(rdata.rdtype)} {low.to_text()}"


def expected_records(texts: list[str], with_ttl: bool) -> list[str]:
    records = []
    for text in texts:
        owner, ttl, rdclass, rdtype, *rest = text.split(maxsplit=4)
        rdata = dns.rdata.from_text(rdclass, rdtype, rest[0] if rest else "", origin=dns.name.root, relativize=False)
        records.append(canonical(dns.name.from_text(owner), int(ttl) if with_ttl else 0, rdata))
    return sorted(records)


def got_records(section: list[dns.rrset.RRset], with_ttl: bool) -> list[str]:
    """The records in the order of the message."""
    return [canonical(rrset.name, rrset.ttl if with_ttl else 0, rdata) for rrset in section for rdata in rrset]


def last_record_type(wire: bytes) -> str:
    """The type of the last record of a message."""
    counts = struct.unpack("!HHHH", wire[4:12])
    at, rdtype = 12, 0
    for _ in range(counts[0]):
        at += dns.name.from_wire(wire, at)[1] + 4
    for _ in range(sum(counts[1:])):
        at += dns.name.from_wire(wire, at)[1]
        rdtype, _, _, length = struct.unpack("!HHIH", wire[at : at + 10])
        at += 10 + length
    assert at == len(wire), "octets behind the last record"
    return dns.rdatatype.to_text(rdtype)


# Questions.


class Closed(Exception):
    """The server closed the connection, saying why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"connection closed with code {code}")
        self.code = code


class Silence(Exception):
    """No reply came, or the connection ended without one."""


def message_of(query: dict) -> dns.message.Message:
    edns = query.get("edns")
    unknown = set(edns or ()) - {"bufsize", "do", "version", "nsid"}
    assert not unknown, f"unknown in edns: {unknown}"
    message = dns.message.make_query(query["qname"], query["qtype"], query.get("qclass", "IN"))
    if edns is not None:
        flags = dns.flags.DO if edns.get("do") else 0
        options = [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")] if edns.get("nsid") else None
        message.use_edns(edns.get("version", 0), flags, edns.get("bufsize", 1232), options=options)
    if not query.get("rd", True):
        message.flags &= ~dns.flags.RD
    if "message_id" in query:
        message.id = query["message_id"]
    return message


def over_udp(message: dns.message.Message, port: int, source: str, seconds: float) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.bind((source, 0))
        client.connect((HOST, port))
        client.send(message.to_wire())
        try:
            return client.recv(65535)
        except TimeoutError:
            raise Silence from None


def over_tcp(message: dns.message.Message, port: int, source: str) -> bytes:
    with socket.create_connection((HOST, port), TIMEOUT, (source, 0)) as client:
        wire = message.to_wire()
        client.sendall(struct.pack("!H", len(wire)) + wire)
        with client.makefile("rb") as stream:
            start = stream.read(2)
            if not start:
                raise Silence
            (length,) = struct.unpack("!H", start)
            return stream.read(length)


async def over_quic(message: dns.message.Message, port: int, authority: str) -> bytes:
    """With the id that the message has, which RFC 9250 §4.2.1 wants to be 0."""
    events: asyncio.Queue = asyncio.Queue()

    class Client(aioquic.asyncio.QuicConnectionProtocol):
        def quic_event_received(self, event) -> None:
            events.put_nowait(event)

    configuration = aioquic.quic.configuration.QuicConfiguration(
        is_client=True, alpn_protocols=["doq"], server_name=HOST, cafile=authority
    )
    wire, received = message.to_wire(), b""
    async with aioquic.asyncio.connect(HOST, port, configuration=configuration, create_protocol=Client) as client:
        stream = client._quic.get_next_available_stream_id()
        client._quic.send_stream_data(stream, struct.pack("!H", len(wire)) + wire, end_stream=True)
        client.transmit()
        while True:
            event = await asyncio.wait_for(events.get(), TIMEOUT)
            if isinstance(event, aioquic.quic.events.ConnectionTerminated):
                raise Closed(event.error_code)
            if isinstance(event, aioquic.quic.events.StreamDataReceived) and event.stream_id == stream:
                received += event.data
                if event.end_stream:
                    assert struct.unpack("!H", received[:2])[0] == len(received) - 2, "wrong length"
                    return received[2:]


def ask(query: dict, message: dns.message.Message, port: int, authority: str) -> tuple[dns.message.Message, bytes | None]:
    """The response, and its octets where the transport shows them."""
    transport, source = query["transport"], query.get("source_ip", HOST)
    assert source == HOST or transport in ("udp", "tcp"), f"no source over {transport}"
    if transport in ("udp", "tcp", "doq"):
        if transport == "doq":
            message.id = query.get("message_id", 0)
            wire = asyncio.run(over_quic(message, port, authority))
        elif transport == "tcp":
            wire = over_tcp(message, port, source)
        else:
            wire = over_udp(message, port, source, SILENCE_SECONDS if query["expect"].get("silence") else TIMEOUT)
        response = dns.message.from_wire(wire)
        assert response.id == message.id, f"id {response.id} for {message.id}"
        return response, wire
    if transport == "dot":
        return dns.query.tls(message, HOST, TIMEOUT, port, verify=authority, server_hostname=HOST), None
    if transport == "doh":
        url = f"https://{HOST}:{port}/dns-query"
        post = query.get("doh_method", "POST") == "POST"
        h2 = dns.query.HTTPVersion.HTTP_2
        return dns.query.https(message, url, TIMEOUT, verify=authority, post=post, http_version=h2), None
    raise ValueError(f"unknown transport {transport}")


# Comparing.


def compare_counts(found: Differences, expect: dict, response: dns.message.Message, wire: bytes | None) -> None:
    answers = sum(len(rrset) for rrset in response.answer)
    for field in ("answer_count", "answer_count_udp"):
        if field in expect:
            found.check(field, expect[field], answers)
    if "additional_count" in expect:
        found.check("additional_count", expect["additional_count"], sum(len(rrset) for rrset in response.additional))
    if "max_wire_bytes" in expect and len(wire) > expect["max_wire_bytes"]:
        found.check("max_wire_bytes", expect["max_wire_bytes"], len(wire))


def nsid_of(response: dns.message.Message) -> str | None:
    names = [option for option in response.options if option.otype == dns.edns.OptionType.NSID]
    return names[0].to_wire().decode() if names else None


def compare_opt(found: Differences, expect: dict, response: dns.message.Message, wire: bytes | None) -> None:
    values = {
        "present": lambda: response.edns >= 0,
        "last_in_additional": lambda: last_record_type(wire) == "OPT",
        "do": lambda: bool(response.ednsflags & dns.flags.DO),
        "bufsize": lambda: response.payload,
        "version": lambda: response.edns,
        "nsid": lambda: nsid_of(response),
    }
    for field, value in expect.get("opt", {}).items():
        found.check(f"opt.{field}", value, values[field]())
    errors = [option for option in response.options if option.otype == dns.edns.OptionType.EDE]
    if "ede" in expect:
        found.check("ede", expect["ede"], int(errors[0].code) if errors else None)
    if "ede_text" in expect:
        found.check("ede_text", expect["ede_text"], errors[0].text if errors else None)


def compare(found: Differences, expect: dict, response: dns.message.Message, wire: bytes | None) -> None:
    with_ttl = not expect.get("ignore_ttl", False)
    if "rcode" in expect:
        found.check("rcode", expect["rcode"], dns.rcode.to_text(response.rcode()))
    sections = {"answers": response.answer, "authority": response.authority, "additional": response.additional}
    for field, section in sections.items():
        if field in expect:
            found.check(field, expected_records(expect[field], with_ttl), sorted(got_records(section, with_ttl)))
    # RRsets are merged in the order in which they first appear.
    types = [dns.rdatatype.to_text(rrset.rdtype) for rrset in response.answer]
    if "first_answer_type" in expect:
        found.check("first_answer_type", expect["first_answer_type"], types[0] if types else None)
    if "answer_type_order" in expect:
        found.check("answer_type_order", expect["answer_type_order"], types)
    if "first_answer" in expect:
        expected = expected_records([expect["first_answer"]], with_ttl)
        found.check("first_answer", expected, got_records(response.answer, with_ttl)[:1])
    if "question" in expect:
        found.check("question", [expect["question"]], [str(rrset) for rrset in response.question])
    flags = dns.flags.to_text(response.flags).lower().split()
    for flag in expect.get("flags", []):
        found.check("flags", flag, flag if flag in flags else " ".join(flags))
    for flag in expect.get("noflags", []):
        found.check("noflags", None, flag if flag in flags else None)
    compare_counts(found, expect, response, wire)
    compare_opt(found, expect, response, wire)


def run_query(query: dict, case: dict) -> Differences:
    found = Differences(f"{query['qname']} {query['qtype']} {query['transport']}")
    expect = query["expect"]
    unknown = (set(query) - QUERY_FIELDS - REMARKS - {"expect"}) | (set(expect) - EXPECT_FIELDS - REMARKS)
    for field in sorted(unknown):
        found.check(field, "a field that behave.py knows", None)
    for _ in range(query.get("repeat", 1)):
        message = message_of(query)
        try:
            response, wire = ask(query, message, int(query.get("port", case["main_port"])), f"{case['dir']}/cert.pem")
        except Closed as closed:
            found.check("doq_connection_close", expect.get("doq_connection_close"), closed.code)
            continue
        except Silence:
            found.check("silence", expect.get("silence", False), True)
            continue
        except Exception as error:  # Whatever went wrong is the finding.
            found.check("response", "one", f"{type(error).__name__}: {error}")
            continue
        if "doq_connection_close" in expect:
            found.check("doq_connection_close", expect["doq_connection_close"], None)
        if "silence" in expect:
            found.check("silence", expect["silence"], False)
        compare(found, expect, response, wire)
    return found


def settle(query: dict, case: dict, seconds: float) -> Differences:
    """Asks until the answer is as expected, for `seconds` at least."""
    deadline = time.monotonic() + max(seconds, SETTLE_SECONDS_MIN)
    while True:
        found = run_query(query, case)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


# HTTP.


def fetch(request: dict, authority: str) -> tuple[int, dict, str]:
    context = ssl.create_default_context(cafile=authority) if request["url"].startswith("https:") else None
    body = bytes.fromhex(request["body_hex"]) if "body_hex" in request else None
    asked = urllib.request.Request(request["url"], body, request.get("headers", {}), method=request.get("method", "GET"))
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT, context=context) as answer:
            return answer.status, dict(answer.headers), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode(errors="replace")


def metric(text: str, wanted: dict) -> float | None:
    """The sum of all series that have the labels, or `None` when there is none."""
    values = []
    for line in text.splitlines():
        matched = re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if matched and matched[1] == wanted["name"]:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', matched[2] or ""))
            if labels.items() >= wanted.get("labels", {}).items():
                values.append(float(matched[3]))
    return sum(values) if values else None


def run_http(request: dict, case: dict) -> Differences:
    path = request["url"].split("/", 3)[-1]
    found = Differences(f"/{path} http")
    for field in sorted(set(request) - {"method", "url", "headers", "body_hex", "status", "contains", "contains_metric", "response_headers"}):
        found.check(field, "a field that behave.py knows", None)
    try:
        status, headers, text = fetch(request, f"{case['dir']}/cert.pem")
    except OSError as error:
        found.check("status", request.get("status", 200), str(error))
        return found
    found.check("status", request.get("status", 200), status)
    if "contains" in request and request["contains"] not in text:
        found.check("contains", request["contains"], None)
    if "contains_metric" in request:
        wanted = request["contains_metric"]
        found.check("contains_metric", wanted["value"], metric(text, wanted))
    lower = {name.lower(): value for name, value in headers.items()}
    for name, value in request.get("response_headers", {}).items():
        found.check(f"header {name}", value, lower.get(name))
    return found


# Cases.


def run_steps(case: dict) -> list:
    """Writes, signals and asks in order. What follows a `wait_until_s` is asked until it is so."""
    found: list = []
    seconds = None
    for step in case.get("steps", []):
        match step:
            case {"write": name, "content": content}:
                (pathlib.Path(case["dir"]) / name).write_text(content)
            case {"signal": name}:
                os.kill(case["pid"], getattr(signal, f"SIG{name}"))
            case {"wait_until_s": asked}:
                seconds = asked
            case {"query": query}:
                found += run_query(query, case) if seconds is None else settle(query, case, seconds)
            case _:
                raise ValueError(f"unknown step {step}")
    return found


def run_case(case: dict) -> list:
    found: list = []
    for query in case.get("queries", []):
        if "wait_until_s" in query:
            found += settle(query, case, query["wait_until_s"])
        else:
            found += run_query(query, case)
    found += run_steps(case)
    for request in case.get("http", []):
        found += run_http(request, case)
    return found


def main() -> None:
    make_certificate(pathlib.Path(sys.argv[1]))
    print(flush=True)
    for line in sys.stdin:
        print(json.dumps(run_case(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
