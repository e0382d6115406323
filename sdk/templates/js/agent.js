// {{name}}: what it does, in one sentence.

import * as stuga from "./.stuga/js/stuga.js";
import * as memory from "./.stuga/js/memory.js";

const { object } = stuga;
const text = object({ text: "string" });

/** What the host calls. */
export const agent = stuga.agent({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Greets guests and remembers them.",
  capabilities: ["memory"],
  skills: {
    echo: {
      description: "Answers what it is told.",
      input: text,
      output: text,
      run: (input) => input,
    },
    greet: {
      description: "Greets a guest by name and counts the visits.",
      input: object({ name: { type: "string", description: "Who comes in." } }),
      output: object({ text: "string", visits: "integer" }),
      run: greet,
    },
  },
});

function greet({ name }) {
  const visits = memory.updateJson(`visits/${name}`, (visits) => (visits ?? 0) + 1);
  console.log(`greeted for the ${visits}. time`);
  return { text: `Hej ${name}!`, visits };
}
