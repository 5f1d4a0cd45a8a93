"""Judges what a whole run of a cluster has certified: every certificate must verify, and no two may disagree.

    history.py CLUSTER.toml WITNESSES.jsonl

A line of WITNESSES is one certificate as a client got it: `certificate` (hexadecimal) and `received_ms`, when; perhaps `name`, what was
asked (for A), and `asked_ms`, when it was asked first. What must hold:

1. Each verifies by section 8 of FORMAT.md at the moment it was received, for the name that was asked.
2. Its leaf was observed between question and answer: neither a lie nor a wrong clock moves the time of an answer.
3. One slot has one header, whoever gives it, in whatever view: no two replicas decide differently.
4. Headers that name the same slot as decided name the same history up to it, and their time is not before that of any slot up to it.
5. A name that is asked again while its answer holds has the slot that it had: nothing that was certified is lost.

Prints a summary as JSON. Exit codes: 0 all of it holds, 1 something does not; standard error says what.
"""

import bisect
import itertools
import json
import pathlib
import sys

import verify

FINDINGS_MAX = 20


class History:
    def __init__(self, cluster):
        self.cluster, self.findings, self.certificates = cluster, [], 0
        self.headers, self.prefixes, self.names, self.times, self.views = {}, {}, {}, {}, set()

    def same(self, table, key, value, number, what):
        """The first value of a key is the one that it must have in every other witness."""
        first, known = table.setdefault(key, (number, value))
        if known != value:
            self.findings.append(f"witnesses {first} and {number} disagree: {what} {key} is {known}, and {value}")

    def take(self, number, witness):
        self.certificates += 1
        name, received = witness.get("name"), witness["received_ms"]
        question = {"name": verify.name_from_text(name), "type": 1, "class": 1, "flags": 0} if name else None
        try:
            data = bytes.fromhex(witness["certificate"])
            certificate = verify.verify(data, self.cluster, question, received, verify.GRACE_MS, 0)["certificate"]
        except verify.Refused as refused:
            self.findings.append(f"witness {number}, {name}: {refused.error}: {refused}")
            return
        header, observed = certificate["header"], certificate["leaf"]["time"]
        asked = witness.get("asked_ms")
        if asked is not None and not asked <= observed <= received:
            self.findings.append(f"witness {number}, {name}: asked at {asked}, observed at {observed}, received at {received}")
        self.views.add(certificate["view"])
        self.times[header["sequence"]] = (header["time"], header["prefix_sequence"])
        self.same(self.headers, header["sequence"], header["digest"].hex(), number, "header of slot")
        self.same(self.prefixes, header["prefix_sequence"], header["prefix_digest"].hex(), number, "history up to slot")
        if name:
            self.same(self.names, name, header["sequence"], number, "slot of")

    def finish(self):
        slots = sorted(self.times)
        latest = list(itertools.accumulate((self.times[slot][0] for slot in slots), max))
        for slot in slots:
            time, prefix = self.times[slot]
            known = bisect.bisect_right(slots, prefix)
            if known and time < latest[known - 1]:
                self.findings.append(f"slot {slot} has the time {time}, but one up to {prefix}, its prefix, has {latest[known - 1]}")
        return {"certificates": self.certificates, "slots": len(self.headers), "views": sorted(self.views),
                "highest": max(self.headers, default=0)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    history = History(verify.Cluster(pathlib.Path(sys.argv[1]).read_text()))
    with open(sys.argv[2], encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            history.take(number, json.loads(line))
    print(json.dumps(history.finish()))
    for finding in history.findings[:FINDINGS_MAX]:
        print(finding, file=sys.stderr)
    if len(history.findings) > FINDINGS_MAX:
        print(f"and {len(history.findings) - FINDINGS_MAX} more", file=sys.stderr)
    return 1 if history.findings else 0


if __name__ == "__main__":
    sys.exit(main())
