// witness ADDRESS [LOG-VKEY...]: a witness of transparency logs as C2SP's tlog-witness has it, for one origin (none
// without keys), on golang.org/x/mod/sumdb. Prints its own verifier key, then serves add-checkpoint.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const name = "witness.example/nl"

type witness struct {
	logs  note.Verifiers
	key   ed25519.PrivateKey
	id    []byte
	size  int64
	root  tlog.Hash
	lying bool // signs another size than it was shown
}

func (w *witness) sign(text string) string {
	now := uint64(time.Now().Unix())
	if w.lying {
		text = strings.Replace(text, "\n", "\n1", 1)
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, text)
	raw := append(append([]byte(nil), w.id...), binary.BigEndian.AppendUint64(nil, now)...)
	raw = append(raw, ed25519.Sign(w.key, []byte(signed))...)
	return fmt.Sprintf("\u2014 %s %s\n", name, base64.StdEncoding.EncodeToString(raw))
}

func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/lie": // begin or end it
		w.lying = !w.lying
		return
	case "/other-history": // as if it had been shown another log of the same size
		w.root[0] ^= 1
		return
	case "/longer": // as if it had been shown more than there is
		w.size += 1000
		return
	case "/broken/add-checkpoint":
		out.WriteHeader(500)
		io.WriteString(out, "\x1b[2Jbroken")
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	head, text, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if r.Method != "POST" || r.URL.Path != "/add-checkpoint" || !found || err != nil || len(lines) > 64 {
		http.Error(out, "not an add-checkpoint", 400)
		return
	}
	opened, err := note.Open([]byte(text), w.logs)
	if err != nil {
		http.Error(out, err.Error(), 403)
		return
	}
	checkpoint := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(checkpoint[1], 10, 64)
	root, rootErr := tlog.ParseHash(checkpoint[2])
	if err != nil || rootErr != nil || old > size {
		http.Error(out, "not a checkpoint", 400)
		return
	}
	if old != w.size {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(409)
		fmt.Fprintf(out, "%d\n", w.size)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(out, err.Error(), 400)
			return
		}
		proof = append(proof, hash)
	}
	if (old == 0 && len(proof) != 0) || (old > 0 && tlog.CheckTree(proof, size, root, old, w.root) != nil) {
		http.Error(out, "not consistent", 422)
		return
	}
	w.size, w.root = size, root
	io.WriteString(out, w.sign(opened.Text))
}

func main() {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	var logs []note.Verifier
	for _, vkey := range os.Args[2:] {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			panic(err)
		}
		logs = append(logs, v)
	}
	typed := append([]byte{4}, public...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	fmt.Printf("%s+%x+%s\n", name, id[:4], base64.StdEncoding.EncodeToString(typed))
	panic(http.ListenAndServe(os.Args[1], &witness{logs: note.VerifierList(logs...), key: private, id: id[:4]}))
}
