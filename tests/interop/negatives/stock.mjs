// @transmute/cose over the receipts of each case, @confio/ics23 over its state proofs. They get what the forger wrote,
// and are asked nothing about Carnet. usage: stock.mjs CASES.json >ANSWERS.json
import * as cose from '@transmute/cose'
import ics23 from '@confio/ics23'
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

const { ics23: codec, verifyMembership, verifyNonMembership, tendermintSpec } = ics23
const bytes = (text) => Buffer.from(text, 'hex')
const SPKI_P256_COMPRESSED = '3039301306072a8648ce3d020106082a8648ce3d030107032200'
const jwkOf = (compressed) => ({
  ...createPublicKey({ key: bytes(SPKI_P256_COMPRESSED + compressed), format: 'der', type: 'spki' }).export({ format: 'jwk' }),
  alg: 'ES256'
})

/** The receipts of an array, each as its own bytes: tag 18, array of 4 (byte layouts of proto/receipt.h). */
function split(array) {
  const out = []
  let at = 1
  const head = () => {
    const low = array[at++] & 31
    if (low < 24) return low
    const n = 1 << (low - 24)
    const value = Number(BigInt(`0x${array.subarray(at, at + n).toString('hex')}`))
    at += n
    return value
  }
  const skip = () => {
    const major = array[at] >> 5
    const n = head()
    if (major === 2 || major === 3) at += n
    else if (major === 4) for (let i = 0; i < n; i++) skip()
    else if (major === 5) for (let i = 0; i < 2 * n; i++) skip()
    else if (major === 6) skip()
  }
  while (at < array.length) {
    const from = at
    skip()
    out.push(array.subarray(from, at))
  }
  if (out.length !== array[0] - 0x80) throw new Error('not an array of receipts')
  return out
}

async function receiptHolds(receipt, entry, jwks) {
  const leaf = new Uint8Array(await cose.receipt.leaf(bytes(entry)))
  for (const jwk of jwks) { // the standard leaves it to the caller how a kid leads to a key
    const verifier = cose.detached.verifier({ resolver: { resolve: async () => jwk } })
    try {
      await cose.receipt.inclusion.verify({ entry: leaf, receipt: Buffer.from(receipt), verifier })
      return true
    } catch { /* another key, or none */ }
  }
  return false
}

function stateHolds({ key, present, proof }, root) {
  try {
    const decoded = codec.CommitmentProof.decode(bytes(proof))
    return present
      ? verifyMembership(decoded, tendermintSpec, bytes(root), bytes(key), decoded.exist.value)
      : verifyNonMembership(decoded, tendermintSpec, bytes(root), bytes(key))
  } catch {
    return false
  }
}

const answer = (list) => (list.length === 0 ? 'nothing' : list.every(Boolean) ? 'accepts' : 'refuses')
const answers = {}
for (const c of JSON.parse(readFileSync(process.argv[2]))) {
  const jwks = c.receiptKeys.map(jwkOf)
  const receipts = []
  for (const { entry, array } of c.receipts) for (const one of split(bytes(array))) receipts.push(await receiptHolds(one, entry, jwks))
  answers[c.name] = { cose: answer(receipts), ics23: answer(c.states.map((s) => stateHolds(s, c.stateRoot))) }
}
console.log(JSON.stringify(answers))
