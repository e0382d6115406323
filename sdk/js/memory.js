// Memory: what outlives a call, private to this agent of this tenant. The contract stands in `memory.wit`.

import raw from "stuga:agent/memory@0.1.0";
import "./globals.js";
import { host } from "./host.js";

/** How many items a listing reads at once. */
const PAGE = 1_000;
/** How often `updateJson` tries again when somebody else was faster. */
const TRIES = 8;

const memory = host(raw);

/** The item at `key` (`value` in bytes, `version`, times), or null when it is absent or expired. */
export const get = (key) => memory.get(key);

/** Stores bytes, whatever stood there, and returns the new version. */
export const put = (key, value, ttlMs = null) => memory.put(key, value, ttlMs);

/** Stores bytes only when the version is `expected` (null: the key is absent); throws `conflict` otherwise. */
export const compareAndSet = (key, expected, value, ttlMs = null) => memory.compareAndSet(key, expected, value, ttlMs);

/** Removes the item and says whether there was one. */
export const remove = (key) => memory.delete(key);

/** The JSON value at `key`, or `otherwise`. */
export function getJson(key, otherwise = null) {
  const item = get(key);
  return item === null ? otherwise : JSON.parse(new TextDecoder().decode(item.value));
}

/** Stores a JSON value and returns the new version. */
export const putJson = (key, value, ttlMs = null) => put(key, new TextEncoder().encode(JSON.stringify(value)), ttlMs);

/** Stores what `change` makes of the JSON value at `key` (null when there is none), and returns it. `change` is asked again
 * when another call changed the value meanwhile. */
export function updateJson(key, change, ttlMs = null) {
  for (let left = TRIES; ; left -= 1) {
    const item = get(key);
    const value = change(item && JSON.parse(new TextDecoder().decode(item.value)));
    try {
      compareAndSet(key, item && item.version, new TextEncoder().encode(JSON.stringify(value)), ttlMs);
      return value;
    } catch (error) {
      if (error.kind !== "conflict" || left <= 1) throw error;
    }
  }
}

/** All items whose key begins with `prefix`, page by page, in the order of their keys. */
export function* items(prefix = "") {
  let cursor = null;
  do {
    const page = memory.list(prefix, cursor, PAGE);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== null);
}
