// Write a Stuga agent in JavaScript: skills, jobs and errors.
//
// Modules are run when the component is built, not when it starts: do not read the clock or draw numbers at the top level.
// `Date.now()` is the invocation's time and stands still; `Math.random()` and `crypto.getRandomValues` draw from the
// invocation's own stream; `console` writes to the host's log. There are no timers, no files and no network.

import "./globals.js";
import output from "stuga:agent/output@0.1.0";
import { AgentError } from "./host.js";

export { AgentError, KINDS, host } from "./host.js";

/** The JSON Schema of an object with these fields and no others.
 *
 * A field's value is a schema or the name of a type ("string", "integer", ...). A name that ends with `?` may be left
 * out: `object({ key: "string", "ttl_ms?": "integer" })`. */
export function object(fields) {
  const schema = (type) => (typeof type === "string" ? { type } : type);
  const bare = (name) => name.replace(/\?$/, "");
  return {
    type: "object",
    properties: Object.fromEntries(Object.entries(fields).map(([name, type]) => [bare(name), schema(type)])),
    required: Object.keys(fields).filter((name) => !name.endsWith("?")),
    additionalProperties: false,
  };
}

/** Hands one partial result to whoever listens to the call. */
export function emit(part) {
  output.emit(JSON.stringify(part));
}

/** What the component exports; give it the name `agent`.
 *
 * `skills` maps a name to `{ description, input, output, run }` and `jobs`, if there are any, to
 * `{ description, input, run }`. `run(input, context)` takes and returns JSON values. The context has `id`, `session`,
 * `deadlineMs` and, in a job, `job` with `id` and `attempt`. An `AgentError` is answered as such; any other exception ends the call and the instance. */
export function agent({ name, version, summary, capabilities = [], skills, jobs = {} }) {
  const text = JSON.stringify;
  const find = (table, key, otherwise) => {
    if (Object.hasOwn(table, key)) return table[key];
    throw new AgentError("not-found", otherwise(Object.keys(table).join(", ")));
  };
  const noJob = (kind) => (known) =>
    known ? `this agent runs no job \`${kind}\`; it runs: ${known}` : "this agent runs no jobs";
  return {
    describe: () => ({
      name,
      version,
      summary,
      capabilities,
      skills: Object.entries(skills).map(([name, { description, input, output }]) => ({
        name,
        description,
        inputSchema: text(input),
        outputSchema: text(output),
      })),
      jobs: Object.entries(jobs).map(([name, { description, input }]) => ({
        name,
        description,
        inputSchema: text(input),
      })),
    }),
    invoke: ({ id, skill, session, input, deadlineMs }) =>
      answer(() => {
        const unknown = (known) => `agent \`${name}\` has no skill \`${skill}\`; it has: ${known}`;
        return find(skills, skill, unknown).run(JSON.parse(input), { id, session, deadlineMs, job: null });
      }),
    runJob: ({ invocationId, id, kind, input, attempt, deadlineMs }) =>
      answer(() => {
        const context = { id: invocationId, session: null, deadlineMs, job: { id, attempt } };
        return find(jobs, kind, noJob(kind)).run(JSON.parse(input), context);
      }),
  };
}

/** The output as JSON text; an error of ours as the host takes it. */
function answer(run) {
  try {
    const output = run();
    if (typeof output?.then === "function") {
      throw new AgentError("internal", "a skill answered a promise; skills answer at once");
    }
    return JSON.stringify(output ?? null);
  } catch (error) {
    throw error instanceof AgentError ? error.toWit() : error;
  }
}
