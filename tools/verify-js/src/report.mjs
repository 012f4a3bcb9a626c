// The readable page of a dossier, made again from the rest of it: whoever reads report.html reads what was verified. Words
// and order are those of version 1 (audit-format.md, step report); other words are another version.
import { Fault, equal, hex, latin, utf8 } from "./bytes.mjs";
import { chart } from "./report_chart.mjs";
import { MAX_SERIES, children, collect, get, openItem } from "./report_facts.mjs";
import { GENERATOR, HOW_TO_CHECK, MEANING, README, STYLE } from "./report_words.mjs";
import { escaped, term, time } from "./html.mjs";
import { ADVANCE } from "./foreign.mjs";
import { CHANGE_FOREIGN, readStatement } from "./statement.mjs";

const VERSION = 1, MAX_BYTES = 64 * 2 ** 20, MAX_ROWS = 2000, THINGS_SHOWN = 6;
const DEVICE = 2, GATEWAY = 3;

// ---- small things ----

const plural = (n) => (Number(n) === 1 ? "" : "s");
const short = (digest) => `<code title="${hex(digest)}">${hex(digest).slice(0, 12)}&#8230;</code>`;
const pair = (name, html) => `<dt>${name}</dt><dd>${html}</dd>\n`;
const more = (count, what) => (count ? `<p class="muted">${count} more ${what} are in the files of the dossier; this page shows the first ${MAX_ROWS}.</p>\n` : "");

function signer(f, keyId) {
  const key = f.key(keyId), name = key ? f.nameOf(key.owner) : "";
  const what = key?.purpose === DEVICE ? ", device " : key?.purpose === GATEWAY ? ", gateway " : ", key ";
  return (name ? escaped(name) : '<span class="muted">a member not named here</span>') + what + short(keyId);
}

function recorded(f, index) {
  const ms = f.recordedMs(index);
  return `${ms ? time(ms) : ""}<br/><small>log ${index}`;
}

// ---- head and summary ----

function head(f) {
  const { manifest, headers, epochs } = f.dossier, h = headers[0], subject = escaped(manifest.subject);
  return (
    '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n' +
    `<meta name="generator" content="${GENERATOR}${VERSION}"/>\n` +
    '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n' +
    `<title>Audit of ${subject}</title>\n<style>\n${STYLE}</style>\n</head>\n<body>\n<header>\n` +
    `<p class="muted">Audit dossier of the ledger ${escaped(f.genesis.name)}</p>\n<h1>${subject}</h1>\n<dl>\n` +
    pair("About", manifest.kind === "statement" ? "one statement, by its id" : "everything recorded about this subject") +
    pair("As of", `${time(h.timeMs)} UTC, block height ${h.height}, ${h.logSize} entries in the log`) +
    pair("Ledger (genesis digest)", `<code>${hex(f.genesis.network)}</code>`) +
    pair("Validators", `epoch ${h.epoch}, ${epochs.length} change${plural(epochs.length)} of validators since the beginning`) +
    (manifest.legalBasis ? pair("Legal basis, as the caller gave it", escaped(manifest.legalBasis)) : "") +
    (manifest.caseNumber ? pair("Case number, as the caller gave it", escaped(manifest.caseNumber)) : "") +
    "</dl>\n</header>\n<main>\n"
  );
}

function absence(f) {
  const h = f.dossier.headers[0];
  return `<h2>Nothing is recorded</h2>\n<p class="lead">Up to block height ${h.height} (${time(h.timeMs)} UTC) no statement about this subject was recorded in this ledger. The dossier proves it.</p>\n`;
}

