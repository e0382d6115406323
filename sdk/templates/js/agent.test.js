// Quick tests in Node: npm test

import { beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { call, state } from "./.stuga/js/testing.mjs";
import { agent } from "./agent.js";

beforeEach(() => state.memory.clear());

test("a guest who comes back is remembered", () => {
  call(agent, "greet", { name: "Astrid" });
  const second = call(agent, "greet", { name: "Astrid" });
  assert.deepEqual(second, { text: "Hej Astrid!", visits: 2 });
});
