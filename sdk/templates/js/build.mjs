// Makes the component: node build.mjs

import { cp, rm, writeFile } from "node:fs/promises";
import { componentize } from "componentize-qjs";

const component = "build/{{name}}.wasm";

// The world of this agent, with the host's interfaces beside it.
await rm("build/wit", { recursive: true, force: true });
await cp("wit", "build/wit", { recursive: true });
await cp(".stuga/wit", "build/wit/deps/stuga-agent", { recursive: true });

// With this entry an agent that is not exported fails here, and not when a host loads the component.
const entry = 'export { agent } from "../agent.js";\n';
await writeFile("build/component.js", entry);

/** What the engine says of a mistake, and what to do about it. */
const FIXES = [
  [
    /Could not find export 'agent' in module/,
    () => "agent.js exports no agent; write `export const agent = stuga.agent({ ... });`",
  ],
  [
    /failed to resolve JavaScript import "(stuga:agent\/[^"]+)"/,
    ([, name]) => `the world does not import it; add \`import ${name};\` to wit/world.wit`,
  ],
];

try {
  const made = await componentize({
    witPath: "build/wit",
    world: "component",
    jsSource: entry,
    jsPath: "build/component.js",
    moduleRoot: ".",
    sync: true,
  });
  await writeFile(component, made.component);
} catch (error) {
  // The message ends with the mistake, its file, line and column; the stack is this script's and helps nobody.
  console.error(error.message.replace(/^.*?(?=\w*Error: )/s, "").trim());
  for (const [pattern, fix] of FIXES) {
    const found = pattern.exec(error.message);
    if (found) console.error(fix(found));
  }
  process.exitCode = 1;
}
