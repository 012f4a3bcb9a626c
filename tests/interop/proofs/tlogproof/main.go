// tlogproof PROOF ENTRY-HEX VKEY...: the C2SP tlog-proof is accepted by golang.org/x/mod/sumdb (note.Open for the log's signatures and,
// with a verifier for cosignature/v1, the validators'; tlog.CheckRecord for the path), and refused after any change of a bit.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosigner verifies C2SP cosignature/v1 (type 0x04): a time, then Ed25519 over a header with that time and the note.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func verifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 {
		return nil, errors.New("not a verifier key")
	}
	if key[0] == 1 {
		return note.NewVerifier(vkey) // golang.org/x/mod's own, which checks the key hash too
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	return &cosigner{parts[0], uint32(hash), ed25519.PublicKey(key[1:])}, err
}

// open wants exactly so many signatures that verify, and none that does not.
func open(proof []byte, entry []byte, verifiers note.Verifiers, signers int) error {
	checkpoint, err := check(proof, entry, verifiers)
	if err == nil && (len(checkpoint.Sigs) != signers || len(checkpoint.UnverifiedSigs) != 0) {
		err = fmt.Errorf("%d signatures verified, %d did not", len(checkpoint.Sigs), len(checkpoint.UnverifiedSigs))
	}
	return err
}

// check opens the note and holds the entry's path to the root in it.
func check(proof []byte, entry []byte, verifiers note.Verifiers) (*note.Note, error) {
	head, text, found := strings.Cut(string(proof), "\n\n")
	if !found {
		return nil, errors.New("no checkpoint")
	}
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return nil, errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return nil, err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		path = append(path, hash)
	}
	checkpoint, err := note.Open([]byte(text), verifiers)
	if err != nil {
		return nil, err
	}
	body := strings.Split(checkpoint.Text, "\n")
	if len(body) != 4 || body[3] != "" {
		return nil, errors.New("not a checkpoint")
	}
	size, err := strconv.ParseInt(body[1], 10, 64)
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(body[2])
	if err != nil {
		return nil, err
	}
	return checkpoint, tlog.CheckRecord(path, size, root, index, tlog.RecordHash(entry))
}

// normal has every base64 text in its canonical encoding: Go's decoder passes over the bits that a last digit has too many.
func normal(proof []byte) string {
	lines := strings.Split(string(proof), "\n")
	for i, line := range lines {
		at := strings.LastIndex(line, " ") + 1
		if raw, err := base64.StdEncoding.DecodeString(line[at:]); err == nil && len(raw) >= 32 {
			lines[i] = line[:at] + base64.StdEncoding.EncodeToString(raw)
		}
	}
	return strings.Join(lines, "\n")
}

