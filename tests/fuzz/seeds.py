#!/usr/bin/env python3
"""Writes what the corpus of a target begins with: tests/fuzz/seeds.py TARGET FOLDER

Small, and made of the project's own vectors wherever there are some. Needs nothing but Python.
"""

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CT = ROOT / "plugins/ct_verify/core/tests/vectors"
CERTIFICATE = ROOT / "consensus/certificate/vectors"
NODE = ROOT / "consensus/node/vectors"


def pem(path):
    """All DER in a PEM file."""
    blocks = re.findall(r"-----BEGIN [^-]+-----([^-]+)-----END", path.read_text())
    return [base64.b64decode("".join(block.split())) for block in blocks]


def chains():
    """The chains of the vectors by name, the leaf first."""
    return {path.stem: pem(path) for path in sorted((CT / "chains").glob("*.pem"))}


def leaves():
    return {name: chain[0] for name, chain in chains().items()}


def number(count, value):
    return value.to_bytes(count, "big")


def vector(count, content):
    """Content behind its length of so many bytes."""
    return number(count, len(content)) + content


def items(contents):
    return number(4, len(contents)) + b"".join(vector(4, content) for content in contents)


def timestamp_list(der):
    """The content of the extension with the list of timestamps, or the certificate when it has none."""
    at = der.find(bytes.fromhex("060a2b06010401d679020402"))
    if at < 0:
        return der
    # Behind the identifier: an OCTET STRING with the extension's content.
    at, length = at + 14, der[at + 13]
    if length >= 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(der[at : at + count], "big"), at + count
    return der[at : at + length]


def sct_list():
    return {name: timestamp_list(der) for name, der in leaves().items()}


def log_list():
    return {path.stem: path.read_bytes() for path in CT.glob("log_list*.json")}


def logs():
    return json.loads((CT / "logs.json").read_text())


def checkpoint():
    found = logs()
    return {
        "checkpoint": found["static"]["checkpoint"].encode(),
        "sth": json.dumps(found["rfc6962"]["heads"][0]).encode(),
    }


def head():
    """Split views, and news of the two logs in the list that have heads."""
    classic, static = logs()["rfc6962"], logs()["static"]
    ids = [base64.b64encode(hashlib.sha256(base64.b64decode(log["key"])).digest()).decode() for log in (classic, static)]
    told = lambda log, text: {"log": log, "head": text}
    split = lambda log, heads: {"kind": "ct-split-view", "log_key": log["key"], "heads": heads}
    honest, forked, shrunk = (json.dumps(classic[name] if name != "heads" else classic[name][0]) for name in ("heads", "split", "shrunk"))
    origin = {"origin": static["origin"]}
    seeds = {
        "news": {"ct_heads": [told(ids[0], honest), told(ids[1], static["checkpoint"])]},
        "news-forked": {"ct_heads": [told(ids[0], honest), told(ids[0], forked), told("none", "head")]},
        "split": split(classic, [honest, forked]),
        "shrunk": split(classic, [json.dumps(classic["heads"][1]), shrunk]),
        "split-static": split(static, [static["checkpoint"], static["split"]]) | origin,
    }
    return {name: json.dumps(seed).encode() for name, seed in seeds.items()}


def entry():
    """Certificates, entries of get-entries and of data tiles, files of certspotter."""
    der = leaves()["good"]
    timed = number(8, 1_785_542_400_000)
    certificate = timed + number(2, 0) + vector(3, der) + number(2, 0)
    pre = timed + number(2, 1) + bytes(32) + vector(3, der) + number(2, 0)
    digests = "TBS_SHA256=" + "23" * 32 + "\nPUBKEY_SHA256=" + "33" * 32 + "\n"
    names = {"tbs_sha256": "23" * 32, "pubkey_sha256": "33" * 32, "dns_names": ["www.example.org"]}
    return leaves() | {
        "leaf": bytes(2) + certificate,
        "leaf-pre": bytes(2) + pre,
        "tile": certificate + number(2, 0) + pre + vector(3, der) + vector(2, bytes(64)),
        "dropped": ("EVENT=discovered_cert\nENTRY_INDEX=4\n" + digests).encode(),
        "dropped-json": json.dumps(names).encode(),
        "dropped-error": b"EVENT=error\nSUMMARY=log is down\n",
    }


