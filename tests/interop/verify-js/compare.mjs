// What two verifiers say about one dossier: both accept it or neither does, and the first step that fails is the same.
export const firstFault = (steps) => steps.find((s) => s.verdict === "failed")?.step ?? null;

/** A sentence about how they differ, or null. */
export function difference(c, js) {
  const ours = firstFault(js.steps), theirs = firstFault(c.steps);
  const reason = (steps) => JSON.stringify(steps.find((s) => s.verdict === "failed") ?? null);
  if (ours !== theirs) return `first fault: ${reason(c.steps)} there, ${reason(js.steps)} here`;
  if (c.accepted !== js.accepted) return `accepted: ${c.accepted} there, ${js.accepted} here`;
  return null;
}
