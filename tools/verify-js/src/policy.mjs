// C2SP tlog-policy: which signatures make a checkpoint good enough for somebody. Text is kept as one character a byte.
import { equal, fail, latin, unbase64, unhex } from "./bytes.mjs";
import { COSIGNATURE, LOG, noteKeyId, signedBy } from "./note.mjs";

const BYTES_MAX = 65536, NAMES_MAX = 256, LOGS_MAX = 64, NAME_MAX = 127, SIGNER_NAME_MAX = 257, WORDS_MAX = NAMES_MAX + 3;

const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** A verifier key, name+id+base64, of that type: {name, key}; or a fault. */
function readKey(word, type) {
  const m = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(word), bytes = m ? unbase64(m[3]) : null;
  if (!bytes || bytes.length !== 33 || bytes[0] !== type || m[1].length > SIGNER_NAME_MAX) fail(`is not a verifier key of type ${type}`);
  const k = { name: bytesOf(m[1]), text: m[1], key: bytes.subarray(1) };
  return equal(noteKeyId(k.name, type, k.key), unhex(m[2], 4)) ? k : fail("the verifier key has another key id");
}

class Policy {
  constructor() {
    Object.assign(this, { logs: [], parties: new Map(), quorum: undefined });
  }

  newName(name) {
    if (name.length > NAME_MAX || name === "none" || this.parties.has(name) || this.parties.size === NAMES_MAX) fail("the name is too long, none, or taken, or there are too many");
    return name;
  }

  log([vkey, ...rest]) {
    if (vkey === undefined || rest.length > 1) fail('a log is "log <vkey> [<url>]"');
    const k = readKey(vkey, LOG);
    if (this.logs.length === LOGS_MAX || this.logs.some((l) => equal(l.key, k.key))) fail("the same key stands on a line before, or there are too many logs");
    this.logs.push(k);
  }

  witness([name, vkey, ...rest]) {
    if (vkey === undefined || rest.length > 1) fail('a witness is "witness <name> <vkey> [<url>]"');
    this.newName(name);
    const k = readKey(vkey, COSIGNATURE);
    if ([...this.parties.values()].some((p) => p.witness && equal(p.witness.key, k.key))) fail("the same key stands on a line before");
    this.parties.set(name, { witness: k });
  }

  group([name, threshold, ...members]) {
    if (members.length === 0) fail('a group is "group <name> all|any|<k> <name>..."');
    this.newName(name);
    const wanted = threshold === "all" ? members.length : threshold === "any" ? 1 : /^[1-9][0-9]{0,3}$/.test(threshold) ? Number(threshold) : 0;
    if (wanted === 0 || wanted > members.length) fail("the threshold is all, any, or 1 to the number of members");
    if (new Set(members).size !== members.length || !members.every((m) => this.parties.has(m))) fail("a member is not defined on a line before, or stands there twice");
    this.parties.set(name, { wanted, members });
  }

  only([name, ...rest]) {
    if (name === undefined || rest.length || this.quorum !== undefined) fail("there is exactly one quorum");
    if (name !== "none" && !this.parties.has(name)) fail("the quorum is not defined on a line before");
    this.quorum = name;
  }
}

export function readPolicy(bytes) {
  if (bytes.length > BYTES_MAX || bytes[bytes.length - 1] !== 10 || bytes.includes(0)) fail("is longer than 65,536 bytes, or not lines of text");
  const p = new Policy(), kinds = { log: "log", witness: "witness", group: "group", quorum: "only" };
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at), words = bytesToWords(bytes.subarray(at, end));
    at = end + 1;
    if (words.length === 0 || words[0].startsWith("#")) continue;
    if (words.length > WORDS_MAX || !Object.hasOwn(kinds, words[0])) fail("a line begins with none of log, witness, group and quorum, or has too many words");
    p[kinds[words[0]]](words.slice(1));
  }
  return p.quorum === undefined ? fail("has no quorum line") : p;
}

function bytesToWords(line) {
  return latin(line).split(/[ \t]+/).filter((w) => w !== "");
}

/** Members stand before their group, so that one pass decides all. */
export function checkByPolicy(p, note) {
  if (p.logs.length && !p.logs.some((l) => l.text === note.origin && signedBy(note, l.name, LOG, l.key))) fail("no log that the policy lists has signed it");
  if (p.quorum === "none") return;
  const good = new Set();
  for (const [name, party] of p.parties) {
    const satisfied = party.witness ? signedBy(note, party.witness.name, COSIGNATURE, party.witness.key) !== null : party.members.filter((m) => good.has(m)).length >= party.wanted;
    if (satisfied) good.add(name);
    if (name === p.quorum) break;
  }
  if (!good.has(p.quorum)) fail(`the policy's quorum ${p.quorum.slice(0, 60)} does not witness it`);
}
