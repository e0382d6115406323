// Makes the component: node build.mjs

import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { componentize } from "componentize-qjs";

const component = "build/{{name}}.wasm";

// The world of this agent, with the host's interfaces beside it.
await rm("build/wit", { recursive: true, force: true });
await cp("wit", "build/wit", { recursive: true });
await cp(".stuga/wit", "build/wit/deps/stuga-agent", { recursive: true });

try {
  const made = await componentize({
    witPath: "build/wit",
    world: "component",
    jsSource: await readFile("agent.js", "utf8"),
    jsPath: "agent.js",
    moduleRoot: ".",
    sync: true,
  });
  await writeFile(component, made.component);
} catch (error) {
  // The engine's message names file, line and column; the stack is this script's and helps nobody.
  console.error(error.message);
  process.exitCode = 1;
}
