// The fixed words of the readable page and of the instructions, version 1. They stand in node/formats/report.c too; the
// comparison of both verifiers finds any difference.
export const GENERATOR = "carnet-report ";

export const STYLE = `body{font:15px/1.45 system-ui,sans-serif;color:#1b1f23;max-width:62rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #d0d7de}
p{margin:.5rem 0}.muted,small{color:#57606a}.lead{font-size:1.05rem}.alarm{color:#a40e26}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:.8rem 0}dt{color:#57606a}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.86rem}th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}
thead th{background:#f6f8fa;border-bottom:2px solid #afb8c1}caption{text-align:left;color:#57606a;padding:.2rem 0}
time{white-space:nowrap;font-variant-numeric:tabular-nums}code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}
.no-wrap{white-space:nowrap}.boxes{display:grid;grid-template-columns:1fr 1fr;gap:1.2rem}.boxes div{border:1px solid #d0d7de;border-radius:6px;padding:.2rem 1rem .8rem}
figure{margin:1rem 0}svg{width:100%;height:auto;font:11px sans-serif;fill:#57606a}svg .grid{stroke:#d8dee4;stroke-width:1}svg polyline{fill:none;stroke:#0969da;stroke-width:1.4}svg .alarm{fill:#a40e26}
figcaption{color:#57606a;font-size:.86rem}
@page{size:A4;margin:16mm 14mm;@bottom-right{content:counter(page) " / " counter(pages);font-size:9pt}}
@media print{body{font-size:9.5pt;max-width:none;margin:0;padding:0}h2{break-after:avoid}tr,figure,.boxes div{break-inside:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}}
@media(max-width:46rem){.boxes{grid-template-columns:1fr}dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
`;

/** What the dossier proves; aboutSubject: its completeness too. */
export const MEANING = (aboutSubject) => `<h2>What this proves, and what it does not</h2>
<div class="boxes">
<div>
<h3>Proved, once the verifier accepts the dossier</h3>
<ul>
<li>Each statement was signed by the key it names, and that key had authority then.</li>
<li>A quorum of the ledger&#8217;s validators made it final at its place in the log; nobody can take it out or change it unseen.</li>
${aboutSubject ? "<li>Nothing that was recorded about the subject, or about containers while they were tied to it, is left out.</li>\n" : ""}<li>The statements of each key that are here stand in the order in which it signed them, and of two that follow one another directly the later names the earlier.</li>
</ul>
</div>
<div>
<h3>Not proved</h3>
<ul>
<li>That what a signer says is true. Registration proves what was recorded and when, not that it happened.</li>
<li>What a signer never submitted, and what a key signed about other subjects.</li>
<li>The time of an event, which is the signer&#8217;s claim. The time of a block is a claim of a quorum of validators, unless a time authority that you trust saw it (files in <code>tokens/</code>).</li>
<li>Events about this subject under an identifier that their signer did not declare.</li>
</ul>
</div>
</div>
`;

export const HOW_TO_CHECK = `<h2>How to check it</h2>
<p>This page is for reading; only the verifier&#8217;s verdict counts. Take the genesis digest of the ledger from a source that you trust, not from this file, and run</p>
<p><code>carnet verify --genesis DIGEST FILE.zip</code></p>
<p>It needs no network. Its step &#8220;report&#8221; says whether this page is what the dossier holds.</p>
</main>
</body>
</html>
`;

export const README = `Audit dossier of a Carnet ledger, format carnet-audit-2. Instructions, version 1.

To read it, open report.html in any browser. To rely on it, verify it; no network is needed:

    carnet verify --genesis DIGEST FILE.zip

DIGEST is the genesis digest of the ledger, 64 hexadecimal digits. Take it from a source that you trust (a
publication of the consortium, your own administration), not from this file. The verifier gives a verdict for
each step and exit status 0 when all hold; it checks this text and report.html too.

verify.html, where it is here, is a second verifier as one page for a browser, also without a network. Nobody
checks it: before you open it, compare its SHA-256 in manifest.json with the one that your source of the digest
publishes, or take the page from there.

With software of others: receipts/ are COSE receipts (RFC 9942), tlog/ and checkpoint.note are C2SP tlog-proofs and
a signed note, subjects/ hold ICS-23 proofs, tokens/ are RFC 3161 time tokens over the 229 header bytes of their
height. Every file of a dossier is listed with its SHA-256 in manifest.json.
`;
