// Has Node take the stand-in of `mock.js` for every interface of the host.

export async function resolve(specifier, context, next) {
  const name = /^stuga:agent\/([a-z0-9-]+)@/.exec(specifier)?.[1];
  if (name === undefined) return next(specifier, context);
  return { url: new URL(`./mock.js?interface=${name}`, import.meta.url).href, format: "module", shortCircuit: true };
}