function summary(f, subject) {
  const signers = [...f.keys.values()].filter((k) => k.signed > 0).length, statements = f.statements.length;
  let out = '<h2>In short</h2>\n<p class="lead">';
  if (subject) out += `${subject.leaves.length} statement${plural(subject.leaves.length)} about the subject; `;
  out += `${statements} statement${plural(statements)} in the dossier, signed with ${signers} key${plural(signers)}, with ${f.events} readable event${plural(f.events)}`;
  if (f.events) out += ` from ${time(f.firstMs)} to ${time(f.lastMs)} UTC, as their signers say`;
  out += ".</p>\n";
  if (f.erased)
    out +=
      `<p>The content of ${f.erased} item${plural(f.erased)} is not here: erased everywhere by order of the member that signed it, or left out of this ` +
      "dossier. What is left proves that it existed, who signed it and when.</p>\n";
  if (f.sealed + f.unreadable)
    out +=
      `<p>${f.sealed} items are sealed to certain parties, and ${f.unreadable} are of a format that this page does not read. Their digests are ` +
      "signed and counted all the same.</p>\n";
  return out;
}

// ---- events ----

const isText = (v) => typeof v === "string";
const word = (v, before) => (isText(v) ? before + term(v) : "");

function place(event, name, what) {
  const id = get(get(event, name), "id");
  return isText(id) ? `<span class="muted">${what}</span> ${escaped(id)}<br/>` : "";
}

function things(event) {
  let ids = [get(event, "parentID")];
  for (const kind of ["epcList quantityList", "childEPCs childQuantityList", "inputEPCList inputQuantityList", "outputEPCList outputQuantityList"]) {
    const [epcs, quantities] = kind.split(" ");
    ids = ids.concat(children(get(event, epcs)), children(get(event, quantities)).map((q) => get(q, "epcClass")));
  }
  const named = ids.filter(isText), left = named.length - THINGS_SHOWN;
  return (
    (get(event, "parentID") !== undefined ? '<span class="muted">in</span> ' : "") +
    named.slice(0, THINGS_SHOWN).map((id) => `${escaped(id)}<br/>`).join("") +
    (left > 0 ? `<small>and ${left} more</small>` : "")
  );
}

const VALUES = [["value", ""], ["minValue", "lowest "], ["maxValue", "highest "], ["meanValue", "mean "]];

function reading(r) {
  const flag = get(r, "booleanValue");
  return (
    (get(r, "exception") !== undefined ? '<span class="alarm">' : "<span>") +
    word(get(r, "type"), "") +
    word(get(r, "component"), " ") +
    VALUES.filter(([name]) => get(r, name)?.number !== undefined).map(([name, words]) => ` ${words}${escaped(get(r, name).number)}`).join("") +
    (flag === undefined ? "" : flag === true ? " yes" : " no") +
    word(get(r, "uom"), " ") +
    word(get(r, "exception"), ": ") +
    "</span><br/>"
  );
}

function sensors(event) {
  const all = children(get(event, "sensorElementList")).flatMap((e) => children(get(e, "sensorReport"))), left = all.length - THINGS_SHOWN;
  return all.slice(0, THINGS_SHOWN).map(reading).join("") + (left > 0 ? `<small>and ${left} more readings</small>` : "");
}

function eventRow(f, { s, index }, item, e) {
  const step = get(e.root, "bizStep"), type = get(e.root, "type");
  return (
    `<tr><td>${e.ms ? time(e.ms) : ""}</td><td><strong>${word(step !== undefined ? step : type, "")}</strong><br/><small>` +
    `${word(type, "")}${word(get(e.root, "action"), ", ")}${word(get(e.root, "disposition"), ", ")}</small>` +
    (get(e.root, "errorDeclaration") !== undefined ? '<br/><span class="alarm">declares an earlier event to be in error</span>' : "") +
    `</td><td>${place(e.root, "readPoint", "at")}${place(e.root, "bizLocation", "then")}</td><td>${things(e.root)}${sensors(e.root)}</td>` +
    `<td>${recorded(f, index)}, item ${item}</small></td><td>${signer(f, s.keyId)}</td></tr>\n`
  );
}

