// GS1 keys, as EPC URNs or as Digital Links of any domain, to the one Digital Link of id.gs1.org. Strings hold one
// byte a character.
const DIGITS = /^[0-9]$/, AI39 = /^[0-9A-Z#\-/]$/, AI82 = /^[0-9A-Za-z!"%&'()*+,\-./:;<=>?_]$/;
const PLAIN_CHARACTER = /^[0-9A-Za-z'\-.;=_]$/;
const URI_MAX = 256;

class NoKey extends Error {}
const no = () => {
  throw new NoKey();
};

function chars(text, set, max) {
  let out = "", count = 0;
  for (let i = 0; i < text.length; i++, count++) {
    let c = text[i];
    if (c === "%") {
      const code = text.slice(i + 1, i + 3);
      if (!/^[0-9a-fA-F]{2}$/.test(code)) no();
      c = String.fromCharCode(parseInt(code, 16));
      i += 2;
    }
    if (!set.test(c)) no();
    out += PLAIN_CHARACTER.test(c) ? c : "%" + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  }
  return count >= 1 && count <= max ? out : no();
}

export function checkDigit(digits) {
  let sum = 0;
  [...digits].reverse().forEach((d, i) => (sum += Number(d) * (i % 2 ? 1 : 3)));
  return String((10 - (sum % 10)) % 10);
}

// ---- EPC URNs (EPC Tag Data Standard, section 6) ----

// name: [AI, shape, digits of prefix and reference together, groups behind it, path before the serial, its characters, its length]
const SCHEMES = [
  ["id:sgtin:", "01", "indicator", 13, 0, "/21/", AI82, 20],
  ["id:sscc:", "00", "indicator", 17, 0, null],
  ["id:sgln:", "414", "plain", 12, 0, "/254/", AI82, 20],
  ["id:grai:", "8003", "zero", 12, 0, "", AI82, 16],
  ["id:giai:", "8004", "open", 30, 0, null],
  ["id:gsrn:", "8018", "plain", 17, 0, null],
  ["id:gsrnp:", "8017", "plain", 17, 0, null],
  ["id:gdti:", "253", "plain", 12, 0, "", AI82, 17],
  ["id:cpi:", "8010", "open", 30, 0, "/8011/", DIGITS, 12],
  ["id:sgcn:", "255", "plain", 12, 0, "", DIGITS, 12],
  ["id:ginc:", "401", "open", 30, 0, null],
  ["id:gsin:", "402", "plain", 16, 0, null],
  ["id:itip:", "8006", "indicator", 13, 2, "/21/", AI82, 20],
  ["id:upui:", "01", "indicator", 13, 0, "/235/", AI82, 28],
  ["id:pgln:", "417", "plain", 12, 0, null],
  ["class:lgtin:", "01", "indicator", 13, 0, "/10/", AI82, 20],
  ["idpat:sgtin:", "01", "indicator", 13, 0, "*"],
  ["idpat:grai:", "8003", "zero", 12, 0, "*"],
  ["idpat:gdti:", "253", "plain", 12, 0, "*"],
  ["idpat:sgcn:", "255", "plain", 12, 0, "*"],
  ["idpat:cpi:", "8010", "open", 30, 0, "*"],
  ["idpat:itip:", "8006", "indicator", 13, 2, "*"],
  ["idpat:upui:", "01", "indicator", 13, 0, "*"],
];

function openKey(ai, prefix, rest, total, serial) {
  const end = serial === null ? rest.length : rest.lastIndexOf(".");
  if (end < 0) no();
  return [prefix + chars(rest.slice(0, end), ai === "8010" ? AI39 : AI82, total - prefix.length), rest.slice(end)];
}

function digitKey(shape, prefix, rest, total, groups) {
  const n = total - prefix.length, reference = rest.slice(0, n);
  if (reference.length !== n || !/^[0-9]*$/.test(reference)) no();
  const first = shape === "indicator" ? 1 : 0;
  if (reference.length < first) no();
  let key = (shape === "zero" ? "0" : "") + reference.slice(0, first) + prefix + reference.slice(first);
  key += checkDigit(key);
  rest = rest.slice(n);
  for (let i = 0; i < groups; i++) {
    const m = /^\.([0-9]{2})/.exec(rest) ?? no();
    key += m[1];
    rest = rest.slice(3);
  }
  return [key, rest];
}

function fromUrn(text) {
  const found = SCHEMES.find(([name]) => text.length > name.length && text.startsWith(name)) ?? no();
  const [name, ai, shape, total, groups, qualifier, set, max] = found;
  const m = /^([0-9]{6,12})\.([^]*)$/.exec(text.slice(name.length)) ?? no();
  const [key, tail] = shape === "open" ? openKey(ai, m[1], m[2], total, qualifier) : digitKey(shape, m[1], m[2], total, groups);
  const uri = `https://id.gs1.org/${ai}/${key}`;
  if (qualifier === null) return tail === "" ? uri : no();
  if (tail[0] !== ".") no();
  const serial = tail.slice(1);
  if (qualifier === "*") return serial === "*" ? uri : no();
  return ai === "414" && serial === "0" ? uri : uri + qualifier + chars(serial, set, max); // extension 0: the GLN itself
}

// ---- Digital Links ----

// [AI, name, leading digits, characters behind them, how many, qualifiers, those that are kept: the finest first]
const KEYS = [
  ["01", "gtin", 14, null, 0, { 22: "cpv", 10: "lot", 21: "ser", 235: "tpx" }, ["21", "235", "10"]],
  ["8006", "itip", 18, null, 0, { 22: "cpv", 10: "lot", 21: "ser" }, ["21", "10"]],
  ["8010", "cpid", 4, AI39, 26, { 8011: "cpsn" }, ["8011"]],
  ["414", "gln", 13, null, 0, { 254: "glnx" }, ["254"]],
  ["417", "party", 13, null, 0, {}, []],
  ["8017", "gsrnp", 18, null, 0, { 8019: "srin" }, []],
  ["8018", "gsrn", 18, null, 0, { 8019: "srin" }, []],
  ["255", "gcn", 13, DIGITS, 12, {}, []],
  ["00", "sscc", 18, null, 0, {}, []],
  ["253", "gdti", 13, AI82, 17, {}, []],
  ["401", "ginc", 4, AI82, 26, {}, []],
  ["402", "gsin", 17, null, 0, {}, []],
  ["8003", "grai", 14, AI82, 16, {}, []],
  ["8004", "giai", 4, AI82, 26, {}, []],
];

function keyValue([ai, , digits, set, max], value) {
  let n = 0;
  while (n < value.length && n < digits && /[0-9]/.test(value[n])) n++;
  if (ai === "01" && [8, 12, 13].includes(n) && n === value.length) return value.padStart(14, "0");
  if (n !== digits) no();
  const rest = value.slice(n);
  return rest === "" ? value : set ? value.slice(0, n) + chars(rest, set, max) : no();
}

function fromSegments(key, segments) {
  const [ai, , , , , qualifiers, keep] = key, pairs = [];
  if (segments.length % 2 || segments.length > 10) no();
  for (let i = 2; i < segments.length; i += 2) {
    const found = Object.entries(qualifiers).find(([number, name]) => segments[i] === number || segments[i] === name) ?? no();
    pairs.push([found[0], segments[i + 1]]);
  }
  const uri = `https://id.gs1.org/${ai}/${keyValue(key, segments[1])}`;
  for (const wanted of keep) {
    const pair = pairs.find(([number]) => number === wanted);
    if (pair) return `${uri}/${wanted}/${wanted === "8011" ? chars(pair[1], DIGITS, 12) : chars(pair[1], AI82, wanted === "235" ? 28 : 20)}`;
  }
  return uri;
}

function fromLink(text) {
  const path = text.split(/[?#]/)[0], slash = path.indexOf("/");
  if (slash === 0 || path === "") no();
  const segments = slash < 0 ? [] : path.slice(slash + 1).split("/");
  if (segments.length && segments[segments.length - 1] === "") segments.pop();
  if (segments.length > 32) no();
  for (let i = 0; i + 2 <= segments.length; i++)
    for (const key of KEYS) {
      if (segments[i] !== key[0] && segments[i] !== key[1]) continue;
      try {
        return fits(fromSegments(key, segments.slice(i)));
      } catch (e) {
        if (!(e instanceof NoKey)) throw e;
      }
    }
  return no();
}

const fits = (uri) => (uri.length < URI_MAX ? uri : no());

/** The canonical Digital Link, or null when this is no GS1 key. */
export function canonicalGs1(uri) {
  try {
    const m = /^(urn:epc:|https:\/\/|http:\/\/)([^]+)$/i.exec(uri) ?? no();
    return fits(m[1].toLowerCase() === "urn:epc:" ? fromUrn(m[2]) : fromLink(m[2]));
  } catch (e) {
    if (e instanceof NoKey) return null;
    throw e;
  }
}
