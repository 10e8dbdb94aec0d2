#!/usr/bin/env python3
"""A second verifier of the log, written from src/audit/SPEC.md alone, with Python's standard library and nothing else.

    second_verifier.py DIR [--key FILE] [--witness FILE]     a whole log; FILE: keys to believe, a checkpoint somebody kept
    second_verifier.py --proof FILE --key FILE               one record, without the log

Prints one line of JSON; exit 0: good, 1: not, 2: usage. It keeps all leaves in memory, and does not read sealed segments
(brotli is not in the standard library): a log that has some is told as not whole.
"""
import base64, functools, hashlib, json, os, re, struct, sys

# --- Ed25519, RFC 8032 section 5.1: verifying only, and slow ---------------------------------------------------------
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def recover_x(y, sign):
    if y >= P: return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign): return None
    return P - x if x % 2 != sign else x

def add(one, two):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, two
    a, b, c, d = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P, 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)

def times(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1: total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total

def point_of(raw):
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)

BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

@functools.lru_cache(maxsize=1024)
def is_signed(public, message, signature):
    key, r = point_of(public), point_of(signature[:32]) if len(signature) == 64 else None
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L: return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    one, two = times(s, BASE), add(r, times(challenge, key))
    return (one[0] * two[2] - two[0] * one[2]) % P == 0 and (one[1] * two[2] - two[1] * one[2]) % P == 0

# --- signed notes, keys, checkpoints ---------------------------------------------------------------------------------
class Bad(Exception): pass

def exact64(text):
    try: raw = base64.b64decode(text, validate=True)
    except ValueError: raise Bad("no base64") from None
    if base64.b64encode(raw).decode() != text: raise Bad("base64 in another form")
    return raw

def parse_key(text):
    match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text)
    if not match: raise Bad("no verifier key")
    name, key_id, raw = match[1], match[2], exact64(match[3])
    if len(raw) != 33 or raw[0] != 1 or hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != key_id:
        raise Bad("no Ed25519 verifier key, or altered")
    return (name, key_id, raw[1:])

def read_keys(path):
    lines = [line.strip() for line in open(path, encoding="utf-8", newline="").read().split("\n")]
    return [parse_key(line) for line in lines if line and not line.startswith("#")]

def open_note(note, keys):
    """The text of a note and those of `keys` that signed it."""
    text, empty, rest = note.rpartition("\n\n")
    if not empty or not rest.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", note): raise Bad("no signed note")
    text, signed_by, lines = text + "\n", [], rest[:-1].split("\n")
    if len(set(lines)) < len(lines): raise Bad("a signature line stands there twice")
    for line in lines:
        match = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
        if not match: raise Bad("no signature line")
        raw = exact64(match[2])
        for key in keys:
            if key[0] != match[1] or key[1] != raw[:4].hex(): continue
            if not is_signed(key[2], text.encode(), raw[4:]): raise Bad("a signature does not fit")
            signed_by.append(key)
    return text, signed_by

def parse_checkpoint(text):
    lines = text.split("\n")
    if len(lines) < 4 or "" in lines[:-1] or not re.fullmatch(r"0|[1-9]\d{0,15}", lines[1]): raise Bad("no checkpoint")
    root = exact64(lines[2])
    if len(root) != 32: raise Bad("no root")
    return lines[0], int(lines[1]), root

def open_checkpoint(note, keys):
    text, signed_by = open_note(note, keys)
    origin, size, root = parse_checkpoint(text)
    if not any(name == origin for name, _, _ in signed_by): raise Bad("not signed by a trusted key of this log")
    return origin, size, root

# --- frames and payloads ---------------------------------------------------------------------------------------------
CRC = []
for value in range(256):
    for _ in range(8): value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    CRC.append(value)

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data: crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF

def frame_at(data, at):
    """(sequence, type, flags, entry, end), or None where no whole frame stands."""
    if at + 18 > len(data): return None
    length, crc, sequence, kind, flags = struct.unpack_from("<IIQBB", data, at)
    end = at + 18 + length
    if length > 65000 or end > len(data) or sequence >= 2**53 or kind == 0: return None
    return (sequence, kind, flags, data[at + 8:end], end) if crc32c(data[at + 8:end]) == crc else None

