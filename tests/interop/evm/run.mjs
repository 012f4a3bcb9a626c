// Compiles CarnetVerifier with solc, runs it in @ethereumjs/evm, and gives it what a node exported: accepted as it is, refused after
// any change, with the step that fails. usage: run.mjs CONTRACT.sol FOLDER-WITH-EXPORTS
import assert from 'node:assert/strict';
import fs from 'node:fs';
import solc from 'solc';
import { EVM } from '@ethereumjs/evm';
import { Chain, Common, Hardfork } from '@ethereumjs/common';
import { Address } from '@ethereumjs/util';
import { CALLS, bytes, decodeTuple, encodeTuple, tuple, word, words } from './abi.mjs';

const [contract, folder] = process.argv.slice(2);
const { dependencies } = JSON.parse(fs.readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const version = (name) => dependencies[name]; // exact ones: the lock file pins them
const json = (name) => JSON.parse(fs.readFileSync(`${folder}/${name}.json`, 'utf8'));
const fromHex = (text) => Buffer.from(text.slice(2), 'hex');

// ---- the contract

const input = {
  language: 'Solidity',
  sources: { 'CarnetVerifier.sol': { content: fs.readFileSync(contract, 'utf8') } },
  settings: {
    optimizer: { enabled: true, runs: 200 },
    viaIR: true,
    evmVersion: 'paris',
    outputSelection: { '*': { '*': ['evm.bytecode.object', 'evm.methodIdentifiers'] } },
  },
};
const compiled = JSON.parse(solc.compile(JSON.stringify(input)));
assert.deepEqual((compiled.errors ?? []).map((e) => e.formattedMessage), [], 'warnings are errors');
const built = compiled.contracts['CarnetVerifier.sol'].CarnetVerifier.evm;
const selectors = Object.fromEntries(Object.entries(built.methodIdentifiers).map(([name, id]) => [name.split('(')[0], Buffer.from(id, 'hex')]));

const evm = await EVM.create({ common: new Common({ chain: Chain.Mainnet, hardfork: Hardfork.Paris }) });
const caller = Address.fromString('0x00000000000000000000000000000000000c0ffe');
const stride = Number(process.env.CARNET_EVM_STRIDE ?? 4);
const gasLimit = 30_000_000n;

async function deploy(constructorArguments) {
  const data = Buffer.concat([Buffer.from(built.bytecode.object, 'hex'), fromHex(constructorArguments)]);
  const { createdAddress, execResult } = await evm.runCall({ caller, data, gasLimit });
  assert.equal(execResult.exceptionError, undefined, 'the contract is deployed');
  return { address: createdAddress, gas: execResult.executionGasUsed };
}

async function call(address, data) {
  const { execResult } = await evm.runCall({ caller, to: address, data, gasLimit });
  const out = Buffer.from(execResult.returnValue);
  if (!execResult.exceptionError) return { ok: true, out, gas: execResult.executionGasUsed };
  let step = 'malformed'; // the compiler's own checks of lengths and ranges revert without a name
  let reason = '';
  if (out.length > 4 + 64) [step, reason] = decodeTuple(out.subarray(4), ['bytes', 'bytes']).map((i) => i.value.toString());
  return { ok: false, step, reason };
}

const gas = (data) => data.reduce((sum, b) => sum + (b ? 16 : 4), 21000); // of a transaction, before it runs (EIP-2028)
const rows = [];
const row = (...cells) => rows.push(`row\t${cells.join('\t')}`);

// ---- what a node exported, before and after a change of the validators

const first = { statement: json('statement-1'), present: json('present-1'), absent: json('absent-1') };
const second = { statement: json('statement-2'), present: json('present-2'), absent: json('absent-2') };
const epochs = json('epochs').epochs;
assert.equal(first.statement.epoch, 1);
assert.equal(second.statement.epoch, 2);
assert.equal(epochs.length, 1);

const { address, gas: deployment } = await deploy(first.statement.constructor_arguments);
row('EVM deployment', `solc ${version('solc')}, @ethereumjs/evm ${version('@ethereumjs/evm')}`, built.bytecode.object.length / 2, `${deployment} gas to execute`);

async function accepted(at, exported, name) {
  const data = fromHex(exported.calldata);
  assert.deepEqual(data.subarray(0, 4), selectors[exported.function], `${name}: another selector`);
  // The other encoder makes the same bytes of it.
  const again = Buffer.concat([data.subarray(0, 4), encodeTuple(decodeTuple(data.subarray(4), CALLS[exported.function]))]);
  assert.deepEqual(again, data, `${name}: another encoding`);
  const r = await call(at, data);
  assert.ok(r.ok, `${name}: ${r.step}: ${r.reason}`);
  if (exported.function !== 'advance') assert.equal(Number(r.out.readBigUInt64BE(24)), exported.height, `${name}: another height`);
  return { data, gas: gas(data) + Number(r.gas) };
}

let refusals = 0;
async function refused(at, exported, step, change, name) {
  const args = decodeTuple(fromHex(exported.calldata).subarray(4), CALLS[exported.function]);
  change(args);
  const r = await call(at, Buffer.concat([selectors[exported.function], encodeTuple(args)]));
  assert.equal(r.ok, false, `${name} is accepted`);
  assert.equal(r.step, step, `${name}: ${r.step}: ${r.reason}`);
  refusals++;
}

// One bit of every byte, or of every so many. What is still accepted says the same: padding behind bytes, which the ABI does not look at.
async function flipped(at, exported, name) {
  const data = fromHex(exported.calldata);
  const original = decodeTuple(data.subarray(4), CALLS[exported.function]);
  let unseen = 0;
  let seen = 0;
  for (let i = 4; i < data.length; i += stride) {
    const changed = Buffer.from(data);
    changed[i] ^= 1 << (i * 7) % 8;
    const r = await call(at, changed);
    if (!r.ok) {
      seen++;
      continue;
    }
    const args = decodeTuple(changed.subarray(4), CALLS[exported.function]);
    if (exported.function === 'verifyAbsence') args[1] = original[1]; // another key between the same neighbours is absent too
    assert.deepEqual(encodeTuple(args), data.subarray(4), `${name}: byte ${i} may be changed`);
    unseen++;
  }
  refusals += seen;
  return `accepted, ${seen} changes refused, ${unseen} say the same`;
}

for (const [name, exported] of Object.entries(first)) {
  const { data, gas: used } = await accepted(address, exported, name);
  const result = await flipped(address, exported, name);
  row(`EVM calldata, ${exported.function}`, 'CarnetVerifier in @ethereumjs/evm', data.length, `${result}; ${used} gas`);
}

// ---- the votes

const s = first.statement;
const finality = (args) => args[0].value; // headers, certificate, v
const HEADER = 229;
const head = 51; // of a certificate of four: kind 1, epoch 8, view 8, block 32, n 1, bitmap 1
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

await refused(address, s, 'quorum', (a) => { finality(a)[1].value[0] = 1; }, 'votes to notarize');
await refused(address, s, 'quorum', (a) => { finality(a)[1].value[0] = 2; }, 'votes to nullify');
await refused(address, s, 'quorum', (a) => {
  const [, c, v] = finality(a);
  const signers = [0, 1, 2, 3].filter((i) => (c.value[50] >> i) & 1);
  c.value[50] &= ~(1 << signers[2]);
  c.value = c.value.subarray(0, head + 128);
  v.value = v.value.subarray(0, 2);
}, 'two of four');
await refused(address, s, 'quorum', (a) => {
  const c = finality(a)[1].value;
  c.copy(c, head + 64, head, head + 64);
  finality(a)[2].value[1] = finality(a)[2].value[0];
}, 'a signer counted twice');
await refused(address, s, 'quorum', (a) => { finality(a)[1].value[50] ^= 0x0f; }, 'another bitmap');
await refused(address, s, 'quorum', (a) => { finality(a)[1].value[50] |= 0x10; }, 'a bit beyond the set');
await refused(address, s, 'quorum', (a) => {
  const [, c, v] = finality(a);
  const at = head + 32;
  const high = order - BigInt(`0x${c.value.subarray(at, at + 32).toString('hex')}`);
  Buffer.from(high.toString(16).padStart(64, '0'), 'hex').copy(c.value, at);
  v.value[0] = 55 - v.value[0];
}, 'a signature with high s');
await refused(address, s, 'quorum', (a) => {
  const c = finality(a)[1].value;
  const swap = Buffer.from(c.subarray(head, head + 64));
  c.copy(c, head, head + 64, head + 128);
  swap.copy(c, head + 64);
}, 'signatures in another order');
await refused(address, s, 'quorum', (a) => { finality(a)[2].value[0] = 29; }, 'a v that is none');
await refused(address, s, 'quorum', (a) => { finality(a)[0].value = finality(a)[0].value.subarray(0, HEADER - 1); }, 'a header cut short');
await refused(address, s, 'quorum', (a) => { finality(a)[0].value = Buffer.concat([finality(a)[0].value, finality(a)[0].value]); }, 'a header after itself');
await refused(address, s, 'quorum', (a) => { finality(a)[0].value = Buffer.alloc(0); }, 'no header');
await refused(address, s, 'epoch-chain', (a) => { finality(a)[0].value[12] += 1; }, 'a header of another epoch');

// ---- the paths

const index = (a) => Number(a[2].value.readBigUInt64BE(24));
const setIndex = (a, n) => { a[2] = word(Buffer.concat([Buffer.alloc(24), (() => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; })()])); };
await refused(address, s, 'inclusion', (a) => setIndex(a, index(a) ^ 1), 'another index with the same shape of path');
await refused(address, s, 'inclusion', (a) => setIndex(a, 1_000_000), 'an index beyond the log');
await refused(address, s, 'inclusion', (a) => { a[3] = words(a[3].value.slice(1)); }, 'a path too short');
await refused(address, s, 'inclusion', (a) => { a[3] = words([...a[3].value, ...Array(64).fill(Buffer.alloc(32))]); }, 'a path too long');
await refused(address, s, 'inclusion', (a) => { a[1] = word(Buffer.alloc(32, 7)); }, 'another record');
await refused(address, first.present, 'completeness', (a) => { a[2].value[7] ^= 1; }, 'a record that counts another number');
await refused(address, first.present, 'completeness', (a) => { a[4].value[0] ^= 1; }, 'a step on the other side');
await refused(address, first.present, 'completeness', (a) => { a[4].value[0] = 2; }, 'a side that is none');
await refused(address, first.present, 'completeness', (a) => { a[1] = bytes(a[1].value.subarray(1)); }, 'a key cut short');
await refused(address, first.present, 'completeness', (a) => { a[3] = words(a[3].value.slice(1)); }, 'a sibling too few');
// A suffix of five bytes, which a lax ICS-23 verifier takes, has no place in this form: a sibling has 32.
const [, , left, right] = decodeTuple(fromHex(first.absent.calldata).subarray(4), CALLS.verifyAbsence);
assert.ok(left.value[0].value.length === 33 && right.value[0].value.length === 33, 'the absent key has two neighbours');
const nobody = () => tuple(bytes(Buffer.alloc(0)), bytes(Buffer.alloc(0)), words([]), bytes(Buffer.alloc(0)));
await refused(address, first.absent, 'completeness', (a) => { a[2] = nobody(); }, 'absence without the left neighbour');
await refused(address, first.absent, 'completeness', (a) => { a[3] = nobody(); }, 'absence without the right neighbour');
await refused(address, first.absent, 'completeness', (a) => { a[2] = nobody(); a[3] = nobody(); }, 'absence without neighbours');
await refused(address, first.absent, 'completeness', (a) => { [a[2], a[3]] = [a[3], a[2]]; }, 'neighbours exchanged');
await refused(address, first.absent, 'completeness', (a) => { a[1] = bytes(left.value[0].value); }, 'the absence of what is there');
const [, presentKey, ...presentProof] = decodeTuple(fromHex(first.present.calldata).subarray(4), CALLS.verifyState);
if (![left, right].some((n) => n.value[0].value.equals(presentKey.value))) // by chance it is the neighbour
  await refused(address, first.absent, 'completeness', (a) => {
    a[Buffer.compare(presentKey.value, a[1].value) < 0 ? 2 : 3] = tuple(presentKey, ...presentProof);
  }, 'a neighbour that is not next');

