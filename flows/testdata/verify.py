"""Checks a proof after docs/proof.md: verify.py FILE PUBLICKEY."""
import base64, hashlib, json, sys
import nacl.signing


def fail(why):
    sys.exit("wrong: " + why)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(v):
    return json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def note(signed, name, hash4, key):
    """The text of a signed note (C2SP signed-note)."""
    text, _, signature = signed.rpartition("\n\n")
    text += "\n"
    dash, signer, value = signature.strip().split(" ")
    raw = base64.b64decode(value)
    if dash != "\u2014" or signer != name or raw[:4] != hash4:
        fail("a note is signed by another")
    key.verify(text.encode(), raw[4:])
    return text


def root(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            fail("a path is too long")
        if fn & 1 or fn == sn:
            r = sha(b"\x01", p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\x01", r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        fail("a path is too short")
    return r


with open(sys.argv[1], encoding="utf-8") as f:
    proof = json.load(f)
public = sys.argv[2]
if proof["format"] != "kartotek proof 1" or proof["public_key"] != public:
    fail("another form or key")
name, hash4, data = public.split("+", 2)
data = base64.b64decode(data)
hash4 = bytes.fromhex(hash4)
if data[0] != 1 or sha(name.encode(), b"\n", data)[:4] != hash4:
    fail("the key is none")
key = nacl.signing.VerifyKey(data[1:])

origin, size, top, signed_at, end = note(proof["checkpoint"], name, hash4, key).split("\n")
if origin != name or end:
    fail("the checkpoint is of another log")
size, top = int(size), base64.b64decode(top)

for act in proof["acts"]:
    record = act["record"]
    if record["address"] != proof["address"]:
        fail("an act of somebody else")
    commitment = sha(b"kartotek commitment 1\n", bytes.fromhex(act["salt"]), canonical(record))
    leaf = sha(b"\x00", b"\x01", commitment, bytes.fromhex(act["sealed_sha256"]))
    path = [base64.b64decode(h) for h in act["path"]]
    if act["leaf"] >= size or root(leaf, act["leaf"], size, path) != top:
        fail("act %d is not in the log" % record["number"])
for text in proof["notices"]:
    if sha(text["text"].encode()).hex() != text["sha256"]:
        fail("a notice was replaced")
rest = {k: v for k, v in proof.items() if k != "statement"}
if note(proof["statement"], name, hash4, key) != "kartotek statement 1\n" + sha(canonical(rest)).hex() + "\n":
    fail("the file was changed after it was signed")
print("%d acts of %s, signed %s" % (len(proof["acts"]), proof["address"], signed_at))