def revocation_lists():
    return [der for path in sorted((CT / "crl").glob("*.crl")) for der in pem(path)]


def content():
    lists = sorted(revocation_lists(), key=lambda der: hashlib.sha256(der).digest())
    anchor = vector(4, b"\x31\x00") + vector(4, b"key")
    private = anchor + vector(4, b"\x30\x00")
    return {
        "chain": items(chains()["good"]),
        "trust": b"\1" + items([anchor]) + items([private]) + items(chains()["good"][1:]),
        "lists": items(lists),
        "two": items(lists[:2]),
        "none": items([]),
    }


def operation():
    """Subjects, and what is agreed on of them."""
    digest = bytes(range(32))
    text = lambda words: vector(1, words.encode())
    certificate = digest + text("www.example.org") + b"\0" + number(4, 29_000_000) + text("chrome-2026")
    custom = digest + text("") + b"\3" + number(4, 29_000_000) + text("custom:min_logs=4,min_logs_long=4,long_after=90d,min_operators=2,require_current=1,require_rfc6962=0")
    agreed = {
        "verdict": "valid",
        "reasons": ["revocation_unknown"],
        "outcome": "compliant",
        "sct_status": ["valid", "valid"],
        "counted_logs": 2,
        "operators": ["Alder"],
        "revocation": "unknown",
        "score": {"total": 60, "chain": 30, "policy": 30, "inclusion": 0, "revocation": 0, "networks": 0},
        "digest": digest.hex(),
    }
    seen = {"leaf": digest.hex(), "key": digest.hex(), "chain": "valid"}
    compact = lambda value: json.dumps(value, separators=(",", ":")).encode()
    return {
        "certificate": b"\1" + certificate + b"\1" + digest * 3,
        "certificate-bare": b"\1" + custom + b"\2" + bytes(32) + digest + bytes(32),
        "probe": b"\2" + text("mail.example.org:25") + number(4, 600) + number(4, 2_900_000),
        "input": b"\1" + digest,
        "agreed": compact(agreed),
        "seen": compact(seen),
        "accepted": b"accepted",
        "refused": b"refused: differs",
    }


def judgement():
    lists = {f"list-{place}": der for place, der in enumerate(revocation_lists())}
    return leaves() | lists | {"tlsa": b"\3\1\1" + bytes(32), "cert": b"\0\1\0\0\0" + leaves()["good"]}


def remark():
    return {"invalid": b"\2\0\17\15ct-verify: x!"}


def statement():
    return {"verdict": b"\1\0\0\1\54\1\0\10accepted", "reason": b"\1\0\0\0\5\2\0\6no log"}


def observation():
    return {
        "failure": b"\1\0\0\3\2\0\0\0\0",
        "remarked": b"\2\0\0\3\2\0\0\0\0\2\0\17\2ab",
        "answer": b"\1\0\0\1\0\1\3\1a\0\0\1\0\1\0\0\0\74\0\1\0\4\300\0\2\1\0\0\0\0",
    }


def name(text):
    return b"".join(vector(1, label.encode()) for label in text.split(".") if label) + b"\0"


def record(owner, rtype, data, ttl=300):
    return name(owner) + number(2, rtype) + number(2, 1) + number(4, ttl) + vector(2, data)


def reply(question, qtype, rcode, answers=(), authorities=()):
    counts = number(2, 1) + number(2, len(answers)) + number(2, len(authorities)) + number(2, 0)
    asked = name(question) + number(2, qtype) + number(2, 1)
    return b"\0\1\x81" + bytes([0x80 | rcode]) + counts + asked + b"".join(answers) + b"".join(authorities)


