// Completeness of each subject, the trees that must be there, and the ties of containers with consignments.
import { Fault, Reader, compare, equal, fail, hex, leafHash } from "./bytes.mjs";
import { rootOf } from "./merkle.mjs";
import { SUBJECT, checkAbsence, provenValue, stateKey } from "./ics23.mjs";
import { documentTag, governanceTag, keyTag, memberId, memberTag, networkTag, tagOf } from "./genesis.mjs";
import { canonicalSubject } from "./subjects.mjs";
import { CHANGE_FOREIGN, isErased } from "./statement.mjs";
import { ADVANCE } from "./foreign.mjs";

// ---- what a statement declares ----

function registryTags(v, s) {
  const g = v.genesis, r = s.payload, tags = [];
  const owner = (id) => {
    const k = id && v.authority.find(id);
    if (k) tags.push(memberTag(g, k.owner));
  };
  if (r.keyId) tags.push(keyTag(g, r.keyId));
  if (r.newKey) tags.push(keyTag(g, r.newKey.id));
  owner(s.keyId);
  owner(r.keyId);
  if (r.op === "member") tags.push(memberTag(g, memberId(r.change.name)));
  return tags;
}

function governanceTags(v, s, about, network) {
  const g = v.genesis, k = v.authority.find(s.keyId);
  const tags = [network ? networkTag(g, about) : memberTag(g, about), governanceTag(g)];
  return k ? [...tags, memberTag(g, k.owner)] : tags;
}

function tagsOf(v, s) {
  const g = v.genesis, p = s.payload;
  switch (s.kind) {
    case "batch":
      return p.entries.map((e) => e.subject);
    case "registry":
      return registryTags(v, s);
    case "pairing":
      return [p.container, p.consignment];
    case "document":
      return [...p.subjects, documentTag(g, p.digest)];
    case "proposal":
      return governanceTags(v, s, p.member, p.action === CHANGE_FOREIGN);
    case "ballot":
      return governanceTags(v, s, p.member, v.authority.isAboutNetwork(p.proposal));
    case "readiness":
      return governanceTags(v, s, p.member, false);
    case "erasure":
    case "purge": {
      const order = s.kind === "erasure" ? p : v.orders.get(hex(p.erasure));
      return [...(order?.subjects ?? []), tagOf(g, "urn:carnet:erasures")];
    }
    default:
      return p.read.kind === ADVANCE ? [...p.subjects, networkTag(g, p.read.network)] : p.subjects;
  }
}

// ---- ties ----

const TIES_MAX = 64;

/** Ties of one container, ascending by (consignment, start): the same start again ends a tie, start = end the newest open one. */
function applyPairing(v, ties, p, name) {
  const order = (t) => compare(t.consignment, p.consignment) || (t.start > p.startMs) - (t.start < p.startMs);
  let at = 0;
  while (at < ties.length && order(ties[at]) < 0) at++;
  const known = at < ties.length && order(ties[at]) === 0;
  for (let i = at; !known && p.startMs === p.endMs && i > 0; i--)
    if (equal(ties[i - 1].consignment, p.consignment) && ties[i - 1].end === 0n) {
      ties[i - 1].end = p.endMs;
      return;
    }
  if (!known && ties.length === TIES_MAX) return v.fault("pairing", name, `the container has more than ${TIES_MAX} ties`);
  if (!known) ties.splice(at, 0, { consignment: p.consignment, start: p.startMs, end: 0n });
  ties[at].end = p.endMs;
}

/** v.tied: by log index, the hex tags of consignments whose trees are here and into whose ties an event falls. */
export function followTies(v) {
  const containers = new Map();
  v.tied = new Map();
  for (const { s, index, name } of v.statements) {
    if (s && s.kind === "pairing") {
      const tag = hex(s.payload.container);
      if (!containers.has(tag)) containers.set(tag, []);
      applyPairing(v, containers.get(tag), s.payload, name);
    } else if (s && s.kind === "batch" && containers.size) {
      const into = new Set();
      for (const e of s.payload.entries)
        for (const t of containers.get(hex(e.subject)) ?? [])
          if (e.lastMs >= t.start && (t.end === 0n || e.firstMs <= t.end) && v.dossier.bySubject.has(hex(t.consignment))) into.add(hex(t.consignment));
      if (into.size) v.tied.set(index, into);
    }
  }
}

export function checkPairings(v) {
  const d = v.dossier;
  for (const { s, index, name } of v.statements) {
    if (!s) continue;
    if (d.manifest.kind === "subject" && s.kind === "pairing" && equal(s.payload.consignment, d.manifest.tag) && !d.bySubject.has(hex(s.payload.container)))
      v.fault("pairing", name, "the tree of the container tied here is missing");
    for (const tag of v.tied.get(index) ?? [])
      if (!d.bySubject.get(tag).indexes.has(index)) v.fault("pairing", name, `its container is tied to consignment ${tag}, whose tree does not hold it`);
  }
}

// ---- one subject ----

