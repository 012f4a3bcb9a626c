// Which key had authority where, from genesis and the registry statements in log order (ledger-rules.md); what members
// decided by ballot; and proofs from other networks.
import { Fault, equal, hex, isZero, tagged, u64 } from "./bytes.mjs";
import { SECP256K1, keyId, rowKeys, verify } from "./keys.mjs";
import { memberId } from "./genesis.mjs";
import { CAPTURE, CHANGE_FOREIGN, CHANGE_ROLES, JOIN, ROTATE, possessionDigest, signedBy } from "./statement.mjs";
import { ADVANCE, advanceForeign, checkForeignStatement } from "./foreign.mjs";

export class Authority {
  constructor(v) {
    this.v = v;
    this.keys = new Map();
    this.decisions = new Map(); // by proposal id, of all that are here
    this.registrars = new Map(v.genesis.members.map((m) => [hex(m.id), m.registrar]));
    this.networks = new Map(); // as the statements so far made them known
    this.relied = new Map();
    for (const m of v.genesis.members) this.addKey(m.key, m.keyId, CAPTURE, m.id);
    for (const { s } of v.statements)
      if (s && s.kind === "proposal") this.decisions.set(hex(s.id), { proposal: s.payload, seen: false, approvals: new Set(), refusals: new Set(), waiting: false, closed: false });
  }

  find(id) {
    return this.keys.get(hex(id)) ?? null;
  }

  addKey(key, id, purpose, owner) {
    this.keys.set(hex(id), { key, id, purpose, owner, ended: null, revoked: false, salvaged: new Set(), chain: null });
  }

  fault(text) {
    this.v.fault("authority", this.where, text);
  }

  run() {
    for (const { s, index, name } of this.v.statements) {
      if (!s) continue;
      this.where = name;
      this.index = index;
      this.one(s);
    }
  }

  one(s) {
    const k = this.find(s.keyId);
    if (!k) return this.fault(`no registration of key ${hex(s.keyId)} before it is here`);
    if (!signedBy(s, k.key)) this.v.fault("signature", this.where, "the signature does not verify with the key that it names");
    if (k.ended !== null && !(k.revoked && k.salvaged.has(hex(s.id)))) this.fault(`its key was ${k.revoked ? "revoked" : "replaced"} before, at log index ${k.ended}`);
    this.chain(k, s);
    if (s.kind === "registry") this.registry(s, k);
    if (["proposal", "ballot", "readiness"].includes(s.kind)) this.governance(s, k);
    if (s.kind === "foreign") this.foreign(s, k);
    if (s.kind === "erasure" || s.kind === "purge") this.erasure(s, k);
  }

  chain(k, s) {
    const fault = (text) => this.v.fault("hash-chain", this.where, text);
    if (k.chain && s.sequence <= k.chain.sequence) fault(`sequence ${s.sequence} comes after ${k.chain.sequence} of the same key`);
    else if (k.chain && s.sequence === k.chain.sequence + 1n && !equal(s.previous, k.chain.id)) fault(`previous is not the id of the key's statement ${k.chain.sequence}`);
    else if (s.sequence === 1n && !isZero(s.previous)) fault("the first statement of a key names a previous one");
    k.chain = { sequence: s.sequence, id: s.id };
  }

  // ---- the registry ----

  register({ key, id, purpose, possession }, owner) {
    if (this.find(id)) this.fault(`registers key ${hex(id)} a second time`);
    else if (!verify(key, possessionDigest(this.v.genesis.network, owner, id), possession)) this.fault("the new key has not proved its possession");
    else this.addKey(key, id, purpose, owner);
  }

  isRegistrar(member) {
    return this.registrars.get(hex(member)) ?? false;
  }