function events(f) {
  if (f.events === 0) return "";
  const rows = [];
  let left = 0;
  for (const st of f.statements) {
    if (st.s?.kind !== "batch") continue;
    st.s.items.forEach((item, i) => {
      const e = openItem(item);
      if (e.root === undefined || e.isReading) return;
      if (rows.length < MAX_ROWS) rows.push(eventRow(f, st, i, e));
      else left++;
    });
  }
  return (
    "<h2>Events</h2>\n<table>\n<caption>In the order of the log. Times of events and places are what their signers say; " +
    "&#8220;recorded&#8221; is the time of the block." +
    (f.readings ? ` ${f.readings} regular temperature readings are in the chart only.` : "") +
    '</caption>\n<thead><tr><th scope="col">When (UTC)</th><th scope="col">What</th><th scope="col">Where</th>' +
    '<th scope="col">Things and readings</th><th scope="col">Recorded</th><th scope="col">Signed by</th></tr></thead>\n<tbody>\n' +
    `${rows.join("")}</tbody>\n</table>\n${more(left, "events")}`
  );
}

function charts(f) {
  if (f.series.length === 0) return "";
  const drawn = f.series.map((s, i) => chart(s.readings, escaped(s.device), s.unit, i + 1)).join("");
  const limit = f.series.length === MAX_SERIES ? `<p class="muted">This page draws the first ${MAX_SERIES} devices; readings of others are in the files.</p>\n` : "";
  return `<h2>Temperature</h2>\n${drawn}${limit}`;
}

// ---- other statements ----

const DOCUMENTS = ["a document", "a document", "a bill of lading", "an invoice", "a certificate of origin", "a phytosanitary certificate", "a customs document"];
const CHANGES = ["", "join", "leave", "rotate its keys", "change roles"];
const REASONS = ["", "no reason given", "the person concerned asked for it", "the term for keeping it is over", "recorded by mistake"];

function registry(r) {
  if (r.op === "register") return `registers key ${short(r.newKey.id)}`;
  if (r.op === "rotate") return `replaces key ${short(r.keyId)}`;
  if (r.op === "revoke") return `revokes key ${short(r.keyId)}`;
  if (r.op === "gap") return `declares a gap in the chain of key ${short(r.keyId)}`;
  if (r.op === "salvage") return `stands by statements of the revoked key ${short(r.keyId)}`;
  if (r.op === "member") return `admits the member ${escaped(latin(r.member.name))}`;
  return "changes the key of its peer channel";
}

function proposal(p) {
  if (p.action !== CHANGE_FOREIGN) return `proposes that member ${short(p.member)} should ${CHANGES[p.action]}`;
  return (p.foreign.withdraw ? "proposes to admit nothing more of network " : "proposes to admit statements of network ") + short(p.member);
}

function foreign({ read: p }) {
  if (p.kind === ADVANCE) return `shows ${p.steps.length} change${plural(p.steps.length)} of the validators of network ${short(p.network)}`;
  try {
    const s = readStatement(p.record);
    return `relies on statement ${short(s.id)} of network ${short(p.network)}, final there by ${time(p.headers[0].timeMs)}`;
  } catch (e) {
    if (e instanceof Fault) return "relies on a statement that does not decode";
    throw e;
  }
}

const WORDS = {
  pairing: (p) => `ties container ${short(p.container)} to consignment ${short(p.consignment)} from ${time(p.startMs)}${p.endMs ? ` to ${time(p.endMs)}` : ""}`,
  document: (a) => `anchors ${DOCUMENTS[a.kind]} of ${a.size} bytes, SHA-256 <code>${hex(a.digest)}</code>, issued ${time(a.issuedMs)}`,
  registry,
  proposal,
  foreign,
  erasure: (e) => `orders items ${e.start} to ${e.start + e.count - 1} of statement ${short(e.target)} to be erased everywhere: ${REASONS[e.reason]}`,
  purge: (p) => `says that its node erased what was ordered by statement ${short(p.erasure)}`,
  ballot: (b) => (b.approve === 1 ? "approves proposal " : "refuses proposal ") + short(b.proposal),
  readiness: (r) => `says that its node is ready for proposal ${short(r.proposal)}`,
};

