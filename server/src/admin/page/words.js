// Numbers and times as people read them. What is not known is a dash.

export const UNKNOWN = "–";
/** Between a number and its unit, where no line ends. */
const GAP = "\u00a0";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const two = (number) => String(number).padStart(2, "0");

export function count(value) {
  return isNumber(value) ? value.toLocaleString("en").replaceAll(",", "\u202f") : UNKNOWN;
}

/** To one digit behind the point. */
export function rate(value) {
  return isNumber(value) ? value.toFixed(1) : UNKNOWN;
}

/** 0 to 1, to two digits. */
export function score(value) {
  return isNumber(value) ? value.toFixed(2) : UNKNOWN;
}

/** A share of 1 in percent, rounded down: 100 % means all. */
export function percent(share) {
  return isNumber(share) ? `${Math.floor(share * 100)}${GAP}%` : UNKNOWN;
}

/** Milliseconds in one or two units: `0.4 ms`, `12 ms`, `3.2 s`, `5 min 12 s`, `23 h 59 min`. */
export function duration(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  const seconds = Math.floor(ms / 1000);
  if (ms < 10) return `${ms.toFixed(1)}${GAP}ms`;
  if (ms < 1000) return `${ms.toFixed(0)}${GAP}ms`;
  if (seconds < 60) return `${(ms / 1000).toFixed(1)}${GAP}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${GAP}min ${two(seconds % 60)}${GAP}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}${GAP}h ${two(Math.floor(seconds / 60) % 60)}${GAP}min`;
  return `${Math.floor(seconds / 86400)}${GAP}d ${two(Math.floor(seconds / 3600) % 24)}${GAP}h`;
}

export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)}${GAP}${units[unit]}`;
}

/** The time of day here; with the date unless it is today. `when` is what `Date` takes. */
export function time(when) {
  const date = new Date(when);
  if (when === null || when === undefined || Number.isNaN(date.getTime())) return UNKNOWN;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return date.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
}

/** Words that a program reads, for people: `no_agreement` is `no agreement`. */
export function plain(word) {
  return typeof word === "string" ? word.replaceAll(/[_-]/g, " ") : UNKNOWN;
}

/** `5 ok, 1 behind` from counts by word, without those that are 0; null when there are none. */
export function counts(byWord) {
  const there = Object.entries(byWord ?? {}).filter(([, number]) => number > 0);
  return there.length === 0 ? null : there.map(([word, number]) => `${count(number)} ${plain(word)}`).join(", ");
}