  registry(s, signer) {
    const r = s.payload, capture = signer.purpose === CAPTURE, governs = this.isRegistrar(signer.owner);
    if (r.op === "channel") return;
    if (r.op === "register") {
      if (!capture) this.fault("a key that may not register keys registered one");
      return this.register(r.newKey, signer.owner);
    }
    if (r.op === "member") {
      if (!capture || !governs) this.fault("a member was registered by one who is no registrar");
      return this.register(r.newKey, memberId(r.change.name));
    }
    const target = this.find(r.keyId);
    if (!target) return; // a key that signed nothing here
    const self = target === signer, owner = equal(target.owner, signer.owner);
    const allowed = { rotate: owner && (self || capture), salvage: owner && capture, gap: capture && !self && (owner || governs), revoke: capture && (owner || governs) }[r.op];
    if (!allowed) this.fault("a registry change was signed by a key without the right to it");
    this.change(target, r);
  }

  change(target, r) {
    if (target.ended !== null && (r.op === "rotate" || r.op === "revoke")) return this.fault(`it ends a key that had ended at log index ${target.ended}`);
    if (r.op === "rotate") {
      if (r.newKey.purpose !== target.purpose) this.fault("the new key has another purpose than the old one");
      target.ended = this.index;
      this.register(r.newKey, target.owner);
    } else if (r.op === "revoke") {
      Object.assign(target, { ended: this.index, revoked: true });
    } else if (r.op === "gap") {
      if (target.chain && r.change.sequence <= target.chain.sequence) this.v.fault("hash-chain", this.where, `its gap goes back behind sequence ${target.chain.sequence}`);
      target.chain = { sequence: r.change.sequence, id: r.change.previous };
    } else {
      if (!target.revoked) this.fault("it salvages statements of a key not revoked");
      for (const id of r.change.ids) target.salvaged.add(hex(id));
    }
  }

  // ---- ballots (R11) ----

  epochAt(index) {
    let epoch = 1n;
    this.v.dossier.epochs.forEach((e, i) => {
      if (e.closing.logSize <= index) epoch = BigInt(i + 2);
    });
    return epoch;
  }

  /** Members of the set of the epoch, in its order. */
  membersOf(epoch) {
    if (epoch === 1n) return this.v.genesis.rows.map((r) => r.member);
    const rows = this.v.dossier.epochs[Number(epoch) - 2].rows;
    return Array.from({ length: rows.length / 182 }, (_, i) => rows.subarray(i * 182, i * 182 + 32));
  }

  votes(epoch, member) {
    return this.membersOf(epoch).some((m) => equal(m, member));
  }

  governance(s, signer) {
    if (signer.purpose !== CAPTURE) return this.fault("only a member's capture key speaks in its name");
    if (s.kind === "proposal") this.propose(s, signer.owner);
    else if (s.kind === "ballot") this.ballot(s.payload, signer.owner);
    else this.readiness(s.payload, signer.owner);
  }

  propose(s, signer) {
    const p = s.payload, epoch = this.epochAt(this.index), own = equal(signer, p.member) && p.action < CHANGE_ROLES;
    if (!own && !this.votes(epoch, signer)) this.fault(`it was proposed by one who does not vote in epoch ${epoch}`);
    if (p.action === JOIN || p.action === ROTATE)
      rowKeys(p.set[0]).forEach((key, i) => {
        if (!verify(key, possessionDigest(this.v.genesis.network, p.member, keyId(key)), p.possession[i])) this.fault(`key ${i + 1} of the row has not proved possession`);
      });
    Object.assign(this.decisions.get(hex(s.id)), { seen: true, epoch });
  }

  alive(id, member) {
    const d = this.decisions.get(hex(id)), epoch = this.epochAt(this.index);
    if (!d || !d.seen) return this.fault("the proposal that it names is not before it");
    if (!equal(d.proposal.member, member)) return this.fault("the proposal that it names is about another member");
    if (d.epoch !== epoch) return this.fault(`the proposal is of epoch ${d.epoch} and void in epoch ${epoch}`);
    if (d.closed) return this.fault("the proposal had been decided before");
    return d;
  }

