// The host's interfaces, with the nine kinds of errors as one exception.

export const KINDS = [
  "not-found",
  "invalid",
  "denied",
  "conflict",
  "quota-exceeded",
  "rate-limited",
  "timeout",
  "unavailable",
  "internal",
];

/** Why something did not succeed: the host's answer, or an agent's own. */
export class AgentError extends Error {
  constructor(kind, message, { retryAfterMs = null, context = {} } = {}) {
    if (!KINDS.includes(kind)) {
      throw new TypeError(`there is no kind of error "${kind}"; there are: ${KINDS.join(", ")}`);
    }
    super(message);
    this.name = "AgentError";
    Object.assign(this, { kind, retryAfterMs, context });
  }

  /** The error as the host takes it. */
  toWit() {
    const context = Object.entries(this.context).map(([name, value]) => [name, String(value)]);
    return { tag: this.kind, val: { message: this.message, retryAfterMs: this.retryAfterMs, context } };
  }

  /** The exception for an error that the host answered. */
  static fromWit({ tag, val: { message, retryAfterMs, context } }) {
    return new AgentError(tag, message, { retryAfterMs, context: Object.fromEntries(context) });
  }
}

/** An interface of the host whose functions throw `AgentError`:
 *
 *     import raw from "stuga:agent/files@0.1.0";
 *     const files = host(raw);
 */
export function host(raw) {
  const wrap = (run) =>
    function (...input) {
      try {
        return run(...input);
      } catch (error) {
        throw KINDS.includes(error?.payload?.tag) ? AgentError.fromWit(error.payload) : error;
      }
    };
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [name, typeof value === "function" ? wrap(value) : value]),
  );
}