// item checks what carnet export --format item wrote: the item lies in the batch, whose record is the entry.
func item(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p struct {
		Index    int64    `json:"item_index"`
		Count    int64    `json:"item_count"`
		Item     []byte   `json:"item_base64"`
		Path     [][]byte `json:"item_path_base64"`
		Root     []byte   `json:"items_root_base64"`
		Record   []byte   `json:"record_base64"`
		Expected string   `json:"record"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	var path tlog.RecordProof
	var root tlog.Hash
	copy(root[:], p.Root)
	for _, raw := range p.Path {
		var hash tlog.Hash
		copy(hash[:], raw)
		path = append(path, hash)
	}
	if sum := sha256.Sum256(p.Record); hex.EncodeToString(sum[:]) != p.Expected || !bytes.Contains(p.Record, p.Root) {
		return errors.New("the record is another, or does not name the root")
	}
	if err := tlog.CheckRecord(path, p.Count, root, p.Index, tlog.RecordHash(p.Item)); err != nil {
		return err
	}
	refused := 0
	for bit := 0; bit < 8*len(p.Item); bit++ {
		changed := append([]byte(nil), p.Item...)
		changed[bit/8] ^= 1 << (bit % 8)
		if tlog.CheckRecord(path, p.Count, root, p.Index, tlog.RecordHash(changed)) == nil {
			return fmt.Errorf("accepted with bit %d changed", bit)
		}
		refused++
	}
	for index := int64(0); index < p.Count; index++ {
		if index != p.Index && tlog.CheckRecord(path, p.Count, root, index, tlog.RecordHash(p.Item)) == nil {
			return fmt.Errorf("accepted as item %d", index)
		}
	}
	fmt.Printf("row\titem %d of %d, to the record\tgolang.org/x/mod sumdb/tlog\t%d\taccepted, %d changes refused\n", p.Index, p.Count, 32*len(p.Path)+len(p.Item), refused)
	return nil
}

// judge answers for each case of tests/interop/negatives whether all of its tlog-proofs hold, with as many cosigners as
// are wanted.
func judge(file string) error {
	var cases []struct {
		Name   string
		Vkeys  []string
		Wanted int
		Tlog   []struct{ Entry, Proof string }
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		return err
	}
	answers := map[string]map[string]string{}
	for _, c := range cases {
		var list []note.Verifier
		for _, vkey := range c.Vkeys {
			v, err := verifier(vkey)
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		answer := "nothing"
		for _, p := range c.Tlog {
			entry, entryErr := hex.DecodeString(p.Entry)
			proof, proofErr := hex.DecodeString(p.Proof)
			if entryErr != nil || proofErr != nil {
				return errors.New("not hexadecimal")
			}
			if answer == "nothing" {
				answer = "accepts"
			}
			checkpoint, err := check(proof, entry, note.VerifierList(list...))
			cosigners := 0
			for i := 0; err == nil && i < len(checkpoint.Sigs); i++ {
				if checkpoint.Sigs[i].Name != list[0].Name() { // the log's own lines have the name of the log
					cosigners++
				}
			}
			if err != nil || cosigners < c.Wanted {
				answer = "refuses"
			}
		}
		answers[c.Name] = map[string]string{"tlog": answer}
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "judge" {
		if err := judge(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "item" {
		if err := item(os.Args[2]); err != nil {
			fmt.Println("FAILED: the item is not accepted:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: tlogproof PROOF ENTRY-HEX VKEY... | item FILE | judge CASES.json")
		os.Exit(2)
	}
	proof, err := os.ReadFile(os.Args[1])
	entry, hexErr := hex.DecodeString(os.Args[2])
	if err != nil || hexErr != nil {
		fmt.Fprintln(os.Stderr, err, hexErr)
		os.Exit(2)
	}
	var list []note.Verifier
	for _, vkey := range os.Args[3:] {
		v, err := verifier(vkey)
		if err != nil {
			fmt.Fprintln(os.Stderr, vkey, err)
			os.Exit(2)
		}
		list = append(list, v)
	}
	verifiers := note.VerifierList(list...)
	if err := open(proof, entry, verifiers, len(list)); err != nil {
		fmt.Println("FAILED: the proof is not accepted:", err)
		os.Exit(1)
	}
	failed, tried, unseen := 0, 0, 0
	refused := func(changed []byte, of []byte, what string) {
		if open(changed, of, verifiers, len(list)) != nil {
			tried++
		} else if string(of) == string(entry) && normal(changed) == normal(proof) {
			unseen++ // the same proof in another encoding, which Carnet's own reader refuses (unit.proto_checkpoint)
		} else {
			fmt.Println("FAILED: accepted with", what)
			failed++
		}
	}
	for bit := 0; bit < 8*len(proof); bit++ {
		changed := append([]byte(nil), proof...)
		changed[bit/8] ^= 1 << (bit % 8)
		refused(changed, entry, fmt.Sprintf("bit %d changed", bit))
	}
	other := append([]byte(nil), entry...)
	other[0] ^= 1
	refused(proof, other, "another entry")
	fmt.Printf("row\ttlog-proof, %d signatures\tgolang.org/x/mod sumdb/note and tlog\t%d\taccepted, %d changes refused (%d only of an encoding)\n", len(list), len(proof), tried, unseen)
	if failed > 0 {
		os.Exit(1)
	}
}
