// Asks this replica every two seconds, and has each part of the page written from what it says.

import { Resource, sumOf } from "./resource.js";
import { showStanding } from "./standing.js";
import { showEvidence, showFilter, showReach, showReplicas, showTrust } from "./replicas.js";
import { showTransparency } from "./transparency.js";
import { begin } from "./why.js";
import { at, banner, say } from "./write.js";
import { duration, time } from "./words.js";

/** From the end of one look to the beginning of the next. */
const PAUSE_MS = 2000;

const resources = {
  status: new Resource("v1/status"),
  cluster: new Resource("v1/cluster"),
  assessments: new Resource("v1/assessments"),
  connectivity: new Resource("v1/connectivity"),
  trust: new Resource("v1/trust"),
  evidence: new Resource("v1/evidence"),
  filter: new Resource("v1/filter"),
  transparency: new Resource("v1/transparency"),
  events: new Resource("v1/transparency/events"),
  probes: new Resource("v1/transparency/probes"),
  responses: new Resource("metrics", sumOf("quorate_dns_responses_total")),
};

let isPaused = false;
let isLooking = false;
/** The timer of the next look. */
let next = null;

async function look() {
  if (isLooking || isPaused || document.hidden) return;
  isLooking = true;
  clearTimeout(next);
  await Promise.all(Object.values(resources).map((resource) => resource.ask()));
  try {
    write();
  } catch (error) {
    banner(at("stale"), "bad", `What this server says cannot be shown (${error.message}): is the page of another version? Load it again.`);
  }
  isLooking = false;
  next = setTimeout(look, PAUSE_MS);
}

function write() {
  // The replica's clock, as far as it has told: ages and ends are by that one.
  const { value, answered } = resources.assessments;
  const now = value === null ? Date.now() : value.time_ms + (Date.now() - answered);
  showStanding(resources);
  if (resources.status.value !== null) {
    showReplicas(resources, now);
    showReach(resources);
    showTrust(resources);
    showEvidence(resources);
    showFilter(resources);
  }
  showTransparency(resources);
  showStaleness();
}

/** Says what is old, since when, and why. */
function showStaleness() {
  const all = Object.values(resources);
  const failed = all.filter((resource) => resource.failure !== null);
  const newest = Math.max(...all.map((resource) => resource.answered ?? 0));
  say(at("clock"), newest === 0 ? "nothing yet" : `as of ${time(newest)}`);
  if (failed.length === 0) return banner(at("stale"), "warn", null);
  const answered = failed.map((resource) => resource.answered).filter((when) => when !== null);
  const reasons = failed.map((resource) => `/${resource.path}: ${resource.failure}`);
  const what = failed.length === all.length ? "This server does not answer" : reasons.join("; ");
  const oldest = Math.min(...answered);
  const since = answered.length === 0 ? "never answered" : `stale since ${time(oldest)}, ${duration(Date.now() - oldest)} ago`;
  banner(at("stale"), "warn", `${what} (${since}).`);
}

at("pause").addEventListener("click", ({ currentTarget }) => {
  isPaused = !isPaused;
  currentTarget.setAttribute("aria-pressed", String(isPaused));
  say(currentTarget, isPaused ? "Go on" : "Pause");
  look();
});
document.addEventListener("visibilitychange", look);
begin();
look();
