// Runs an agent's skills in Node, for quick tests: `node --import ./.stuga/js/testing.mjs --test`.
//
// The host's interfaces are a small stand-in with the memory of one agent and a clock that stands still. It does not know
// the host's bounds, quotas, grants and expiry, nor schemas: `stuga test` does, on the real component.

import { register } from "node:module";
import { AgentError } from "./host.js";

register("./hooks.mjs", import.meta.url);

/** Calls a skill with a JSON value and returns its answer, or throws the `AgentError` that a client would get. */
export function call(agent, skill, input, { id = "test", session = null, deadlineMs = 30_000 } = {}) {
  try {
    return JSON.parse(agent.invoke({ id, skill, session, input: JSON.stringify(input), deadlineMs }));
  } catch (error) {
    throw error?.tag ? AgentError.fromWit(error) : error;
  }
}

/** What the stand-in holds: `memory` by key, `lines` of the log, `parts` that were emitted, `config` by name. */
export const state = (globalThis.stugaTestState ??= { memory: new Map(), lines: [], parts: [], config: {} });