function checkLeaf(v, subject, leaf, fault) {
  const found = v.dossier.byIndex.get(leaf.index);
  if (!found) return fault(`the statement at log index ${leaf.index} is missing from the dossier`);
  if (!found.s) return; // reported with the statement
  if (!equal(found.s.recordDigest, leaf.record)) fault(`the statement at log index ${leaf.index} is not the one recorded`);
  if (!found.declared.has(hex(subject.tag)) && !v.tied.get(leaf.index)?.has(hex(subject.tag))) fault(`the statement at log index ${leaf.index} does not declare this subject`);
}

function checkRecord(v, s, value, fault) {
  const r = new Reader(value, "its record is malformed"), count = r.u64(), root = r.take(32), first = r.u64(), last = r.u64();
  r.take(32);
  r.done();
  if (count === 0n || first > last) fail("its record is malformed");
  let before = null;
  s.leaves.forEach((leaf, i) => {
    if (before !== null && leaf.index <= before) fault(`leaf ${i} is out of order`);
    before = leaf.index;
    checkLeaf(v, s, leaf, fault);
  });
  if (BigInt(s.leaves.length) !== count || !equal(rootOf(s.leaves.map((l) => leafHash(l.bytes))), root)) fault(`its ${s.leaves.length} leaves do not hash to the record of ${count} statements`);
  if (s.leaves.length && s.leaves[s.leaves.length - 1].height !== last) fault("the last leaf is not at the recorded height");
}

function checkSubject(v, s) {
  const fault = (text) => v.fault("completeness", s.name, text);
  const key = stateKey(v.genesis.salt, SUBJECT, s.tag), root = v.dossier.headers[0].stateRoot;
  try {
    if (s.present) checkRecord(v, s, provenValue(s.proof, root, key), fault);
    else checkAbsence(s.proof, root, key);
  } catch (e) {
    if (!(e instanceof Fault)) throw e;
    fault(e.message);
  }
}

// ---- the closure ----

function checkClosure(v, { s, index, name, declared }) {
  const d = v.dossier, g = v.genesis, missing = (tag) => !d.bySubject.has(hex(tag));
  const fault = (text) => v.fault("registry-closure", name, text);
  if (missing(keyTag(g, s.keyId))) fault(`the tree about its key ${hex(s.keyId)} is missing`);
  if (v.authority.leansOnGovernance(s) && missing(governanceTag(g))) fault("the tree of what members decided by ballot is missing");
  if (s.kind === "foreign" && missing(networkTag(g, s.payload.read.network))) fault("the tree about the foreign network is missing");
  for (const tag of declared) {
    const subject = d.bySubject.get(tag);
    if (subject && !(subject.present && subject.indexes.has(index))) v.fault("completeness", name, `it declares subject ${tag}, whose tree does not hold it`);
  }
}

/** What is not readable was ordered to be erased by a later statement here, or is named in the manifest; and no more is named. */
export function checkRedactions(v) {
  const named = new Set(v.dossier.manifest.redactions.map((r) => `${r.index} ${r.item}`)), ranges = new Map();
  let met = 0;
  for (const { s, index } of v.statements) {
    if (!s || s.kind !== "erasure") continue;
    const target = hex(s.payload.target);
    if (!ranges.has(target)) ranges.set(target, []);
    ranges.get(target).push({ index, start: s.payload.start, end: s.payload.start + s.payload.count });
  }
  for (const { s, index, name } of v.statements) {
    const orders = s && s.items.length ? (ranges.get(hex(s.id)) ?? []).filter((o) => o.index > index) : [];
    (s ? s.items : []).forEach((item, i) => {
      const erased = isErased(item), left = named.has(`${index} ${i}`);
      met += left;
      if (left && !erased) v.fault("redactions", name, `item ${i} is named as left out, but is here`);
      if (erased && !left && !orders.some((o) => o.start <= i && i < o.end)) v.fault("redactions", name, `the content of item ${i} is missing: no order to erase it is here, and the manifest does not name it`);
    });
  }
  if (met !== named.size) v.fault("redactions", "manifest.json", "it names items as left out that no statement here has");
}

function checkScope(v) {
  const m = v.dossier.manifest, fault = (text) => v.fault("completeness", "manifest.json", text);
  if (m.kind === "statement") {
    if (!v.statements.some(({ s }) => s && equal(s.id, m.tag))) fault("the statement it is about is not here");
    if (m.subject !== hex(m.tag)) fault("it is about one statement, and names another subject than that statement's id");
    return;
  }
  const canonical = canonicalSubject(m.subject);
  if (canonical === null) fault("the subject is no subject");
  else if (canonical !== m.subject) fault("the subject is not in its canonical form, under which statements are recorded");
  if (!equal(tagOf(v.genesis, m.subject), m.tag)) fault("the subject's name does not give its tag");
  if (!v.dossier.bySubject.has(hex(m.tag))) fault("the tree of the subject itself is missing");
}

export function checkTrees(v) {
  v.orders = new Map(v.statements.filter(({ s }) => s && s.kind === "erasure").map(({ s }) => [hex(s.id), s.payload]));
  for (const st of v.statements) st.declared = new Set(st.s ? tagsOf(v, st.s).map(hex) : []);
  for (const s of v.dossier.subjects) checkSubject(v, s);
  for (const st of v.statements) if (st.s) checkClosure(v, st);
  checkScope(v);
}
