// One resource of the admin listener: what it last said, and since when it has not.

/** How long an answer may take, in milliseconds. */
const PATIENCE_MS = 5000;

export class Resource {
  /** `path` is relative to the page; `read` makes a value of a response. */
  constructor(path, read = (response) => response.json()) {
    this.path = path;
    this.read = read;
    /** What it said when it last answered; null before, and when the server has no such resource. */
    this.value = null;
    /** Whether it has answered that it has no such resource. */
    this.isAbsent = false;
    /** When it last answered, in milliseconds since 1970. */
    this.answered = null;
    /** Why it does not answer; null while it does. */
    this.failure = null;
  }

  /** Asks. What was said before stays when this fails. */
  async ask() {
    try {
      const response = await fetch(this.path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.status === 404) {
        this.keep(null);
      } else if (response.ok) {
        this.keep(await this.read(response));
      } else {
        this.failure = `HTTP ${response.status}`;
      }
    } catch (error) {
      this.failure = error.name === "TimeoutError" ? `no answer within ${PATIENCE_MS / 1000} s` : "no answer";
    }
  }

  keep(value) {
    this.value = value;
    this.isAbsent = value === null;
    this.answered = Date.now();
    this.failure = null;
  }
}

/** The sum over all label sets of one counter in OpenMetrics text; no other line is looked into. */
export function sumOf(counter) {
  return async (response) => {
    let sum = 0;
    for (const line of (await response.text()).split("\n")) {
      if (line.startsWith(counter + "{") || line.startsWith(counter + " ")) {
        sum += Number(line.slice(line.lastIndexOf(" ") + 1)) || 0;
      }
    }
    return sum;
  };
}
