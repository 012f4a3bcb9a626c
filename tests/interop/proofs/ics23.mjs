// ics23.mjs FILE...: what `carnet export --format ics23` wrote is accepted by @confio/ics23 with its Tendermint specification, as existence
// or as absence, and refused after a change of root, key, value or of what is hashed on the way. Its reader is lax (unknown fields, the key
// that an absence repeats): the bits that it does not see are counted, and Carnet's own reader refuses each of them (unit.proto_ics23).
import ics23 from '@confio/ics23'
import { readFileSync } from 'node:fs'

const { ics23: codec, verifyMembership, verifyNonMembership, tendermintSpec } = ics23
let failed = 0
const check = (good, what) => {
  if (good) return
  failed++
  console.log(`FAILED: ${what}`)
}
const decode = (text) => Uint8Array.from(Buffer.from(text, 'base64'))
const accepts = (present, proof, root, key, value) => {
  try {
    const decoded = codec.CommitmentProof.decode(proof)
    return present
      ? verifyMembership(decoded, tendermintSpec, root, key, value)
      : verifyNonMembership(decoded, tendermintSpec, root, key)
  } catch {
    return false
  }
}
const flipped = (bytes, bit) => {
  const copy = Uint8Array.from(bytes)
  copy[bit >> 3] ^= 1 << (bit & 7)
  return copy
}

for (const file of process.argv.slice(2)) {
  const j = JSON.parse(readFileSync(file))
  const what = j.present ? 'existence' : 'absence'
  const [root, key, proof] = [decode(j.root_base64), decode(j.key_base64), decode(j.proof_base64)]
  const value = j.present ? decode(j.value_base64) : undefined
  check(accepts(j.present, proof, root, key, value), `${what} of ${j.subject} is not accepted`)
  check(!accepts(!j.present, proof, root, key, value ?? new Uint8Array(1)), `${what} is accepted as its opposite`)
  let tried = 0
  const refused = (good, name) => {
    tried++
    check(!good, `${what}: accepted with ${name} changed`)
  }
  for (let bit = 0; bit < 8 * root.length; bit += 7) refused(accepts(j.present, proof, flipped(root, bit), key, value), 'the root')
  if (j.present) {
    for (let bit = 0; bit < 8 * key.length; bit += 7) refused(accepts(true, proof, root, flipped(key, bit), value), 'the key')
    for (let bit = 0; bit < 8 * value.length; bit += 7) refused(accepts(true, proof, root, key, flipped(value, bit)), 'the value')
  }
  let unseen = 0
  for (let bit = 0; bit < 8 * proof.length; bit += 5)
    if (accepts(j.present, flipped(proof, bit), root, key, value)) unseen++
    else tried++
  check(unseen * 4 < tried, `${what}: ${unseen} changes of the proof pass unseen`)
  console.log(`row\tICS-23 ${what} (subject)\t@confio/ics23 0.6.8, tendermintSpec\t${proof.length}\taccepted, ${tried} changes refused, ${unseen} not seen by it`)
}
process.exit(failed ? 1 : 0)
