#!/usr/bin/env python3
"""A second verifier of certificates, written from consensus/certificate/FORMAT.md alone. Section numbers are those of that page.

    verify.py CLUSTER.toml CERTIFICATE-FILE [--at UNIX_MS] [--grace MS] [--min-class CLASS] [--name N [--type T] [--flags F]]
    verify.py --vectors DIR

Exit codes: 0 valid, 1 invalid, 2 expired, 3 unknown epoch, 4 class too low, 64 wrong usage or no usable input.
Needs Python 3.11 and the package `cryptography`.
"""

import argparse
import base64
import hashlib
import ipaddress
import json
import pathlib
import re
import sys
import time
import tomllib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CLASSES = ["no-agreement", "failure", "records", "corroborated", "strong", "secure"]
POLICIES = {"strong": 1, "corroborated": 2, "records": 3, "dnssec": 4, "observe": 5, "bypass": 6}
GIVES = {1: {0, 1, 4, 5}, 2: {0, 1, 3, 4, 5}, 3: {0, 1, 2, 3, 4, 5}, 4: {0, 1, 5}, 5: {0, 1, 2, 3, 4, 5}, 6: set()}
KIND_POLICIES = {2: 2, 3: 1}
KIND_CLASSES = {2: {0, 1, 3, 4}, 3: {0, 1, 4}}
CONCLUSIONS = {1: "valid", 2: "invalid", 3: "indeterminate"}
EXIT_CODES = {"expired": 2, "unknown-epoch": 3, "class-too-low": 4}
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35, "DS": 43,
         "SSHFP": 44, "DNSKEY": 48, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "ANY": 255, "CAA": 257}
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
CNAME, ANY = 5, 255
GRACE_MS, FUTURE_MS_MAX = 5000, 60_000
ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = {bytes.fromhex(text) for text in [
    "00" * 32,
    "00" * 31 + "80",
    "01" + "00" * 31,
    "01" + "00" * 30 + "80",
    "ec" + "ff" * 30 + "7f",
    "ec" + "ff" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]}


class Refused(Exception):
    """A certificate that does not verify: `error` is a word of section 8."""

    def __init__(self, error, why):
        super().__init__(why)
        self.error = error


