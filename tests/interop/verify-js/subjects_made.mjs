// URIs of subjects near every rule of canonical form (formats-epcis.md, Subjects): GS1 keys as URNs and as Digital Links,
// the project's own names, named information; most are right but for one place, many stand at a limit of length.

const DIGITS = "0123456789", LETTERS = "ABCXYZabcxyz", MARKS = "!'()*+,-.:;=_?&/", ODD = ["%", "%2", "%2f", "%2F", "%41", "%00", "%80", "%GG", "#", "?", "//", " ", "\u00e9", "\ud83d\ude00", "<", "\u007f"];
const URN = [
  ["id:sgtin:", 13], ["id:sscc:", 17], ["id:sgln:", 12], ["id:grai:", 12], ["id:giai:", 30], ["id:gsrn:", 17], ["id:gsrnp:", 17], ["id:gdti:", 12],
  ["id:cpi:", 30], ["id:sgcn:", 12], ["id:ginc:", 30], ["id:gsin:", 16], ["id:itip:", 13], ["id:upui:", 13], ["id:pgln:", 12], ["class:lgtin:", 13],
  ["idpat:sgtin:", 13], ["idpat:grai:", 12], ["idpat:gdti:", 12], ["idpat:sgcn:", 12], ["idpat:cpi:", 30], ["idpat:itip:", 13], ["idpat:upui:", 13],
  ["idpat:sgln:", 12], ["id:gid:", 12], ["id:imovn:", 7],
];
const LOT = ["22", "cpv", "10", "lot", "21", "ser"], SERVICE = ["8019", "srin"];
// AI, name, digits, how many characters may follow, qualifiers
const LINK = [
  ["01", "gtin", 14, 0, [...LOT, "235", "tpx"]], ["8006", "itip", 18, 0, LOT], ["8010", "cpid", 4, 26, ["8011", "cpsn"]], ["414", "gln", 13, 0, ["254", "glnx"]],
  ["417", "party", 13, 0], ["8017", "gsrnp", 18, 0, SERVICE], ["8018", "gsrn", 18, 0, SERVICE], ["255", "gcn", 13, 12], ["00", "sscc", 18, 0], ["253", "gdti", 13, 17],
  ["401", "ginc", 4, 26], ["402", "gsin", 17, 0], ["8003", "grai", 14, 16], ["8004", "giai", 4, 26],
];
const QUALIFIERS = [...LOT, ...SERVICE, "235", "254", "8011", "99", ""];

export function maker(below) {
  const pick = (list) => list[below(list.length)];
  const many = (n, of) => Array.from({ length: Math.max(0, n) }, of).join("");
  const digits = (n) => many(n, () => pick(DIGITS));
  const KINDS = [[...DIGITS], [...(DIGITS + "ABCXYZ-."), "%23", "%2F", "-"], [...(DIGITS + DIGITS + LETTERS + MARKS)]];
  const near = (n) => n + pick([0, 0, 0, 0, 0, 0, -1, 1]);
  /** A variable part, of one set of characters; once in a while it has one that is in none, or is too long by one. */
  function part(max) {
    const kind = pick(KINDS), n = Math.max(0, pick([1, 3, max - 1, max, max, max + 1, max + 1, below(8) ? 2 : 0])), odd = below(10) ? -1 : below(n);
    return Array.from({ length: n }, (_, i) => pick(i === odd ? ODD : kind)).join("");
  }
  const case_ = (text) => (below(6) ? text : [...text].map((c) => (below(2) ? c.toUpperCase() : c)).join(""));

  function urn() {
    const [name, total] = pick(URN), prefix = pick([6, 7, 8, 9, 10, 11, 12, 12, 5, 13]), open = total === 30;
    let text = name + digits(prefix) + "." + (open ? part(total - prefix) : digits(near(total - prefix)));
    if (name.endsWith("itip:")) text += `.${digits(near(2))}.${digits(2)}`;
    const tail = below(10) === 0 ? pick(["", ".", ".*", ".0", ".00", "."]) : name.startsWith("idpat") ? ".*" : /giai|ginc|sscc|gsrn|gsin|pgln/.test(name) ? "" : "." + (below(4) ? part(pick([12, 16, 17, 20, 28])) : pick(["0", "*", "01", "%30"]));
    return case_("urn:epc:") + text + tail;
  }

  function link() {
    const [ai, name, n, more, qualifiers = QUALIFIERS] = below(4) ? pick(LINK) : LINK[0], key = pick([ai, ai, name]);
    const value = ai === "01" && below(3) === 0 ? digits(pick([8, 12, 13, 7, 9, 11])) : digits(near(n)) + (more || below(10) === 0 ? part(more) : "");
    const segments = [...Array(pick([0, 0, 0, 0, 0, 0, 1, 2, 28, 29, 30, 31])).fill(0).map(() => pick(["a", "01", "gtin", "", "414", "21"])), key, pick([value, value, digits(n)])];
    for (let i = pick(more ? [0, 0, 1] : [0, 1, 1, 1, 2, 4, 5]); i > 0; i--) segments.push(pick(below(12) ? qualifiers : QUALIFIERS), part(pick([12, 20, 28])));
    if (below(12) === 0) segments.splice(below(segments.length + 1), 1, pick(["", "x", "00"]));
    const long = below(30) === 0 ? "/" + "%2A".repeat(below(100)) : "";
    return case_(pick(["https://", "http://"])) + pick(["id.gs1.org", "example.com:8443", "\u00e9.example", "", "?", "#"].concat(Array(8).fill("id.gs1.org"))) + "/" + segments.join("/") + long + pick(["", "", "", "/", "//", "?17=261231", "#01/09520123456788"]);
  }

  const hexadecimal = () => many(near(64), () => pick(pick(["0123456789abcdef", "0123456789abcdef", "ABCDEF0123456789"])));
  const base64url = () => many(near(42), () => pick(LETTERS + DIGITS + "-_")) + pick([..."AEIMQUYcgkosw048BZ/+=", ""]);
  const memberName = () => many(pick([1, 2, 5, 63, 64, 65]), () => pick(below(60) ? "abcdef0123456789" : "-_A."));
  const named = () => case_("ni://") + pick(["", "", "example.com", "a/b", "\u00e9", "?"]) + case_("/sha-256;") + pick([hexadecimal, base64url])() + pick(["", "", "", "?ver=CBV2.0"]);
  const own = () => case_(pick(["urn:carnet:key:", "urn:carnet:document:", "urn:carnet:member:"])) + pick([hexadecimal, memberName])();
  const word = () => case_(pick(["urn:carnet:governance", "urn:carnet:erasures", "urn:carnet:network:"])) + pick(["", "", "x", "/"]);
  const short = () => case_(pick(["urn:epc:id:bic:", "urn:carnet:ucr:"])) + part(pick([4, 11, 35, 1008]));
  /** At the greatest length, also of a URI that becomes short: a query does not count, and an item may be full of it. */
  function long() {
    const fill = (text, n) => text + pick(["y", "\u00e9"]).repeat(Math.max(0, n - text.length));
    return pick([() => fill("urn:x:", near(1023)), () => fill("urn:x:", near(515)), () => fill(link() + "?", 64000), () => fill("https://id.gs1.org/01/09520123456788?", 60000), () => fill("x:", 64000)])();
  }
  const makers = [urn, urn, urn, link, link, link, named, own, word, short];
  return () => (below(300) === 0 ? long() : pick(makers)());
}