def unpack(data, at=0):
    """One msgpack value, and where it ends."""
    head = data[at]
    at += 1
    def number(form): return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    def items(count, at):
        values = []
        for _ in range(count):
            value, at = unpack(data, at)
            values.append(value)
        return values, at
    def pairs(count, at):
        flat, at = items(2 * count, at)
        return dict(zip(flat[::2], flat[1::2])), at
    def text(count, at): return data[at:at + count].decode(), at + count
    if head < 0x80: return head, at
    if head < 0x90: return pairs(head & 15, at)
    if head < 0xA0: return items(head & 15, at)
    if head < 0xC0: return text(head & 31, at)
    if head >= 0xE0: return head - 256, at
    if head in (0xC0, 0xC2, 0xC3): return {0xC0: None, 0xC2: False, 0xC3: True}[head], at
    if 0xCA <= head <= 0xD3: return number([">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"][head - 0xCA])
    sizes = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I",
             0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
    if head not in sizes: raise Bad("a type that is not used here")
    count, at = number(sizes[head])
    if head <= 0xC6: return data[at:at + count], at + count
    return (text if head <= 0xDB else items if head <= 0xDD else pairs)(count, at)

def fields_of(payload):
    try: record = unpack(payload)[0][2]
    except (Bad, LookupError, TypeError, ValueError, struct.error): return {}
    return record if isinstance(record, dict) else {}

# --- completeness, section 11 ----------------------------------------------------------------------------------------
class Completeness:
    def __init__(self, is_from_start):
        self.is_from_start, self.lanes, self.holes, self.through, self.root = is_from_start, {}, [], 0, ""

    def see(self, kind, payload, is_covered):
        if payload[:3] != b"\x93\xc4\x10": return
        lane, start = int.from_bytes(payload[3:5], "little"), int.from_bytes(payload[5:11], "little")
        sequence = int.from_bytes(payload[11:17], "little")
        last = self.lanes.get((start, lane), 0 if self.is_from_start else sequence - 1)
        if sequence > last:
            if sequence > last + 1: self.holes.append((start, lane, last + 1, sequence - 1))
            self.lanes[start, lane] = sequence
        fields = fields_of(payload) if kind in (7, 8, 21) else {}
        number = lambda name: fields[name] if isinstance(fields.get(name), (int, float)) else 0
        if kind == 7:
            self.holes = [hole for hole in self.holes if hole[:2] != (start, fields.get("lane"))
                          or hole[2] < number("from") or hole[3] > number("to")]
        elif kind == 8:
            left, kept = number("missing"), []
            for hole in self.holes:
                length = hole[3] - hole[2] + 1
                if hole[0] >= start or length > left: kept.append(hole)
                else: left -= length
            self.holes = kept
        elif kind == 21 and is_covered and number("through") >= self.through:
            self.through, self.root = number("through"), fields.get("root", "")

# --- the log ---------------------------------------------------------------------------------------------------------
def hashed(kind, data): return hashlib.sha256(bytes([kind]) + data).digest()