class ClusterFileError(Exception):
    """A cluster file that cannot be used."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def uint(value, width):
    return value.to_bytes(width, "big")


def sized(data, width):
    return uint(len(data), width) + data


# --- Section 1: notation -----------------------------------------------------------------------------------------------------


def malformed(condition, why):
    if condition:
        raise Refused("malformed", why)


class Reader:
    def __init__(self, data):
        self.data, self.offset = data, 0

    def raw(self, count):
        malformed(len(self.data) - self.offset < count, f"ends inside a field at offset {self.offset}")
        self.offset += count
        return self.data[self.offset - count:self.offset]

    def uint(self, width):
        return int.from_bytes(self.raw(width), "big")

    def sized(self, width):
        return self.raw(self.uint(width))

    def name(self):
        name = self.sized(1)
        malformed(not is_name(name), f"no canonical name at offset {self.offset}")
        return name

    def finish(self):
        malformed(self.offset != len(self.data), f"bytes after the end at offset {self.offset}")


def is_name(data):
    if len(data) > 255:
        return False
    offset = 0
    while offset < len(data):
        length = data[offset]
        if length == 0:
            return offset + 1 == len(data)
        label = data[offset + 1:offset + 1 + length]
        if length > 63 or len(label) < length or any(0x41 <= byte <= 0x5a for byte in label):
            return False
        offset += 1 + length
    return False


def name_from_text(text):
    """Presentation form to wire format, in lower case; ValueError when it is no name."""
    if text == ".":
        return b"\0"
    labels, label, offset = [], bytearray(), 0
    while offset < len(text):
        character = text[offset]
        offset += 1
        if character == ".":
            labels.append(bytes(label))
            label.clear()
            continue
        if character == "\\":
            digits = re.match(r"[0-9]{3}", text[offset:])
            if digits:
                code, offset = int(digits[0]), offset + 3
            elif offset < len(text) and " " <= text[offset] <= "~" and not text[offset].isdigit():
                code, offset = ord(text[offset]), offset + 1
            else:
                raise ValueError(f"wrong escape in the name `{text}`")
        elif "!" <= character <= "~":
            code = ord(character)
        else:
            raise ValueError(f"`{character}` cannot stand in the name `{text}`")
        if code > 255:
            raise ValueError(f"wrong escape in the name `{text}`")
        label.append(code + 32 if 0x41 <= code <= 0x5a else code)
    if label:
        labels.append(bytes(label))
    wire = b"".join(sized(label, 1) for label in labels if len(label) < 64) + b"\0"
    if not labels or not all(0 < len(label) < 64 for label in labels) or not is_name(wire):
        raise ValueError(f"`{text}` is no name")
    return wire


def name_to_text(wire):
    text, offset = "", 0
    while wire[offset]:
        label = wire[offset + 1:offset + 1 + wire[offset]]
        text += "".join(chr(b) if re.match(rb"[a-z0-9_*-]", bytes([b])) else f"\\{b:03}" for b in label) + "."
        offset += 1 + len(label)
    return text or "."


def ancestors(wire):
    while True:
        yield wire
        if wire == b"\0":
            return
        wire = wire[1 + wire[0]:]


# --- Section 2: keys and signatures ------------------------------------------------------------------------------------------


def public_key(text):
    if not isinstance(text, str) or not text.startswith("ed25519:"):
        raise ClusterFileError(f"expected a key that starts with `ed25519:`, found `{text}`")
    key = base64.b64decode(text.removeprefix("ed25519:"), validate=True)
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if len(key) != 32 or key in SMALL_ORDER or y >= 2**255 - 19:
        raise ClusterFileError(f"weak or malformed key `{text}`")
    return key


def verify_signature(key, message, signature):
    if signature[:32] in SMALL_ORDER or int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def commit_preimage(certificate):
    header = certificate["header"]
    vote = uint(certificate["view"], 8) + uint(header["sequence"], 8) + header["digest"]
    return b"quorate v1" + certificate["cluster_id"] + uint(certificate["epoch"], 8) + b"\x04" + vote


# --- Section 3: cluster file -------------------------------------------------------------------------------------------------


def duration_ms(text):
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text)
    if not match:
        raise ClusterFileError(f"expected a duration such as `10s`, found `{text}`")
    return int(match[1]) * UNITS[match[2]]


class Cluster:
    def __init__(self, text):
        file = tomllib.loads(text)
        self.name, self.epoch, self.faults = file["name"], file["epoch"], file["faults"]
        self.cluster_id_key = bytes.fromhex(file["cluster-id"]) if self.epoch > 1 else bytes(32)
        message_size = file.get("message-size", 65536)
        self.numbers = [
            (file.get("checkpoint-interval", 100), 8),
            (file.get("batch-entries", 50), 2),
            (file.get("batch-bytes", min(49152, message_size - 4096)), 4),
            (file.get("pipeline", 3), 4),
            (message_size, 4),
            (duration_ms(file.get("observation-window", "10s")), 8),
            (duration_ms(file.get("history", "10m")), 8),
            (file.get("min-groups", 2), 4),
            (duration_ms(file.get("ttl-max", "1h")) // 1000, 4),
        ]
        self.min_groups, self.ttl_max = self.numbers[7][0], self.numbers[8][0]
        self.policies = {b"\0": POLICIES["records"]}
        for zone, policy in file.get("agreement", {}).items():
            self.policies[name_from_text(zone)] = POLICIES[policy]
        self.replicas = sorted(file["replica"], key=lambda replica: replica["id"])
        n = len(self.replicas)
        if [replica["id"] for replica in self.replicas] != list(range(n)) or not 4 <= n <= 31 or n < 3 * self.faults + 1:
            raise ClusterFileError("expected ids 0 to n-1 and n >= 3f+1")
        self.keys = [public_key(replica["public-key"]) for replica in self.replicas]
        names = list(dict.fromkeys(replica["upstream-group"] for replica in self.replicas))
        self.group_names = names
        self.groups = [names.index(replica["upstream-group"]) for replica in self.replicas]
        self.quorum = (n + self.faults + 2) // 2
        self.digest = sha256(self.canonical())
        self.cluster_id = self.cluster_id_key if self.epoch > 1 else self.digest

    def canonical(self):
        data = b"quorate cluster v1" + sized(self.name.encode(), 1) + uint(self.epoch, 8) + self.cluster_id_key
        data += uint(self.faults, 1) + b"".join(uint(number, width) for number, width in self.numbers)
        data += uint(len(self.policies), 2)
        data += b"".join(sized(zone, 1) + uint(self.policies[zone], 1) for zone in sorted(self.policies))
        return data + uint(len(self.replicas), 1) + b"".join(map(self.canonical_replica, self.replicas))

    @staticmethod
    def canonical_replica(replica):
        host, _, port = replica["address"].rpartition(":")
        address = ipaddress.ip_address(host.strip("[]"))
        keys = public_key(replica["public-key"]) + public_key(replica["transport-key"])
        return (sized(replica["name"].encode(), 1) + uint(address.version, 1) + address.packed + uint(int(port), 2)
                + keys + sized(replica["upstream-group"].encode(), 1))

    def policy_for(self, name):
        return next((zone, self.policies[zone]) for zone in ancestors(name) if zone in self.policies)

    def groups_of(self, replicas):
        bits = 0
        for replica in members(replicas):
            bits |= 1 << self.groups[replica]
        return bits


def members(replica_set):
    return [bit for bit in range(32) if replica_set >> bit & 1]


# --- Section 4: slot header --------------------------------------------------------------------------------------------------


def read_header(reader):
    start = reader.offset
    header = {"sequence": reader.uint(8), "kinds": reader.uint(1), "entries": reader.uint(2), "leaves_root": reader.raw(32),
              "observations_root": reader.raw(32), "time": reader.uint(8), "cluster_digest": reader.raw(32),
              "prefix_sequence": reader.uint(8), "prefix_digest": reader.raw(32)}
    malformed(header["kinds"] > 0x1f, "unknown kinds in the header")
    header["digest"] = sha256(b"quorate slot header v1", reader.data[start:reader.offset])
    return header


# --- Section 5: Merkle tree --------------------------------------------------------------------------------------------------


def is_included(root, index, count, leaf, proof):
    if index >= count:
        return False
    fn, sn, r = index, count - 1, sha256(b"\0", leaf)
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = sha256(b"\1", p, r)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\1", r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


# --- Section 6: leaf ---------------------------------------------------------------------------------------------------------


def read_question(data):
    reader = Reader(data)
    question = {"name": reader.name(), "type": reader.uint(2), "class": reader.uint(2), "flags": reader.uint(1)}
    malformed(question["flags"] > 3, "unknown flags of the question")
    reader.finish()
    return question


def read_rrsets(reader):
    count = reader.uint(1)
    malformed(count > 64, "more than 64 RRsets")
    sets = []
    for _ in range(count):
        rrset = {"owner": reader.name(), "type": reader.uint(2), "class": reader.uint(2), "ttl": reader.uint(4)}
        malformed(rrset["ttl"] >= 2**31, "TTL of more than 31 bits")
        records = reader.uint(2)
        malformed(records == 0, "an RRset without records")
        rrset["rdatas"] = []
        for _ in range(records):
            rdata = reader.sized(2)
            malformed(rrset["rdatas"] and rrset["rdatas"][-1] >= rdata, "RDATA does not ascend")
            rrset["rdatas"].append(rdata)
        sets.append(rrset)
    return sets


def read_outcome(reader):
    tag = reader.uint(1)
    malformed(tag > 4, "unknown outcome")
    outcome = {"tag": ["none", "answer", "NXDOMAIN", "NODATA", "failure"][tag], "sets": []}
    if tag in (1, 2, 3):
        outcome["sets"] = read_rrsets(reader)
    if tag in (2, 3):
        outcome["zone"], outcome["minimum"] = reader.name(), reader.uint(4)
    if tag == 4:
        outcome["rcode"] = reader.uint(1)
        malformed(outcome["rcode"] not in {1, 2, *range(4, 16)}, "an rcode that is no failure")
    return outcome


def read_leaf(data):
    reader = Reader(data)
    leaf = {"kind": reader.uint(1), "subject": reader.sized(2), "question": None}
    malformed(not 1 <= leaf["kind"] <= 4, "unknown kind")
    malformed(len(leaf["subject"]) > 1024, "subject of more than 1024 bytes")
    if leaf["kind"] == 1:
        leaf["question"] = read_question(leaf["subject"])
    leaf["class"], leaf["policy"], leaf["flags"] = reader.uint(1), reader.uint(1), reader.uint(1)
    malformed(leaf["class"] > 5, "unknown class")
    malformed(not 1 <= leaf["policy"] <= 6, "unknown policy")
    malformed(leaf["flags"] > 1, "unknown flags")
    leaf["outcome"] = read_outcome(reader)
    leaf["extra_digest"], leaf["ttl"] = reader.raw(32), reader.uint(4)
    leaf["time"], leaf["not_after"] = reader.uint(8), reader.uint(8)
    leaf["support"], leaf["groups"], leaf["observers"] = reader.uint(4), reader.uint(4), reader.uint(4)
    leaf["verdict"] = reader.sized(2)
    malformed(len(leaf["verdict"]) > 4096, "verdict of more than 4096 bytes")
    reader.finish()
    check_class(leaf)
    if leaf["question"]:
        check_records(leaf["question"], leaf["outcome"])
    check_end(leaf)
    return leaf


def check_class(leaf):
    """Rule 1."""
    tag, verdict, resolves = leaf["outcome"]["tag"], leaf["verdict"], leaf["kind"] == 1
    if leaf["class"] == 0:
        fits = tag == "none" and not verdict
    elif leaf["class"] == 1:
        fits = tag == "failure" and (resolves or not verdict)
    elif resolves:
        fits = tag in ("answer", "NXDOMAIN", "NODATA")
    else:
        fits = tag == "none"
    malformed(not fits, "class, outcome and verdict do not agree")
    leaf["remark"] = read_remark(verdict) if resolves and verdict else None


def read_remark(data):
    reader = Reader(data)
    conclusion = reader.uint(1)
    malformed(not 1 <= conclusion <= 3, "unknown conclusion of the remark")
    info_code, text = reader.uint(2), reader.sized(1)
    malformed(len(text) > 200 or any(not 0x20 <= byte <= 0x7e for byte in text), "the remark is no short text")
    reader.finish()
    return f"{CONCLUSIONS[conclusion]}, INFO-CODE {info_code}: {text.decode('ascii')}"


def link(rrset, name):
    """The name that `rrset` links `name` to, or None."""
    is_link = rrset["owner"] == name and rrset["type"] == CNAME and len(rrset["rdatas"]) == 1
    return rrset["rdatas"][0] if is_link and is_name(rrset["rdatas"][0]) else None


def check_records(question, outcome):
    """Rules 2 to 4."""
    sets = outcome["sets"]
    malformed(any(rrset["class"] != question["class"] for rrset in sets), "records of another class")
    if outcome["tag"] == "answer":
        malformed(not sets, "an answer without RRsets")
        if question["type"] == ANY:
            types = [rrset["type"] for rrset in sets]
            fits = all(rrset["owner"] == question["name"] for rrset in sets) and types == sorted(set(types))
            malformed(not fits, "not the RRsets of the name by type")
            return
        malformed(question["type"] == CNAME and len(sets) > 1, "more than the alias asked for")
    chain, last = (sets[:-1], sets[-1]) if outcome["tag"] == "answer" else (sets, None)
    name = question["name"]
    for rrset in chain:
        name = link(rrset, name)
        malformed(name is None, "the chain is broken")
    if last:
        aliased = last["type"] == CNAME and len(last["rdatas"]) == 1
        malformed(last["owner"] != name, "the chain does not lead to the last RRset")
        malformed(last["type"] != question["type"] and not aliased, "the last RRset has another type")


def check_end(leaf):
    """Rules 5 and 6."""
    bounds = [rrset["ttl"] for rrset in leaf["outcome"]["sets"]]
    if "minimum" in leaf["outcome"]:
        bounds.append(leaf["outcome"]["minimum"])
    malformed(leaf["ttl"] > min(bounds, default=2**31 - 1), "TTL above that of a part")
    malformed(leaf["not_after"] != leaf["time"] + 1000 * leaf["ttl"], "the end is not time plus TTL")


# --- Section 7: certificate --------------------------------------------------------------------------------------------------


def read_certificate(data):
    reader = Reader(data)
    malformed(reader.raw(4) != b"QRT\x01", "not a certificate of version 1")
    malformed(reader.uint(1) != 1, "unknown scheme")
    certificate = {"cluster_id": reader.raw(32), "epoch": reader.uint(8), "view": reader.uint(8), "header": read_header(reader)}
    signers = reader.uint(4)
    malformed(signers >> 31, "more than 31 replicas")
    certificate["signers"] = members(signers)
    certificate["signatures"] = [reader.raw(64) for _ in certificate["signers"]]
    certificate["index"] = reader.uint(2)
    length = reader.uint(1)
    malformed(length > 16, "a proof of more than 16 digests")
    certificate["proof"] = [reader.raw(32) for _ in range(length)]
    certificate["leaf_bytes"] = reader.sized(4)
    malformed(len(certificate["leaf_bytes"]) > 65535, "a leaf of more than 65535 bytes")
    reader.finish()
    certificate["leaf"] = read_leaf(certificate["leaf_bytes"])
    return certificate


def reference(certificate):
    return b"\x02" + sha256(certificate["cluster_id"], uint(certificate["header"]["sequence"], 8), certificate["leaf_bytes"])


# --- Section 8: verification -------------------------------------------------------------------------------------------------


def need(condition, error, why):
    if not condition:
        raise Refused(error, why)


def verify(data, cluster, question, now, grace, min_class):
    certificate = read_certificate(data)
    header, leaf = certificate["header"], certificate["leaf"]
    need(certificate["cluster_id"] == cluster.cluster_id, "other-cluster", "the certificate is of another cluster")
    need(certificate["epoch"] == cluster.epoch, "unknown-epoch", f"the certificate is of epoch {certificate['epoch']}")
    need(header["cluster_digest"] == cluster.digest, "other-cluster-file", "the replicas used another cluster file")
    signers = certificate["signers"]
    need(len(signers) == cluster.quorum, "signer-count", f"expected {cluster.quorum} signers, found {len(signers)}")
    need(all(signer < len(cluster.keys) for signer in signers), "unknown-signer", "a signer is not in the cluster file")
    preimage = commit_preimage(certificate)
    for signer, signature in zip(signers, certificate["signatures"]):
        valid = verify_signature(cluster.keys[signer], preimage, signature)
        need(valid, "signature", f"the signature of replica {signer} does not verify")
    included = is_included(header["leaves_root"], certificate["index"], header["entries"], certificate["leaf_bytes"],
                           certificate["proof"])
    need(included, "inclusion", "the leaf is not in the signed slot")
    need(header["kinds"] >> leaf["kind"] & 1, "kind", "the header does not announce the kind of the leaf")
    zone = check_leaf(leaf, cluster)
    if question:
        need(leaf["kind"] == 1, "not-an-answer", "the certificate answers no question")
        need(leaf["question"] == question, "other-question", "the certificate answers another question")
    need(max(leaf["time"], header["time"]) <= now + FUTURE_MS_MAX, "future", "the certificate is from the future")
    need(now <= leaf["not_after"] + grace, "expired", f"the answer expired {now - leaf['not_after']} ms ago")
    need(leaf["class"] >= min_class, "class-too-low", f"the class is only {CLASSES[leaf['class']]}")
    return {"certificate": certificate, "class": CLASSES[leaf["class"]], "zone": zone, "signers": signers,
            "remaining_ms": max(0, leaf["not_after"] - now), "in_grace": now > leaf["not_after"]}


def check_leaf(leaf, cluster):
    """Step 10; returns the zone of the policy."""
    observers, supporters = leaf["observers"], leaf["support"]
    needed = [0, cluster.faults + 1, 1, cluster.faults + 1, cluster.quorum, 1][leaf["class"]]
    few_groups = leaf["groups"].bit_count() < cluster.min_groups
    checks = [
        (observers >> len(cluster.replicas) == 0, "an observer is not in the cluster file"),
        (observers.bit_count() >= cluster.quorum, "fewer than q observers"),
        (supporters & ~observers == 0, "a supporter is no observer"),
        (supporters.bit_count() >= needed, "too few supporters for the class"),
        (supporters >> len(cluster.replicas) == 0 and leaf["groups"] == cluster.groups_of(supporters), "other groups"),
        (leaf["flags"] & 1 == int(leaf["class"] >= 2 and few_groups), "the mark single-path is wrong"),
        (leaf["ttl"] <= cluster.ttl_max, "TTL above ttl-max"),
    ]
    zone = b""
    if leaf["question"]:
        zone, policy = cluster.policy_for(leaf["question"]["name"])
        checks.append((leaf["policy"] == policy, "another policy than that of the zone"))
        checks.append((leaf["class"] in GIVES[policy], "the policy cannot give the class"))
    if leaf["kind"] in KIND_POLICIES:
        checks.append((leaf["policy"] == KIND_POLICIES[leaf["kind"]], "another policy than that of the kind"))
        checks.append((leaf["class"] in KIND_CLASSES[leaf["kind"]], "the kind cannot have the class"))
    for fits, why in checks:
        need(fits, "contradiction", why)
    return zone


# --- Section 9: how certificates travel --------------------------------------------------------------------------------------


def certificate_from_option(data):
    return data[1:] if data[:1] == b"\x01" else None


def certificate_from_txt(strings):
    malformed(strings[:1] != ["v=quorate1"], "not a TXT record of a certificate")
    first = next((i for i, string in enumerate(strings) if string.startswith("cert=")), None)
    malformed(first is None, "no certificate in the TXT record")
    return base64.b64decode("".join(strings[first:]).removeprefix("cert="), validate=True)


# --- Section 10: test vectors ------------------------------------------------------------------------------------------------


class Checks:
    def __init__(self):
        self.count, self.failures = 0, []

    def equal(self, what, found, expected):
        self.count += 1
        if found != expected:
            self.failures.append(f"{what}: expected {expected}, found {found}")


def check_vectors(folder):
    load = lambda name: json.loads((pathlib.Path(folder) / name).read_text())
    checks, clusters = Checks(), {}
    for vector in load("clusters.json"):
        cluster = clusters[vector["name"]] = Cluster(vector["toml"])
        checks.equal(f"{vector['name']}: canonical", cluster.canonical().hex(), vector["canonical"])
        checks.equal(f"{vector['name']}: digest", cluster.digest.hex(), vector["digest"])
        checks.equal(f"{vector['name']}: cluster id", cluster.cluster_id.hex(), vector["cluster_id"])
        checks.equal(f"{vector['name']}: quorum", cluster.quorum, vector["quorum"])
    for vector in load("valid.json"):
        check_valid(checks, vector, clusters)
    for vector in load("invalid.json"):
        what = f"invalid {vector['name']}"
        try:
            verify_vector(vector, clusters)
            found = ("valid", 0)
        except Refused as refused:
            found = (refused.error, EXIT_CODES.get(refused.error, 1))
        checks.equal(what, found, (vector["error"], vector["exit"]))
    check_delivery(checks, load("delivery.json"))
    for failure in checks.failures:
        print(failure)
    print(f"{checks.count} checks, {len(checks.failures)} failed")
    return 1 if checks.failures or not checks.count else 0


def verify_vector(vector, clusters):
    question = vector["question"]
    if question:
        question = {"name": name_from_text(question["name"]), "type": question["type"], "class": question["class"],
                    "flags": question["flags"]}
    return verify(bytes.fromhex(vector["certificate"]), clusters[vector["cluster"]], question, vector["now_ms"],
                  vector["grace_ms"], CLASSES.index(vector["min_class"]))


def check_valid(checks, vector, clusters):
    what = f"valid {vector['cluster']} {vector['name']}"
    try:
        verified = verify_vector(vector, clusters)
    except Refused as refused:
        checks.equal(what, f"{refused.error}: {refused}", "valid")
        return
    certificate = verified["certificate"]
    for key in ("class", "signers", "remaining_ms", "in_grace"):
        checks.equal(f"{what}: {key}", verified[key], vector[key])
    question = vector["question"]
    if question:
        encoded = sized(name_from_text(question["name"]), 1) + uint(question["type"], 2) + uint(question["class"], 2)
        checks.equal(f"{what}: question", (encoded + uint(question["flags"], 1)).hex(), question["encoded"])
    found = {"zone": verified["zone"], "header_digest": certificate["header"]["digest"],
             "commit_preimage": commit_preimage(certificate), "leaf": certificate["leaf_bytes"],
             "leaf_digest": sha256(b"\0", certificate["leaf_bytes"]), "reference": reference(certificate)}
    for key, value in found.items():
        checks.equal(f"{what}: {key}", value.hex(), vector[key])


def check_delivery(checks, vector):
    certificate = bytes.fromhex(vector["certificate"])
    checks.equal("option", certificate_from_option(bytes.fromhex(vector["option_with_certificate"])), certificate)
    checks.equal("option with reference", reference(read_certificate(certificate)).hex(), vector["option_with_reference"])
    checks.equal("TXT", certificate_from_txt(vector["txt"]), certificate)
    checks.equal("TXT strings of at most 255 bytes", max(map(len, vector["txt"])) <= 255, True)
    history = bytes(32)
    for slot in vector["history"]:
        header = read_header(Reader(bytes.fromhex(slot["header"])))
        history = sha256(b"quorate history v1", history, header["digest"])
        checks.equal("header digest", header["digest"].hex(), slot["digest"])
        checks.equal("history", history.hex(), slot["history"])


# --- The command -------------------------------------------------------------------------------------------------------------


def show(verified, cluster):
    certificate = verified["certificate"]
    leaf, outcome = certificate["leaf"], certificate["leaf"]["outcome"]
    print("valid" + (" (expired, within the grace)" if verified["in_grace"] else ""))
    if leaf["question"]:
        question = leaf["question"]
        print(f"question   {name_to_text(question['name'])} class {question['class']} type {question['type']} flags {question['flags']}")
        print(f"policy     of zone {name_to_text(verified['zone'])}")
    print(f"outcome    {outcome['tag']}" + (f", rcode {outcome['rcode']}" if "rcode" in outcome else ""))
    for rrset in outcome["sets"]:
        for rdata in rrset["rdatas"]:
            print(f"record     {name_to_text(rrset['owner'])} {rrset['ttl']} TYPE{rrset['type']} {rdata.hex()}")
    if leaf["remark"]:
        print(f"remark     {leaf['remark']}")
    print(f"class      {verified['class']}" + (", single-path" if leaf["flags"] else ""))
    print(f"slot       {certificate['header']['sequence']} of epoch {certificate['epoch']}, view {certificate['view']}")
    print("signers    " + ", ".join(f"{signer} ({cluster.replicas[signer]['name']})" for signer in verified["signers"]))
    print("groups     " + ", ".join(cluster.group_names[group] for group in members(leaf["groups"])))
    print(f"remaining  {verified['remaining_ms']} ms")
    print(f"reference  {reference(certificate).hex()}")


def record_type(text):
    match = re.fullmatch(r"TYPE([0-9]+)", text.upper())
    if not match and text.upper() not in TYPES:
        raise argparse.ArgumentTypeError(f"unknown type `{text}`; write TYPE and its number")
    return int(match[1]) if match else TYPES[text.upper()]


class Parser(argparse.ArgumentParser):
    """Exit code 2 means `expired`, so wrong usage must not end with it."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cluster", nargs="?")
    parser.add_argument("certificate", nargs="?")
    parser.add_argument("--at", type=int, metavar="UNIX_MS", help="time of verification; default: now")
    parser.add_argument("--grace", type=int, metavar="MS", default=GRACE_MS)
    parser.add_argument("--min-class", choices=CLASSES, default=CLASSES[0])
    parser.add_argument("--name", help="the name that was asked for")
    parser.add_argument("--type", type=record_type, default="A", help="the type that was asked for")
    parser.add_argument("--flags", type=int, default=0, help="1: DO, 2: CD")
    parser.add_argument("--vectors", metavar="DIR")
    arguments = parser.parse_args()
    if arguments.vectors:
        return check_vectors(arguments.vectors)
    if not arguments.certificate:
        parser.error("expected a cluster file and a certificate")
    try:
        cluster = Cluster(pathlib.Path(arguments.cluster).read_text())
        data = pathlib.Path(arguments.certificate).read_bytes()
        name = name_from_text(arguments.name) if arguments.name else None
    except (OSError, KeyError, ValueError, ClusterFileError) as error:
        parser.error(f"{type(error).__name__}: {error}")
    question = {"name": name, "type": arguments.type, "class": 1, "flags": arguments.flags} if name else None
    now = arguments.at if arguments.at is not None else time.time_ns() // 1_000_000
    try:
        verified = verify(data, cluster, question, now, arguments.grace, CLASSES.index(arguments.min_class))
    except Refused as refused:
        print(f"{refused.error}: {refused}", file=sys.stderr)
        return EXIT_CODES.get(refused.error, 1)
    show(verified, cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
