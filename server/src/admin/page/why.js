// "Why this answer?": asks for the certificate of one question and shows who saw what. The question stands in the address of the page, so that it can be kept.

import { at, banner, rows, say, show, tiles } from "./write.js";
import { UNKNOWN, count, plain, time } from "./words.js";

/** How long an answer may take, in milliseconds. */
const PATIENCE_MS = 5000;
/** The last question; what comes for an earlier one is too late. */
let asked = 0;

export function begin() {
  const wanted = new URLSearchParams(location.search);
  at("why-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [name, type] = [at("why-name").value.trim(), at("why-type").value.trim() || "A"];
    history.replaceState(null, "", `?${new URLSearchParams({ name, type })}#why`);
    ask(name, type);
  });
  if (wanted.get("name")) {
    at("why-name").value = wanted.get("name");
    at("why-type").value = wanted.get("type") ?? "";
    ask(wanted.get("name"), wanted.get("type") || "A");
  }
}

async function ask(name, type) {
  const mine = ++asked;
  const { mark, text, value } = await fetched(name, type);
  if (mine !== asked) return;
  banner(at("why-said"), mark, text);
  show(at("why-answer"), value !== null);
  if (value !== null) showAnswer(value);
}

/** What the replica says, or why it says nothing. */
async function fetched(name, type) {
  try {
    const query = new URLSearchParams({ name, type });
    const response = await fetch(`v1/certificates?${query}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const said = await response.json();
    if (response.ok) return { mark: "good", text: null, value: said };
    return { mark: "warn", text: `${name} ${type}: ${said.error ?? `HTTP ${response.status}`}`, value: null };
  } catch {
    return { mark: "bad", text: `${name} ${type}: the replica does not answer.`, value: null };
  }
}

function showAnswer(said) {
  say(at("why-question"), said.question);
  tiles(at("why-tiles"), [
    ["Class", { text: said.class, note: said.single_path ? "single path: all who saw it share one network" : null, mark: said.single_path ? "warn" : undefined }],
    ["Policy", { text: said.policy, note: `of zone ${said.zone ?? UNKNOWN}` }],
    ["Signers", { text: list(said.signers), note: `replicas; ${said.quorum ?? UNKNOWN} must sign` }],
    ["Supported by", { text: list(said.support), note: said.threshold ? `${said.threshold} must have seen it` : null }],
    ["Slot", { text: count(said.slot), note: `view ${count(said.view)}` }],
    ["Decided", time(said.time_ms)],
    ["Holds until", { text: time(said.not_after_ms), mark: said.holds ? "good" : "warn", note: said.holds ? "it holds" : "no longer" }],
    ["Remark", remark(said.remark)],
  ]);
  const records = (said.answer ?? []).map((part) => [part.record, list(part.seen_by), list(part.seen_before_by)]);
  rows(at("why-records"), records, { none: "no record: the name or the type does not exist" });
  const views = (said.observations ?? []).map((view) => [
    `${view.replica} ${view.name}`,
    view.upstream_group ?? UNKNOWN,
    time(view.time_ms),
    { lines: view.saw?.length > 0 ? view.saw : ["nothing"] },
    view.counted ? "yes" : "no",
    view.supports ? { text: "yes", mark: "good" } : { text: "no", mark: "warn" },
    remark(view.remark),
  ]);
  const none = said.why ?? said.observations_why ?? "none are kept here: another replica handed the answer on";
  rows(at("why-views"), views, { none });
  say(at("why-certificate"), said.certificate ?? UNKNOWN);
}

const list = (ids) => (!ids ? "not known here" : ids.length > 0 ? ids.join(", ") : "nobody");

function remark(said) {
  return said ? { text: plain(said.judged), note: `${said.info_code} ${said.text}` } : "none";
}
