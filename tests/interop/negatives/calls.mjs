// The checkpoint and the statements of each case as calls of the verifier contract, in @ethereumjs/evm: its first refusal,
// with the step that the contract names. usage: calls.mjs CONTRACT.sol CASES.json >ANSWERS.json
import fs from 'node:fs';
import solc from 'solc';
import { EVM } from '@ethereumjs/evm';
import { Chain, Common, Hardfork } from '@ethereumjs/common';
import { Address } from '@ethereumjs/util';
import { bytes, decodeTuple, encodeTuple, tuple, word, words } from './abi.mjs';

const [contract, cases] = process.argv.slice(2);
const compiled = JSON.parse(solc.compile(JSON.stringify({
  language: 'Solidity',
  sources: { 'CarnetVerifier.sol': { content: fs.readFileSync(contract, 'utf8') } },
  settings: { optimizer: { enabled: true, runs: 200 }, viaIR: true, evmVersion: 'paris', outputSelection: { '*': { '*': ['evm.bytecode.object', 'evm.methodIdentifiers'] } } },
})));
const built = compiled.contracts['CarnetVerifier.sol'].CarnetVerifier.evm;
const [, id] = Object.entries(built.methodIdentifiers).find(([name]) => name.startsWith('verifyStatement('));
const evm = await EVM.create({ common: new Common({ chain: Chain.Mainnet, hardfork: Hardfork.Paris }) });
const caller = Address.fromString('0x00000000000000000000000000000000000c0ffe');
const hex = (text) => Buffer.from(text, 'hex');
const whole = (n) => word(hex(BigInt(n).toString(16).padStart(64, '0')));

async function run(to, data) {
  const { createdAddress, execResult } = await evm.runCall({ caller, to, data, gasLimit: 30_000_000n });
  const out = Buffer.from(execResult.returnValue);
  if (!execResult.exceptionError) return { address: createdAddress };
  return { refused: out.length > 68 ? decodeTuple(out.subarray(4), ['bytes', 'bytes'])[0].value.toString() : 'malformed' };
}

const answers = {};
for (const { name, evm: e } of JSON.parse(fs.readFileSync(cases))) {
  const { address, refused } = await run(undefined, Buffer.concat([hex(built.bytecode.object), encodeTuple([word(hex(e.network)), whole(e.epoch), whole(e.closing), bytes(hex(e.rows))])]));
  if (refused) throw new Error(`${name}: the contract is not deployed: ${refused}`);
  const finality = tuple(bytes(hex(e.headers)), bytes(hex(e.certificate)), bytes(hex(e.v)));
  let answer = e.statements.length ? 'accepts' : 'nothing';
  for (const s of e.statements) {
    const r = await run(address, Buffer.concat([hex(id), encodeTuple([finality, word(hex(s.entry)), whole(s.index), words(s.path.map(hex))])]));
    if (r.refused && answer === 'accepts') answer = `refuses: ${r.refused}`;
  }
  answers[name] = { evm: answer };
}
console.log(JSON.stringify(answers));