function others(f) {
  const all = f.statements.filter(({ s }) => s && s.kind !== "batch");
  if (all.length === 0) return "";
  const rows = all.slice(0, MAX_ROWS).map(({ s, index }) => `<tr><td>${recorded(f, index)}</small></td><td>${WORDS[s.kind](s.payload)}</td><td>${signer(f, s.keyId)}</td></tr>\n`);
  return (
    "<h2>Documents, ties, keys and members</h2>\n<table>\n<caption>Statements without events, in the order of the log</caption>\n" +
    '<thead><tr><th scope="col">Recorded</th><th scope="col">Statement</th><th scope="col">Signed by</th></tr></thead>\n<tbody>\n' +
    `${rows.join("")}</tbody>\n</table>\n${more(all.length - rows.length, "statements")}`
  );
}

const PURPOSES = ["", "the member's own systems", "device", "gateway"];

function keys(f) {
  if (f.statements.length === 0) return "";
  const rows = [...f.keys.values()].filter((k) => k.signed > 0).slice(0, MAX_ROWS).map(
    (k) =>
      `<tr><td>${escaped(f.nameOf(k.owner))}</td><td>${short(k.id)}</td><td>${PURPOSES[k.purpose]}</td><td>${k.signed}</td>` +
      `<td>${k.from ? `log ${k.from}` : "the beginning"}</td><td>${k.until ? `log ${k.until}` : "not ended"}</td></tr>\n`,
  );
  return (
    "<h2>Who signed</h2>\n<table>\n<caption>Keys that signed a statement of this dossier, and when they had authority</caption>\n" +
    '<thead><tr><th scope="col">Member</th><th scope="col">Key</th><th scope="col">For</th><th scope="col">Statements here</th>' +
    `<th scope="col">From</th><th scope="col">Until</th></tr></thead>\n<tbody>\n${rows.join("")}</tbody>\n</table>\n`
  );
}

function redactions({ redactions: list }) {
  if (list.length === 0) return "";
  const rows = list.slice(0, MAX_ROWS).map(({ index, item }) => `<li>log ${index}, item ${item}</li>\n`);
  return (
    "<h2>Left out of this dossier</h2>\n<p>The content of these items is not here; that they exist, who signed them and when is proved.</p>\n" +
    `<ul>\n${rows.join("")}</ul>\n${more(list.length - rows.length, "items")}`
  );
}

// ---- the whole ----

/** The page as bytes, from what the verifier has read. */
export function renderReport(v) {
  const f = collect(v), { manifest, subjects } = v.dossier;
  const subject = subjects.find((s) => equal(s.tag, manifest.tag)), absent = manifest.kind === "subject" && subject && !subject.present;
  return utf8([head(f), absent ? absence(f) : summary(f, subject), charts(f), events(f), others(f), keys(f), redactions(manifest), MEANING(manifest.kind === "subject"), HOW_TO_CHECK].join(""));
}

/** The version that a page says it is of; 0: none. */
function versionOf(page) {
  const beginning = latin(page.subarray(0, 1024)), mark = `content="${GENERATOR}`, at = beginning.indexOf(mark);
  let version = 0;
  for (const c of at < 0 ? "" : /^[0-9]*/.exec(beginning.slice(at + mark.length))[0]) version = version > 1000000 ? 0 : version * 10 + Number(c);
  return version;
}

/** Step report: the instructions, then the page. */
export function checkReport(v) {
  const page = v.dossier.files.get("report.html"), readme = v.dossier.files.get("README.txt"), expected = utf8(README);
  if (!page && !readme) return v.notChecked("report", "there is no report in it");
  const line = expected.indexOf(10) + 1, ofThisVersion = !readme || (readme.length >= line && equal(readme.subarray(0, line), expected.subarray(0, line)));
  if (readme && ofThisVersion && !equal(readme, expected)) v.fault("report", "README.txt", "the instructions were changed");
  if (!ofThisVersion) v.notChecked("report", "the instructions are of another version: do not rely on what they say");
  if (page && versionOf(page) !== VERSION) return v.notChecked("report", "the report is of another version than this verifier makes: do not rely on what it says");
  if (page) {
    const again = renderReport(v);
    if (again.length > MAX_BYTES) v.fault("report", "report.html", "cannot be made again: it exceeds 64 MiB");
    else if (!equal(again, page)) v.fault("report", "report.html", "is not what the dossier holds: the page was changed");
  }
  if (ofThisVersion) v.holds("report");
}
