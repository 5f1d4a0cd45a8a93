// How this server stands: whether a quorum is reachable, its view, and what it decides and answers a second.

import { at, banner, say, show, tiles } from "./write.js";
import { UNKNOWN, count, percent, rate, score, time } from "./words.js";

/** How many looks the curves show: four minutes at two seconds each. */
const LOOKS_MAX = 120;

/** What a counter grew by a second, from look to look. */
class Rate {
  constructor(number, line) {
    Object.assign(this, { number, line, before: null, looks: [] });
  }

  /** Takes in the counter as it was said at `answered`, once. */
  take(value, answered) {
    if (typeof value !== "number" || this.before?.answered === answered) return;
    const { before } = this;
    this.before = { value, answered };
    // A program that was started anew counts from 0.
    if (before === null || value < before.value) return;
    this.looks.push(((value - before.value) * 1000) / (answered - before.answered));
    if (this.looks.length > LOOKS_MAX) this.looks.shift();
    this.show();
  }

  show() {
    const { viewBox } = this.line.ownerSVGElement;
    const { width, height } = viewBox.baseVal;
    const most = Math.max(1, ...this.looks);
    const step = width / (LOOKS_MAX - 1);
    const first = LOOKS_MAX - this.looks.length;
    const place = (look, index) => `${((first + index) * step).toFixed(1)},${(height - 2 - (look / most) * (height - 4)).toFixed(1)}`;
    this.line.setAttribute("points", this.looks.map(place).join(" "));
    say(this.number, rate(this.looks.at(-1)));
  }
}

const answers = new Rate(at("answers-rate"), at("answers-line"));
const slots = new Rate(at("slots-rate"), at("slots-line"));

/** Writes all of it. */
export function showStanding({ status, cluster, responses }) {
  const [said, common] = [status.value, cluster.value];
  answers.take(responses.value, responses.answered);
  slots.take(said?.slots_decided, status.answered);
  const [mark, text] = verdict(status, common);
  const isOld = status.failure !== null && text !== null;
  // What was well then may not be now.
  if (isOld) banner(at("verdict"), "warn", `As of ${time(status.answered)}: ${text}`);
  else banner(at("verdict"), mark, text);
  document.querySelectorAll(".of-consensus").forEach((part) => show(part, said !== null));
  const whose = said === null ? "" : `· ${said.cluster} · replica ${said.replica}`;
  say(at("whose"), whose);
  document.title = `${{ good: "✓", warn: "!", bad: "✕" }[status.failure === null ? mark : "warn"]} Quorate ${whose}`.trim();
  if (said !== null) tiles(at("tiles"), figures(said));
}

/** A mark and a sentence, or no sentence when nothing is known. */
function verdict(status, cluster) {
  const said = status.value;
  if (status.isAbsent) {
    return ["warn", "No consensus here: no server block has `byzantine-consensus`. What this server answers, it answers alone."];
  }
  if (said === null) return ["warn", null];
  const [present, all, quorum] = [said.connected.length + 1, cluster?.replicas?.length ?? UNKNOWN, cluster?.quorum ?? UNKNOWN];
  const figures = `${present} of ${all} replicas connected, ${quorum} needed`;
  if (said.refusing !== null) return ["bad", `This replica does not vote: ${said.refusing}. ${figures}.`];
  if (!said.can_reach_quorum) return ["bad", `No quorum is reachable: ${figures}. Nothing new is decided.`];
  if (said.standing !== "active") return ["warn", `A quorum is reachable (${figures}), and this replica is ${said.standing}.`];
  if (present === quorum) return ["warn", `A quorum is reachable, with no replica to spare: ${figures}.`];
  return ["good", `A quorum is reachable: ${figures}.`];
}

function figures(said) {
  const decided = said.fast + said.slow;
  const primary = said.primary === null ? "none yet" : said.primary === said.replica ? `${said.primary}, itself` : String(said.primary);
  return [
    ["Standing", { text: said.standing, mark: said.standing === "active" ? "good" : "warn", note: said.catching_up ? "catching up" : said.suspect ? "suspects the primary" : null }],
    ["View", { text: count(said.view), note: `primary ${primary}` }],
    ["View changes", { text: count(said.view_changes), note: `${count(said.new_views)} new views` }],
    ["Slot", { text: count(said.executed), note: `stable ${count(said.stable)}` }],
    ["Decided", { text: `${count(said.slots_decided)} slots`, note: `${count(said.operations_decided)} questions` }],
    ["Fast path", { text: decided > 0 ? percent(said.fast / decided) : UNKNOWN, note: `setting: ${said.fast_path}` }],
    ["Held answers", { text: count(said.held_answers), note: `${count(said.waiting_questions)} questions wait` }],
    ["Least reputation", { text: score(said.least_reputation), note: said.detector ? `${said.trusted.length} replicas trusted` : "detector off" }],
    ["Faults met", { text: count(said.faults), note: `${count(said.strangers)} strangers` }],
  ];
}
