// Reads the entries of a ZIP without compression by its central directory.

const DIRECTORY_ENTRY = 0x02014b50;
const END = 0x06054b50;
const END_BYTES = 22;
const STORED = 0;

/** The files by name. Throws for a ZIP that is cut or compressed. */
export function zipEntries(zip: Buffer): Map<string, Buffer> {
  const end = zip.length - END_BYTES;
  if (zip.readUInt32LE(end) !== END) throw new Error("the ZIP has no end");
  const entries = new Map<string, Buffer>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (zip.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error("the directory of the ZIP is broken");
    if (zip.readUInt16LE(at + 10) !== STORED) throw new Error("the ZIP is compressed");
    const size = zip.readUInt32LE(at + 24);
    const nameBytes = zip.readUInt16LE(at + 28);
    const extraBytes = zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    const header = zip.readUInt32LE(at + 42);
    const name = zip.toString("utf8", at + 46, at + 46 + nameBytes);
    const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
    entries.set(name, zip.subarray(start, start + size));
    at += 46 + nameBytes + extraBytes;
  }
  return entries;
}
