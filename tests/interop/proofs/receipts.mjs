// receipts.mjs CHECKPOINT.json ENTRY-HEX RECEIPT...: every receipt is accepted by @transmute/cose for this log entry, and refused after any
// change of a bit that it can see. CHECKPOINT.json is GET /v1/checkpoints/latest; a receipt's file is named MEMBER.cose.
import * as cose from '@transmute/cose'
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const [checkpointFile, entryHex, ...files] = process.argv.slice(2)
const checkpoint = JSON.parse(readFileSync(checkpointFile))
const entry = Buffer.from(entryHex, 'hex')
const SPKI_P256_COMPRESSED = '3039301306072a8648ce3d020106082a8648ce3d030107032200'

const jwkOf = (compressed) => ({
  ...createPublicKey({ key: Buffer.from(SPKI_P256_COMPRESSED + compressed, 'hex'), format: 'der', type: 'spki' }).export({ format: 'jwk' }),
  alg: 'ES256'
})

const accepts = async (receipt, leaf, jwk) => {
  const verifier = cose.detached.verifier({ resolver: { resolve: async () => jwk } })
  try {
    await cose.receipt.inclusion.verify({ entry: leaf, receipt, verifier })
    return true
  } catch {
    return false
  }
}

const flipped = (bytes, bit) => {
  const copy = Buffer.from(bytes)
  copy[bit >> 3] ^= 1 << (bit & 7)
  return copy
}

let failed = 0
const check = (good, what) => {
  if (good) return
  failed++
  console.log(`FAILED: ${what}`)
}

for (const file of files) {
  const member = basename(file, '.cose')
  const row = checkpoint.signatures.find((s) => s.name === member)
  const receipt = readFileSync(file)
  const jwk = jwkOf(row.receipt_key)
  const leaf = new Uint8Array(await cose.receipt.leaf(entry))
  check(await accepts(receipt, leaf, jwk), `${member}: the receipt is not accepted`)
  check(!(await accepts(receipt, new Uint8Array(await cose.receipt.leaf(flipped(entry, 5))), jwk)), `${member}: accepted for another entry`)
  const other = checkpoint.signatures.find((s) => s.name !== member)
  check(!(await accepts(receipt, leaf, jwkOf(other.receipt_key))), `${member}: accepted with another validator's key`)

  // The protected header and the signature are all signed bytes; the nodes of the path lead to the signed root.
  const [protectedBytes, unprotected, , signature] = cose.cbor.decode(receipt).value
  const path = cose.cbor.decode(unprotected.get(396).get(-1)[0])[2]
  const regions = [protectedBytes, signature, ...path].map((part) => [receipt.indexOf(Buffer.from(part)), part.length])
  let tried = 0
  for (const [at, length] of regions)
    for (let bit = 8 * at; bit < 8 * (at + length); bit += 3) {
      tried++
      check(!(await accepts(flipped(receipt, bit), leaf, jwk)), `${member}: accepted with bit ${bit} changed`)
    }
  console.log(`row\tCOSE receipt of ${member}\t@transmute/cose 0.2.11\t${receipt.length}\taccepted, ${tried} changes refused`)
}

// Consistency: the older root is given by the caller, the newer one is the checkpoint's.
const [olderHex, consistencyFile] = (process.env.CONSISTENCY ?? '').split(' ')
if (consistencyFile) {
  const member = basename(consistencyFile, '.consistency')
  const receipt = readFileSync(consistencyFile)
  const oldRoot = Uint8Array.from(Buffer.from(olderHex, 'hex'))
  const newRoot = Uint8Array.from(Buffer.from(checkpoint.log_root, 'hex'))
  const jwk = jwkOf(checkpoint.signatures.find((s) => s.name === member).receipt_key)
  const consistent = async (bytes, older, newer) => {
    const verifier = cose.detached.verifier({ resolver: { resolve: async () => jwk } })
    try {
      return await cose.receipt.consistency.verify({ oldRoot: older.buffer, newRoot: newer.buffer, receipt: bytes, verifier })
    } catch {
      return false
    }
  }
  check(await consistent(receipt, oldRoot, newRoot), `${member}: the consistency receipt is not accepted`)
  const at = receipt.length - 64
  let tried = 0
  for (let bit = 8 * at; bit < 8 * receipt.length; bit += 3, tried++)
    check(!(await consistent(flipped(receipt, bit), oldRoot, newRoot)), `${member}: consistency accepted with bit ${bit} changed`)
  for (let bit = 0; bit < 256; bit += 5, tried += 2) {
    check(!(await consistent(receipt, Uint8Array.from(flipped(oldRoot, bit)), newRoot)), `${member}: accepted for another older root`)
    check(!(await consistent(receipt, oldRoot, Uint8Array.from(flipped(newRoot, bit)))), `${member}: accepted for another newer root`)
  }
  console.log(`row\tCOSE consistency receipt of ${member}\t@transmute/cose 0.2.11\t${receipt.length}\taccepted, ${tried} changes refused`)
}
process.exit(failed ? 1 : 0)
