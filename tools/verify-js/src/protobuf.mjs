// Protobuf in its one accepted encoding: fields ascend, varints are minimal, defaults are absent, nothing is unknown or
// there twice. A schema is a list of fields: [number, name, type, options]; type is "bytes", "u32", "u64", "bool" or a
// schema; options: "repeated", "oneof". What is absent is its default.
import { fail } from "./bytes.mjs";

function varint(bytes, state, bits) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (state.at >= bytes.length) fail("the bytes end within a number");
    const byte = bytes[state.at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      if (byte === 0 && shift > 0n) fail("a number is not in its shortest form");
      if (value >> BigInt(bits)) fail("a number is out of range");
      return value;
    }
  }
  return fail("a number is too long");
}

function empty(schema) {
  const message = {};
  for (const [, name, type, option] of schema)
    message[name] =
      option === "repeated" ? [] : type === "bytes" ? new Uint8Array(0) : type === "u32" ? 0 : type === "u64" ? 0n : null;
  return message;
}

function value(bytes, state, type, wire) {
  if (type === "u32" || type === "u64") {
    if (wire !== 0) fail("a number has another wire type");
    const v = varint(bytes, state, type === "u32" ? 32 : 64);
    return type === "u32" ? Number(v) : v;
  }
  if (wire !== 2) fail("bytes have another wire type");
  const n = Number(varint(bytes, state, 31));
  if (n > bytes.length - state.at) fail("a field is longer than what holds it");
  state.at += n;
  const content = bytes.subarray(state.at - n, state.at);
  return type === "bytes" ? content : decode(content, type);
}

const isDefault = (v) => v === 0 || v === 0n || (v instanceof Uint8Array && v.length === 0);

export function decode(bytes, schema) {
  const message = empty(schema), state = { at: 0 };
  let last = 0, chosen = false;
  while (state.at < bytes.length) {
    const head = Number(varint(bytes, state, 32)), number = head >>> 3;
    const field = schema.find((f) => f[0] === number);
    if (!field) fail(`holds field ${number}, which version 1 does not know`);
    const [, name, type, option] = field;
    if (number < last || (number === last && option !== "repeated")) fail("the fields do not ascend, each once");
    if (option === "oneof" && chosen) fail("it holds two payloads");
    last = number;
    chosen = chosen || option === "oneof";
    const v = value(bytes, state, type, head & 7);
    if (option === "repeated") message[name].push(v);
    else if (isDefault(v)) fail("a default is written out");
    else message[name] = v;
  }
  return message;
}
