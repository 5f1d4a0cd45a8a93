// Certificates: what is judged by, logs, probes and events. Shown when the server has `ct-verify`.

import { at, rows, say, show, tiles } from "./write.js";
import { count, counts, plain, time } from "./words.js";

/** How many events are shown, the newest. */
const EVENTS_MAX = 50;
const ILL = new Set(["unreachable", "lying", "no_agreement", "all_changed", "we_differ"]);
const WELL = new Set(["ok", "corroborated"]);

const mark = (word) => (WELL.has(word) ? "good" : ILL.has(word) ? "bad" : undefined);

export function showTransparency({ transparency, events, probes }) {
  const said = transparency.value;
  show(at("transparency"), said !== null);
  show(at("to-transparency"), said !== null);
  if (said === null) return;
  tiles(at("transparency-tiles"), figures(said));
  const logs = (said.logs ?? []).map((log) => [
    log.description,
    log.operator,
    { text: plain(log.condition), mark: mark(log.condition) },
    log.why,
    { text: count(log.size), isNumber: true },
    time(log.looked),
  ]);
  rows(at("logs-rows"), logs, { none: said.logs === null ? "none is asked: `audit off`, or no list of logs" : "none" });
  const targets = Object.entries(probes.value?.targets ?? {}).map(([target, one]) => [
    target,
    { text: plain(one.outcome?.outcome), mark: mark(one.outcome?.outcome) },
    time(one.seen?.at),
    typeof one.error === "string" || one.error === null ? one.error : JSON.stringify(one.error),
  ]);
  rows(at("probes-rows"), targets);
  showEvents(events.value?.events ?? []);
}

function figures(said) {
  const { summary } = said;
  const inForce = (kind) => {
    const input = said.in_force?.[kind];
    return input ? { text: input.held ? "in force" : "in force, not held", mark: input.held ? "good" : "warn", note: `since ${time(input.since)}` } : "none";
  };
  return [
    ["Verdicts", counts(summary.verdicts) ?? "none"],
    ["Events", { text: count(summary.events?.all ?? 0), note: `${count(summary.events?.grave ?? 0)} grave`, mark: summary.events?.grave > 0 ? "warn" : undefined }],
    ["Logs", counts(summary.logs) ?? "none asked"],
    ["Promises of logs", counts(summary.audits) ?? "none"],
    ["Split views proven", { text: count(summary.evidence ?? 0), mark: summary.evidence > 0 ? "bad" : undefined }],
    ["Probes", counts(summary.probes) ?? "none"],
    ["New certificates seen", summary.certificates === null || summary.certificates === undefined ? "no monitor" : count(summary.certificates)],
    ["Log list", inForce("log_list")],
    ["Roots", inForce("roots")],
    ["Revocation lists", inForce("revocation")],
    ["Policy", { text: said.policy, note: `revocation: ${said.revocation}` }],
  ];
}

function showEvents(events) {
  const newest = events.slice(-EVENTS_MAX).reverse();
  const cells = newest.map((event) => [
    time(event.at),
    event.grave ? { text: plain(event.code), mark: "bad", note: "grave" } : plain(event.code),
    event.subject,
    event.text,
  ]);
  rows(at("events-rows"), cells);
  say(at("events-more"), events.length > newest.length ? `The newest ${newest.length} of ${events.length}; all: /v1/transparency/events` : "");
}
