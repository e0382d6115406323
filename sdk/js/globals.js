// What JavaScript programs take for granted and the engine does not have: console, text encoding, and randomness that
// belongs to the invocation. The engine's own `Math.random` was seeded when the component was built.

import log from "stuga:agent/log@0.1.0";
import random from "stuga:agent/random@0.1.0";

/** Most bytes that the host gives at once. */
const RANDOM_MAX = 65_536;

Math.random = () => {
  const bytes = random.bytes(7);
  const high = (bytes[0] & 0x1f) * 2 ** 48;
  return bytes.slice(1).reduce((number, byte, at) => number + byte * 2 ** (8 * at), high) / 2 ** 53;
};

globalThis.crypto ??= {
  getRandomValues(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    if (bytes.length > RANDOM_MAX) throw new RangeError(`at most ${RANDOM_MAX} random bytes at once`);
    bytes.set(random.bytes(bytes.length));
    return array;
  },
};

const shown = (value) => {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value}\n${value.stack}`;
  return JSON.stringify(value) ?? String(value);
};
const line = (level) => (...values) => log.write(level, values.map(shown).join(" "), []);
globalThis.console ??= {
  debug: line("debug"),
  log: line("info"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};

globalThis.TextEncoder ??= class TextEncoder {
  encode(text = "") {
    const escaped = encodeURIComponent(String(text).toWellFormed());
    const bytes = [];
    for (let at = 0; at < escaped.length; at += 1) {
      const isEscape = escaped[at] === "%";
      bytes.push(isEscape ? parseInt(escaped.slice(at + 1, at + 3), 16) : escaped.charCodeAt(at));
      if (isEscape) at += 2;
    }
    return new Uint8Array(bytes);
  }
};

/** UTF-8 only; what is no UTF-8 becomes U+FFFD, one for each byte that does not fit. */
globalThis.TextDecoder ??= class TextDecoder {
  decode(bytes = []) {
    const parts = [];
    for (let at = 0; at < bytes.length; ) {
      const [point, length] = decodeOne(bytes, at);
      parts.push(String.fromCodePoint(point));
      at += length;
    }
    return parts.join("");
  }
};

/** The code point at a place, and how many bytes it takes. */
function decodeOne(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  let point = first & (0x7f >> length);
  for (let next = 1; next < length; next += 1) {
    const byte = bytes[at + next];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return [0xfffd, 1];
    point = (point << 6) | (byte & 0x3f);
  }
  const least = [0, 0, 0x80, 0x800, 0x1_0000][length];
  const isSurrogate = point >= 0xd800 && point < 0xe000;
  const fits = length > 0 && first < 0xf5 && point >= least && point <= 0x10_ffff && !isSurrogate;
  return fits ? [point, length] : [0xfffd, 1];
}