class Log:
    def __init__(self, folder, pinned, witness, begin=0):
        self.begin = begin
        self.folder, self.pinned, self.witness, self.bad = folder, pinned, witness, []
        self.leaves, self.expected, self.records, self.is_doubtful = {}, 0, 0, False
        self.origin, self.size, self.root, self.trusted, self.is_begun = "", 0, b"", [], False
        self.first, self.completeness = 0, Completeness(True)

    def told(self, sequence, problem): self.bad.append((sequence, problem))
    def path(self, *names): return os.path.join(self.folder, *names)
    def read(self, name):
        with open(self.path(name), "rb") as file: return file.read()

    def check(self):
        try:
            self.origin = self.read("origin").decode().rstrip()
            if not re.fullmatch(r"modelgate/[0-9a-f]{16}/[1-9]\d{0,8}", self.origin): raise Bad("no origin")
            self.trusted = list(self.pinned or read_keys(self.path("keys/log.vkey")))
            note = self.read("checkpoint").decode()
            _, self.size, self.root = parse_checkpoint(open_note(note, [])[0])
        except (Bad, OSError, ValueError) as error:
            self.told(None, str(error))
            return
        folder = self.path("segments")
        names = sorted(name for name in (os.listdir(folder) if os.path.isdir(folder) else []) if re.fullmatch(r"\d{12,16}\.(seg|sgz)", name))
        names = [name for name in names if int(name[:-4]) >= self.begin]
        first = self.first = int(names[0][:-4]) if names else 0
        self.expected, self.floor = first, first - first % 256
        self.completeness = Completeness(first == 0)
        for name in names: self.segment(name, name == names[-1])
        self.ends()
        self.tree()
        try:
            if open_checkpoint(note, self.trusted)[0] != self.origin: raise Bad("the checkpoint is of another log")
        except Bad as error: self.told(None, str(error))
        if self.witness is not None: self.compare()

    def segment(self, name, is_last):
        if name.endswith(".sgz"): return self.told(int(name[:-4]), "sealed segments are not read here")
        data, first = self.read(f"segments/{name}"), int(name[:-4])
        if first != self.expected: self.hole(first, f"{name} begins somewhere else")
        head = data[:128]
        if len(head) < 128:
            if not is_last or self.expected < self.size: self.told(first, "the header is cut short")
            return
        if head[:8] != b"mgateseg" or struct.unpack_from("<HH", head, 8) != (2, 128) \
                or crc32c(head[:124]) != struct.unpack_from("<I", head, 124)[0] \
                or struct.unpack_from("<Q", head, 32)[0] != first \
                or head[60:92] != hashlib.sha256(self.origin.encode()).digest(): self.told(first, "the header is wrong")
        elif not self.is_doubtful and head[92:124] != self.root_of(0, first):
            self.told(first, "written behind other records")
        at = 128
        while at < len(data):
            frame, begin = frame_at(data, at), at
            while frame is None or frame[0] < self.expected:
                at += 1
                if at >= len(data): break
                frame = frame_at(data, at)
            if at >= len(data):
                if not is_last or self.expected < self.size: self.told(self.expected, f"damage in {name} at {begin}")
                return
            if frame[0] > self.expected: self.hole(frame[0], f"records are missing in {name} at {begin}")
            elif at > begin: self.told(frame[0], f"bytes that are no record in {name} at {begin}")
            at = frame[4]
            self.record(frame)

    def hole(self, sequence, problem):
        self.told(min(self.expected, sequence), problem)
        self.is_doubtful = True
        self.expected = sequence

    def record(self, frame):
        sequence, kind, flags, entry, _ = frame
        if flags: self.told(sequence, "a record with flags")
        self.leaves[sequence] = hashed(0, entry)
        self.expected, self.records = sequence + 1, self.records + 1
        if sequence == 0 and kind != 20: self.told(0, "a log begins with a key record")
        if kind == 20:
            try: self.key(fields_of(entry[10:]), sequence)
            except Bad as error: self.told(sequence, str(error))
        self.completeness.see(kind, entry[10:], sequence < self.size)

    def key(self, fields, sequence):
        old, new = fields.get("from"), parse_key(str(fields.get("to")))
        before = parse_key(old) if old else None
        signers = [key for key in (before, new) if key]
        text, signed_by = open_note(str(fields.get("note")), signers)
        says = f"modelgate key\n{self.origin}\n{old or '-'}\n{fields['to']}\n{sequence}\n"
        if fields.get("origin") != self.origin or text != says or len(signed_by) < len(signers):
            raise Bad("a key record that is not signed by its keys")
        if before is None:
            if sequence != 0: raise Bad("a first key in the middle")
            if not self.pinned: self.trusted = [new]
            self.is_begun = True
        elif before in self.trusted: self.trusted.append(new)
        elif self.is_begun and not self.pinned: raise Bad("nobody introduced the key that hands over")

    def tile(self, level, index):
        """Its hashes, as many as a tree of the checkpoint's size has; a wider tile will do."""
        width = min(256, self.size // 256**level - index * 256)
        groups = [f"{index % 1000:03}"]
        while index >= 1000:
            index //= 1000
            groups.insert(0, f"x{index % 1000:03}")
        path = "/".join(["tile", str(level)] + groups)
        for wide in range(width, 257):
            try: data = self.read(path if wide == 256 else f"{path}.p/{wide}")
            except OSError: continue
            if len(data) == 32 * wide: return [data[32 * at:32 * at + 32] for at in range(width)]
        raise Bad(f"{path} is missing or of another length")

    def root_of(self, low, high):
        """Root of the tree of records low to high - 1, those before the first segment out of tiles; None: not known."""
        width = high - low
        if width == 0: return hashlib.sha256(b"").digest()
        try:
            if width == 1: return self.leaves[low] if low >= self.first else self.tile(0, low // 256)[low % 256]
            level = (width.bit_length() - 1) // 8
            if high <= self.floor and width == 256**level: return self.tile(level, low // width // 256)[low // width % 256]
        except (Bad, LookupError): return None
        middle = low + 2 ** ((width - 1).bit_length() - 1)
        left, right = self.root_of(low, middle), self.root_of(middle, high)
        return None if left is None or right is None else hashed(1, left + right)

    def tree(self):
        level, count = 0, self.size
        while count > 0:
            for index in range(self.floor // 256 ** (level + 1), (count + 255) // 256):
                begin = max(index * 256 ** (level + 1), self.first if level == 0 else 0)
                try: hashes = self.tile(level, index)
                except Bad as error:
                    self.told(begin, str(error))
                    continue
                for at, found in enumerate(hashes):
                    low = (index * 256 + at) * 256**level
                    own = self.root_of(low, low + 256**level)
                    if own is not None and own != found and (level == 0 or not self.is_doubtful):
                        self.told(low, f"a hash of level {level} is not that of the records")
                        self.is_doubtful = True
            level, count = level + 1, count // 256
        if not self.bad and self.root_of(0, self.size) != self.root: self.told(None, "the checkpoint has another root")

    def ends(self):
        first, pruned = self.first, self.completeness
        root = self.root_of(0, first)
        if first > 0 and pruned.through != first: self.told(0, "the beginning is missing, and no prune record says so")
        elif first > 0 and (root is None or base64.b64encode(root).decode() != pruned.root): self.told(0, "pruned others")
        if self.expected < self.size: self.told(self.expected, "signed records are missing at the end")

    def compare(self):
        try: origin, size, root = open_checkpoint(self.witness, self.trusted)
        except Bad as error: return self.told(None, f"the witness: {error}")
        if origin != self.origin: self.told(None, "the witness saw another log")
        elif size > self.size: self.told(None, "rolled back")
        elif self.root_of(0, size) not in (None, root): self.told(None, "forked")

    def verdict(self):
        self.check()
        through = self.completeness.through
        if self.bad and through > self.first: return Log(self.folder, self.pinned, self.witness, through).verdict()
        undeclared = sum(last - first + 1 for _, _, first, last in self.completeness.holes)
        first = min(self.bad, key=lambda place: (place[0] is None, place[0] or 0), default=(None, ""))
        return {"isWhole": not self.bad, "isComplete": undeclared == 0, "records": self.records, "signed": self.size,
                "undeclared": undeclared, "firstBad": first[0], "problem": first[1]}

# --- a proof without the log, section 11 -----------------------------------------------------------------------------
def check_proof(text, keys):
    head, empty, note = text.partition("\n\n")
    lines = head.split("\n")
    if not empty or lines.pop(0) != "c2sp.org/tlog-proof@v1": raise Bad("no proof")
    if not lines or not lines[0].startswith("extra "): raise Bad("the proof does not hold its record")
    entry = exact64(lines.pop(0)[6:])
    match = re.fullmatch(r"index (0|[1-9]\d{0,15})", lines.pop(0) if lines else "")
    if not match: raise Bad("no index")
    index, hashes = int(match[1]), [exact64(line) for line in lines]
    origin, size, root = open_checkpoint(note, keys)
    if len(entry) < 10 or int.from_bytes(entry[:8], "little") != index: raise Bad("the record is not of this index")
    if index >= size or any(len(each) != 32 for each in hashes): raise Bad("no such leaf")
    at, last, found = index, size - 1, hashed(0, entry)
    for each in hashes:
        if last == 0: raise Bad("too many hashes")
        if at % 2 or at == last:
            found = hashed(1, each + found)
            while at % 2 == 0 and at: at, last = at // 2, last // 2
        else: found = hashed(1, found + each)
        at, last = at // 2, last // 2
    if last or found != root: raise Bad("the hashes do not lead to the root that was signed")
    return {"isProven": True, "sequence": index, "leaf": hashed(0, entry).hex(), "origin": origin, "size": size}

def main(words):
    options, folders = {}, []
    while words:
        word = words.pop(0)
        if word in ("--key", "--proof", "--witness") and words: options[word] = words.pop(0)
        else: folders.append(word)
    is_proof = "--proof" in options and "--key" in options and not folders
    if not is_proof and (len(folders) != 1 or "--proof" in options or folders[0].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 2
    text_of = lambda path: open(path, encoding="utf-8", newline="").read()
    try:
        pinned = read_keys(options["--key"]) if "--key" in options else None
        text = text_of(options["--proof"]) if is_proof else None
        witness = text_of(options["--witness"]) if "--witness" in options else None
    except (Bad, OSError, ValueError) as error:
        print(f"a file that was given cannot be used: {error}", file=sys.stderr)
        return 2
    if is_proof:
        try: verdict = check_proof(text, pinned)
        except Bad as error: verdict = {"isProven": False, "problem": str(error)}
        print(json.dumps(verdict))
        return 0 if verdict["isProven"] else 1
    verdict = Log(folders[0], pinned, witness).verdict()
    print(json.dumps(verdict))
    return 0 if verdict["isWhole"] and verdict["isComplete"] else 1

if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
