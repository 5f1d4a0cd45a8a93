// What this replica makes of the others: the table, trust, evidence, and the filter before the peer port.

import { at, columns, rows, say } from "./write.js";
import { UNKNOWN, bytes, count, duration, percent, plain, score, time } from "./words.js";

/** What the detector advises, in a few words. */
const ADVICE = {
  none: "nothing to do",
  watch: "watch it",
  limit: "limit its rate",
  quarantine: "shut it out",
  replace: "run another in its place",
};

export function showReplicas({ status, cluster, assessments }, now) {
  const peers = new Map((assessments.value?.replicas ?? []).map((peer) => [peer.id, peer]));
  const members = cluster.value?.replicas ?? [...peers.values()];
  const said = { me: status.value.replica, primary: status.value.primary, trusted: status.value.trusted };
  const cells = members.map((member) => {
    const tags = [
      member.id === said.me && "this one",
      member.id === said.primary && "primary",
      member.address,
    ];
    const name = { text: `${member.id} ${member.name}`, note: tags.filter(Boolean).join(" · ") };
    const peer = peers.get(member.id);
    return peer === undefined ? itself(name, member.id === said.me) : [name, ...row(peer, said.trusted, now)];
  });
  rows(at("replicas-rows"), cells, { keys: members.map((member) => String(member.id)) });
}

function itself(name, isMe) {
  const dashes = Array.from({ length: 9 }, () => UNKNOWN);
  return [name, isMe ? "itself" : UNKNOWN, ...dashes];
}

function row(peer, trusted, now) {
  const { statistics, reputation, quarantined } = peer;
  const offences = Object.entries(peer.offences ?? {}).map(([offence, number]) => `${count(number)} × ${plain(offence)}`);
  const isTrusted = trusted.includes(peer.id);
  const label = peer.is_byzantine
    ? { text: "byzantine", mark: "bad", note: `${percent(peer.confidence)} sure: ${plain(peer.pattern)}` }
    : { text: plain(peer.pattern), note: peer.confidence > 0 ? `not byzantine, ${percent(peer.confidence)} sure` : null };
  const indicators = peer.indicators.map(plain);
  return [
    link(peer, now),
    { text: duration(peer.round_trip_ms), note: loss(peer) },
    { text: percent(statistics.participation), note: votes(statistics) },
    { text: percent(statistics.accuracy), note: `${count(statistics.judged)} judged` },
    percent(statistics.signature_success),
    { text: score(reputation.score), mark: isTrusted ? "good" : "warn", meter: reputation.score, note: `${isTrusted ? "trusted" : "not trusted"}, trust ${score(peer.trust)}` },
    label,
    { text: indicators.length === 0 ? "nothing" : indicators.join(", "), mark: indicators.length === 0 ? undefined : "warn", note: offences.join(", ") },
    { text: ADVICE[peer.action] ?? peer.action, mark: peer.action === "none" ? undefined : "warn", note: peer.tightened > 1 ? `now at 1/${peer.tightened} of its rate` : null },
    quarantined === null
      ? "no"
      : {
          text: quarantined.reason,
          mark: "bad",
          note: `until ${time(quarantined.until_ms)}, ${duration(Math.max(0, quarantined.until_ms - now))} left · strike ${quarantined.strike}`,
        },
  ];
}

function link(peer, now) {
  const seen = peer.statistics.last_seen_ms;
  const ago = typeof seen === "number" ? `seen ${duration(Math.max(0, now - seen))} ago` : "never seen";
  if (peer.quarantined !== null) return { text: "shut out", mark: "bad", note: ago };
  if (peer.connected) return { text: "up", mark: "good", note: ago };
  return { text: "down", mark: "bad", note: [ago, peer.problem].filter(Boolean).join(" · ") };
}

/** Of the packets sent to it. */
function loss({ packets_sent: sent, packets_lost: lost }) {
  return sent > 0 && typeof lost === "number" ? `${((lost / sent) * 100).toFixed(1)}\u00a0% lost` : null;
}