// ---- the change of the validators

const change = { function: 'advance', calldata: epochs[0].advance_calldata };
await refused(address, second.statement, 'epoch-chain', () => {}, 'the next epoch before the contract knows it');
await refused(address, change, 'epoch-chain', (a) => { a[1].value[70] ^= 1; }, 'rows with another address');
await refused(address, change, 'epoch-chain', (a) => { a[1] = bytes(a[1].value.subarray(182)); }, 'a row too few');
await refused(address, { function: 'advance', calldata: `0x${Buffer.concat([selectors.advance, encodeTuple([decodeTuple(fromHex(s.calldata).subarray(4), CALLS.verifyStatement)[0], bytes(Buffer.alloc(182))])]).toString('hex')}` }, 'epoch-chain', (a) => {
  finality(a)[0].value = finality(a)[0].value.subarray(0, HEADER * Math.floor(finality(a)[0].value.length / HEADER));
}, 'a checkpoint that closes nothing');
const moved = await accepted(address, change, 'advance');
row('EVM calldata, advance', 'CarnetVerifier in @ethereumjs/evm', moved.data.length, `accepted, refused when it comes again; ${moved.gas} gas`);
await refused(address, change, 'epoch-chain', () => {}, 'the same change again');
for (const exported of Object.values(first)) await refused(address, exported, 'epoch-chain', () => {}, `${exported.function} of an epoch that has ended`);
for (const [name, exported] of Object.entries(second)) await accepted(address, exported, `${name} in the new epoch`);
const { address: fresh } = await deploy(second.statement.constructor_arguments);
await accepted(fresh, second.statement, 'a contract that begins with the second epoch');

console.log(rows.join('\n'));
console.log(`${refusals} changed calls refused`);