def response():
    www, soa = "www.example.org", name("ns1.example.org") + name("host.example.org") + b"".join(number(4, n) for n in (7, 7200, 3600, 86400, 300))
    address = record(www, 1, bytes([192, 0, 2, 1]))
    covered = lambda rtype: number(2, rtype) + b"\15\3" + number(4, 300) + number(4, 2_000_000_000) + number(4, 1) + b"\0\7" + name("example.org") + bytes(64)
    nsec = record(www, 47, name("x.example.org") + b"\0\4\x40\0\0\3")
    return {
        "address": reply(www, 1, 0, [address]),
        "two": reply(www, 1, 0, [address, record(www, 1, bytes([192, 0, 2, 2]), 60)]),
        "chain": reply("a.example.org", 1, 0, [record("a.example.org", 5, name(www)), address]),
        "dname": reply("www.a.org", 1, 0, [record("a.org", 39, name("example.org")), record("www.a.org", 5, name(www)), address]),
        "signed": reply(www, 1, 0, [address, record(www, 46, covered(1))]),
        "nodata": reply(www, 28, 0, (), [record("example.org", 6, soa), nsec, record(www, 46, covered(47))]),
        "nxdomain": reply("no.example.org", 1, 3, (), [record("example.org", 6, soa)]),
        "texts": reply(www, 16, 0, [record(www, 16, vector(1, b"text") * 2)]),
        "mail": reply(www, 15, 0, [record(www, 15, b"\0\12" + name("mail.example.org"))]),
        "service": reply(www, 65, 0, [record(www, 65, b"\0\1\0\0\1\0\3\2h2\0\4\0\4\300\0\2\1")]),
        "refused": reply(www, 1, 5),
    }


def certificate():
    answers = json.loads((CERTIFICATE / "valid.json").read_text())
    delivery = json.loads((CERTIFICATE / "delivery.json").read_text())
    return {f"{answer['cluster']}-{answer['name']}": bytes.fromhex(answer["certificate"]) for answer in answers} | {
        "option": bytes.fromhex(delivery["option_with_certificate"]),
        "reference": bytes.fromhex(delivery["option_with_reference"]),
        "txt": "\n".join(delivery["txt"]).encode(),
        "wish": b"\3",
    }


def evidence():
    return {path.stem: path.read_bytes() for path in NODE.glob("*.txt")}


def message():
    """Scripts: what the liar says to all, bytes of its own at first; requests and time around them."""
    types = {"observations": 1, "prepare": 3, "commit": 4, "checkpoint": 5, "view-change": 6, "new-view": 7}
    said = {}
    for path in sorted(NODE.glob("*.txt")):
        for place, line in enumerate(path.read_text().splitlines()):
            part, _, digits = line.partition(": ")
            if part in types and re.fullmatch("[0-9a-f]+", digits) and len(digits) % 2 == 0:
                said[f"{path.stem}-{place}"] = bytes([types[part]]) + bytes.fromhex(digits)
    observation = b"\1" + b"\1" + vector(2, b"\0") + number(8, 0) + number(8, 1_800_000_001_000) + vector(2, b"lie")
    batch = number(2, 1) + b"\1" + vector(2, b"\0") + number(2, 0)
    header = number(8, 1) + b"\2" + number(2, 1) + bytes(64) + number(8, 1_800_000_001_000) + bytes(72)
    said |= {
        "resolve": b"\20" + b"\1" + vector(2, b"\0") + number(8, 0),
        "answer": b"\21" + bytes(32) + vector(2, b"answer"),
        "status": b"\22" + bytes(25),
        "status-far": b"\22" + number(8, 3) + number(8, 9) + number(8, 4) + b"\1",
        "fetch": b"\23" + number(8, 1),
        "fetch-state": b"\25" + number(8, 4) + number(4, 0),
        "fetch-batch": b"\27" + number(8, 1) + bytes(32),
        "fetch-view-change": b"\30" + bytes(32),
        "batch": b"\31" + header + batch,
        "observe": b"\1\3\1" + observation + bytes(64),
        "propose": b"\2" + number(8, 3) + header + bytes(64) + batch,
    }
    ask, wait = b"\10\0", b"\14\x40"
    scripts = {key: b"\3" + vector(2, bytes_) for key, bytes_ in said.items()}
    scripts = {key: ask + script + wait + b"\11\1" + wait for key, script in scripts.items()}
    # Many slots, so that there are checkpoints; views that fail, until the liar is primary; what it heard, said again.
    scripts["slots"] = b"".join(bytes([8 | slot % 3, slot & 7]) + wait for slot in range(24))
    scripts["views"] = (ask + b"\14\xff") * 12
    scripts["echo"] = ask + b"".join(b"\7" + bytes([place, 0]) for place in range(12)) + wait
    return scripts