/** In how many slots, and how long after f + 1 others had voted. */
function votes({ slots, vote_latency_ms: latency }) {
  const after = latency ? `, after ${duration(latency.p50)}, p99 ${duration(latency.p99)}` : "";
  return `${count(slots)} slots${after}`;
}

const REACH = { up: "good", down: "bad", shut: "warn" };

/** Everybody's links, as everybody tells of them. The table has as many columns as replicas, so its head is written, too. */
export function showReach({ connectivity }) {
  const told = connectivity.value?.rows ?? [];
  columns(at("reach-rows"), ["Replica", ...told.map((one) => String(one.id)), "Told"]);
  const cells = told.map((from) => {
    const links = new Map((from.links ?? []).map((one) => [one.id, one]));
    const cell = ({ id }) => {
      const link = links.get(id);
      if (id === from.id) return "·";
      if (link === undefined) return "not told";
      if (link.state === "up") return { text: duration(link.round_trip_ms), mark: REACH.up };
      return { text: link.state === "shut" ? "shut out" : link.state, mark: REACH[link.state] };
    };
    const age = from.told_ms_ago;
    return [`${from.id} ${from.name}`, ...told.map(cell), typeof age !== "number" ? "nothing lately" : age === 0 ? "itself" : `${duration(age)} ago`];
  });
  rows(at("reach-rows"), cells, { keys: told.map((one) => String(one.id)) });
}

/** How much each two agree. */
export function showTrust({ trust }) {
  const { edges, standing } = trust.value ?? { edges: [], standing: [] };
  const ids = standing.map((one) => one.id);
  columns(at("trust-rows"), ["Replica", ...ids.map(String), "Standing"]);
  const between = new Map(edges.flatMap(({ between: [one, other], trust: value }) => [[`${one} ${other}`, value], [`${other} ${one}`, value]]));
  const cells = standing.map(({ id, trust: own }) => [
    String(id),
    ...ids.map((other) => (other === id ? "·" : score(between.get(`${id} ${other}`)))),
    score(own),
  ]);
  rows(at("trust-rows"), cells, { keys: ids.map(String) });
}

export function showEvidence({ evidence }) {
  const cells = (evidence.value?.evidence ?? []).map((one) => [
    { text: one.name, link: `v1/evidence?name=${encodeURIComponent(one.name)}` },
    `replica ${one.replica}`,
    plain(one.kind),
    one.claims_proof ? { text: "yes", mark: "bad" } : "no",
  ]);
  rows(at("evidence-rows"), cells);
}

export function showFilter({ filter }) {
  const said = filter.value;
  if (said === null) return say(at("filter-kind"), "Not known.");
  const kinds = { off: "Off: every datagram reaches the program.", userspace: "In the program, by the same policy as in the kernel." };
  const fallback = said.fallback ? ` Not what \`filter ${said.asked_for}\` asks for: ${said.fallback}` : "";
  say(at("filter-kind"), (kinds[said.kind] ?? `In the kernel: ${said.kind}.`) + fallback);
  const verdicts = said.verdicts.map((one) => [
    plain(one.verdict),
    one.passes ? { text: "yes", mark: "good" } : { text: "no", mark: one.datagrams > 0 ? "warn" : undefined },
    { text: count(one.datagrams), isNumber: true },
    { text: bytes(one.bytes), isNumber: true },
  ]);
  rows(at("filter-verdicts"), verdicts);
  const ago = (ms) => (typeof ms === "number" ? `${duration(ms)} ago` : "never");
  const peers = said.peers.map((peer) => [`replica ${peer.id}`, peer.datagrams, peer.dropped, ago(peer.last_activity_ms_ago)]);
  const unknown = said.unknown_sources.map((one) => [`${one.address}, unknown`, one.datagrams, one.datagrams, ago(one.last_seen_ms_ago)]);
  const sources = [...peers, ...unknown].map(([source, all, dropped, last]) => [
    source,
    { text: count(all), isNumber: true },
    { text: count(dropped), mark: dropped > 0 ? "warn" : undefined, isNumber: true },
    last,
  ]);
  rows(at("filter-sources"), sources, { keys: sources.map(([source]) => source) });
}
