// The stand-in for the host in Node; see testing.mjs for what it is not.

const state = (globalThis.stugaTestState ??= { memory: new Map(), lines: [], parts: [], config: {} });

const conflict = (version) => {
  const val = { message: "the item has another version", retryAfterMs: null, context: [["version", String(version)]] };
  return Object.assign(new Error(val.message), { payload: { tag: "conflict", val } });
};

/** The time of all tests, and numbers that are the same in every run. */
const NOW = Date.UTC(2026, 0, 1);
let seed = 1;
const byte = () => (seed = (seed * 48_271) % 2_147_483_647) & 0xff;
let version = 0;

const memory = {
  get: (key) => state.memory.get(key) ?? null,
  put(key, value, ttl) {
    const createdAt = state.memory.get(key)?.createdAt ?? NOW;
    const expiresAt = ttl === null ? null : NOW + ttl;
    state.memory.set(key, { key, value, version: (version += 1), createdAt, updatedAt: NOW, expiresAt });
    return version;
  },
  compareAndSet(key, expected, value, ttl) {
    const found = state.memory.get(key)?.version ?? null;
    if (found !== expected) throw conflict(found ?? "absent");
    return memory.put(key, value, ttl);
  },
  delete: (key) => state.memory.delete(key),
  list(prefix, cursor, limit) {
    const after = (key) => key.startsWith(prefix) && (cursor === null || key > cursor);
    const keys = [...state.memory.keys()].filter(after).sort();
    const items = keys.slice(0, limit).map((key) => state.memory.get(key));
    return { items, nextCursor: keys.length > limit ? keys[limit - 1] : null };
  },
};

const interfaces = {
  memory,
  log: { write: (level, message, fields) => void state.lines.push({ level, message, fields }) },
  clock: { now: () => NOW, elapsed: () => 0 },
  random: { bytes: (length) => Uint8Array.from({ length }, byte), nextU64: () => byte() },
  output: { emit: (json) => void state.parts.push(JSON.parse(json)) },
  config: { get: (name) => (name in state.config ? JSON.stringify(state.config[name]) : null) },
};

const name = new URL(import.meta.url).searchParams.get("interface");
if (!(name in interfaces)) {
  throw new Error(`testing.mjs has no stand-in for \`${name}\`; test what uses it with \`stuga test\``);
}
export default interfaces[name];
