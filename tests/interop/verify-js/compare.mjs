// What two verifiers say about one dossier: both accept it or neither does, and the same steps fail.
/** docs/verify-js.md: who made a time token, and so whether it anchors the chain, is checked there alone. */
export const BY_AUTHORITIES = ["time", "epoch-anchor"];

const failed = (steps) => steps.filter((s) => s.verdict === "failed");
export const firstFault = (steps) => failed(steps)[0]?.step ?? null;

/** A deflate stream without its end whose bytes are all there: libzip lets it pass, fflate does not. */
const unended = (js) => /is not deflated: unexpected EOF$/.test(js.steps[0].reason ?? "");

/** Both make the same readable page of it. rendered: the digest of the one there; sha256 and hex: of the verifier here. */
export function pagesDiffer(rendered, js, digestOf) {
  const page = js.readable?.();
  if (!page || rendered === undefined) return null;
  const here = digestOf(page);
  return rendered === here ? null : `the readable page is ${rendered} there, ${here} here`;
}

/** A sentence about how they differ, or null. except: steps that are not compared. */
export function difference(c, js, except = []) {
  const [there, here] = [c, js].map((r) => failed(r.steps).filter((s) => !except.includes(s.step)));
  const told = (list) => JSON.stringify(list.map((s) => `${s.step} ${s.where}: ${s.reason}`));
  if (unended(js)) return null;
  if (there.map((s) => s.step).join() !== here.map((s) => s.step).join()) return `${told(there)} there, ${told(here)} here`;
  return except.length === 0 && c.accepted !== js.accepted ? `accepted: ${c.accepted} there, ${js.accepted} here` : null;
}
