// The contract ABI, as far as the calls of CarnetVerifier need it: words, bytes, bytes32[] and tuples of them. Written apart from the
// exporter's encoder, so that the two check each other.
const WORD = 32;

export const bytes = (value) => ({ type: 'bytes', value });
export const words = (value) => ({ type: 'words', value });
export const tuple = (...value) => ({ type: 'tuple', value });
export const word = (value) => ({ type: 'word', value });

function number(n) {
  const out = Buffer.alloc(WORD);
  out.writeBigUInt64BE(BigInt(n), WORD - 8);
  return out;
}

function encode(item) {
  if (item.type === 'bytes') return Buffer.concat([number(item.value.length), item.value, Buffer.alloc((WORD - (item.value.length % WORD)) % WORD)]);
  if (item.type === 'words') return Buffer.concat([number(item.value.length), ...item.value]);
  return encodeTuple(item.value);
}

export function encodeTuple(items) {
  const tails = items.map((i) => (i.type === 'word' ? Buffer.alloc(0) : encode(i)));
  let at = WORD * items.length;
  const heads = items.map((i, k) => {
    if (i.type === 'word') return i.value;
    const head = number(at);
    at += tails[k].length;
    return head;
  });
  return Buffer.concat([...heads, ...tails]);
}

export function decodeTuple(data, types) {
  const at = (offset) => Number(data.readBigUInt64BE(offset + WORD - 8));
  return types.map((type, k) => {
    if (type === 'word') return word(data.subarray(WORD * k, WORD * (k + 1)));
    const tail = data.subarray(at(WORD * k));
    if (Array.isArray(type)) return tuple(...decodeTuple(tail, type));
    const length = Number(tail.readBigUInt64BE(WORD - 8));
    if (type === 'bytes') return bytes(Buffer.from(tail.subarray(WORD, WORD + length)));
    return words(Array.from({ length }, (_, i) => Buffer.from(tail.subarray(WORD * (i + 1), WORD * (i + 2)))));
  });
}

export const FINALITY = ['bytes', 'bytes', 'bytes'];
export const NEIGHBOUR = ['bytes', 'bytes', 'words', 'bytes'];
export const CALLS = {
  verifyStatement: [FINALITY, 'word', 'word', 'words'],
  verifyState: [FINALITY, 'bytes', 'bytes', 'words', 'bytes'],
  verifyAbsence: [FINALITY, 'bytes', NEIGHBOUR, NEIGHBOUR],
  advance: [FINALITY, 'bytes'],
};
