package wire

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
)

// ErrSignature is a signed phrase that its key did not sign, or that is none.
var ErrSignature = errors.New("bad signature")

// Sign gives the signed phrase of a message: the lower-case hex of the Ed25519
// signature (64 bytes) and, behind it, the message itself (RFC 8032; PyNaCl's
// SignedMessage).
func Sign(key ed25519.PrivateKey, message []byte) string {
	var room [2 * (ed25519.SignatureSize + 64)]byte // for a challenge, and a digest
	b := hex.AppendEncode(room[:0], ed25519.Sign(key, message))
	return string(hex.AppendEncode(b, message))
}

// Open gives the message of a signed phrase, or ErrSignature. Whether the message
// is the awaited one is the caller's to ask.
func Open(key ed25519.PublicKey, phrase string) ([]byte, error) {
	return OpenIf(key, phrase, func([]byte) bool { return true })
}

// OpenIf is Open for a message that may be the awaited one: any other is ErrSignature
// without a look at the signature, which takes some hundred times longer.
func OpenIf(key ed25519.PublicKey, phrase string, awaited func(message []byte) bool) ([]byte, error) {
	b, err := hex.DecodeString(phrase)
	if err != nil || len(b) < ed25519.SignatureSize {
		return nil, ErrSignature
	}
	signature, message := b[:ed25519.SignatureSize], b[ed25519.SignatureSize:]
	if !awaited(message) || !ed25519.Verify(key, message, signature) {
		return nil, ErrSignature
	}
	return message, nil
}