  ballot(b, signer) {
    const d = this.alive(b.proposal, b.member);
    if (!d) return;
    const members = this.membersOf(d.epoch), place = members.findIndex((m) => equal(m, signer));
    if (place < 0) return this.fault(`a ballot of one who does not vote in epoch ${d.epoch}`);
    const [to, from] = b.approve === 1 ? [d.approvals, d.refusals] : [d.refusals, d.approvals];
    if (to.has(place) || (from.has(place) && !d.waiting)) return this.fault("a second ballot of the same member");
    from.delete(place);
    to.add(place);
    this.decide(d, members.length);
  }

  decide(d, n) {
    const no = d.refusals.size, threshold = this.v.genesis.threshold, accepted = 2 * no <= n && d.approvals.size >= threshold;
    const rejected = 2 * no > n || (!accepted && (d.waiting || no + threshold > n));
    const atOnce = d.proposal.action === CHANGE_ROLES || d.proposal.action === CHANGE_FOREIGN;
    if (accepted && d.proposal.action === CHANGE_ROLES) this.registrars.set(hex(d.proposal.member), d.proposal.registrar === 1);
    if (accepted && d.proposal.action === CHANGE_FOREIGN) this.letIn(d.proposal);
    d.closed = rejected || (accepted && atOnce);
    d.waiting = accepted && !atOnce;
  }

  readiness(r, signer) {
    const d = this.alive(r.proposal, r.member);
    if (!d) return;
    if (!equal(signer, r.member) || (d.proposal.action !== JOIN && d.proposal.action !== ROTATE)) return this.fault("readiness of another than who joins or rotates");
    const digest = tagged("carnet/readiness", this.v.genesis.network, r.proposal, u64(r.height), r.block);
    if (!verify({ type: SECP256K1, bytes: d.proposal.set[0].vote }, digest, r.signature)) this.fault("readiness without the new vote key's signature");
  }

  // ---- erasure ----

  erasure(s, signer) {
    if (signer.purpose !== CAPTURE) this.fault("it was not signed by a member's capture key");
    if (s.kind === "purge") return;
    const { batch } = s.payload, of = this.find(batch.keyId);
    if (!of) return this.fault(`no registration of key ${hex(batch.keyId)}, which signed the batch`);
    if (!equal(of.owner, signer.owner)) this.fault("it orders to erase what another member's key signed");
    if (!signedBy(batch, of.key)) this.fault("the record that it names is not signed by its key");
  }

  // ---- other networks ----

  letIn(p) {
    const id = hex(p.member), was = this.networks.get(id), f = p.foreign, active = was && !was.withdrawn;
    if (f.withdraw ? !active : active && f.epoch <= was.epoch)
      return this.fault(f.withdraw ? "a network that is not registered cannot be withdrawn" : "a network in force only moves on to later epochs");
    this.networks.set(id, f.withdraw ? { ...was, withdrawn: true } : { withdrawn: false, epoch: f.epoch, set: f.set, height: f.height, logSize: f.logSize });
  }

  foreign(s, signer) {
    const p = s.payload.read, known = this.networks.get(hex(p.network));
    if (signer.purpose !== CAPTURE) this.fault("only a member's capture key relies on foreign proofs");
    if (!known) return this.fault(`no ballot has registered network ${hex(p.network)} before`);
    try {
      if (p.kind === ADVANCE) return advanceForeign(p, known);
      const name = hex(p.network) + hex(checkForeignStatement(p, known));
      if (this.relied.has(name)) this.fault(`is a replay of the one at log index ${this.relied.get(name)}`);
      this.relied.set(name, this.index);
    } catch (e) {
      if (!(e instanceof Fault)) throw e;
      this.fault(e.message);
    }
  }

  isAboutNetwork(proposal) {
    return this.decisions.get(hex(proposal))?.proposal.action === CHANGE_FOREIGN;
  }

  /** Its authority rests on what members decided, also on what they did not. */
  leansOnGovernance(s) {
    if (["proposal", "ballot", "readiness"].includes(s.kind)) return true;
    if (s.kind !== "registry") return false;
    if (s.payload.op !== "revoke" && s.payload.op !== "gap") return s.payload.op === "member";
    const signer = this.find(s.keyId), target = this.find(s.payload.keyId);
    return !!signer && !!target && !equal(signer.owner, target.owner);
  }
}