def frame():
    hello = b"QRTHELO\3" + vector(1, b"example") + bytes(32) + number(8, 1) + bytes(32) + b"\1" + bytes(24)
    # RFC 8878: a frame of one segment with its size, and one block, raw or of one byte again and again.
    zstd = lambda size, block: b"\1\x28\xb5\x2f\xfd\x60" + (size - 256).to_bytes(2, "little") + block
    block = lambda kind, size: (size << 3 | kind << 1 | 1).to_bytes(3, "little")
    return {
        "hello": hello,
        "raw": vector(4, b"\0message"),
        "repeated": vector(4, zstd(2000, block(1, 2000) + b"x")),
        "stored": vector(4, zstd(1100, block(0, 1100) + b"y" * 1100)),
        "bomb": vector(4, b"\1\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + block(1, 2000) + b"x"),
    }


def query():
    asked = name("eXample.org") + b"\0\1\0\1"
    plain = b"\0\1\1\0\0\1\0\0\0\0\0"
    opt = b"\0\0\x29\4\xd0\0\0\x80\0"
    option = lambda code, value: number(2, code) + vector(2, value)
    with_opt = lambda options: plain + b"\1" + asked + opt + vector(2, options)
    return {
        "plain": plain + b"\0" + asked,
        "opt": with_opt(b""),
        "cookie": with_opt(option(10, b"12345678")),
        "options": with_opt(option(10, bytes(24)) + option(8, b"\0\1\30\0\300\0\2") + option(65321, b"\3") + option(12, bytes(8))),
        "record": plain + b"\1" + asked + record("example.org", 1, bytes(4)),
        "two": b"\0\1\1\0\0\2\0\0\0\0\0\0" + asked * 2,
    }


def corefile():
    own = (
        '\ufeff# comment\n(snip) {\n\tlog "a \\"b\\" {$A}" # x\n\terrors\n}\nimport d/*.conf\n'
        "tls://example.org:8853, 10.0.0.0/15,\n2001:db8::/30 {\n    import snip\n    cache 30 {\n        success 100\n    }\n}\n. { whoami }\n"
    )
    return {"example": (ROOT / "Corefile.example").read_bytes(), "own": own.encode(), "braces": b". {\n}\n"}


def zone():
    own = (
        "$TTL 1h\n@ SOA ns1 host 7 2h 1h 2w 5m\n NS ns1\nns1 A 192.0.2.53\n\\097.x 60 IN TXT \"a\\\"b\" c\n$ORIGIN sub\n"
        "$INCLUDE part\n$INCLUDE again other\nsrv SRV 1 2 443 ns1\n@ CAA 0 issue \"ca.example.net\"\nodd TYPE65280 \\# 4 0a000001\n"
        "s SVCB 1 . ( alpn=h2\n port=53 )\nsig RRSIG A 13 3 300 20330101000000 20260101000000 7 example.org. AAAA\nd DS 60485 13 2 0011\n"
        "n NSEC x A RRSIG NSEC\nn3 NSEC3 1 0 0 - 0123456789abcdef0123456789abcdef A\nl LOC 52 22 23 N 4 53 32 E -2m\n"
    )
    example = (ROOT / "zones/example.org.zone").read_bytes()
    entries = example.split(b"\n\n")
    return {"own": own.encode(), "example": example} | {f"part-{place}": part for place, part in enumerate(entries)}


SEEDS = {
    seeds.__name__: seeds
    for seeds in (
        sct_list, log_list, checkpoint, head, entry, judgement, content, operation, remark, statement,
        observation, response, certificate, evidence, message, frame, query, corefile, zone,
    )
} | {"tbs_splice": leaves}

target, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for label, seed in SEEDS[target]().items():
    (folder / label).write_bytes(seed)
