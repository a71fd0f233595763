// The data folder of the embedded mode: who may use it, and the small files in it.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { StartError } from "./start-error.ts";

const SECRET_BYTES = 32;

export class DataFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Made if it is missing. */
  static async open(path: string): Promise<DataFolder> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return DataFolder.at(path);
  }

  /** For who only reads: it may not be there. */
  static at(path: string): DataFolder {
    return new DataFolder(path);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The installation's key, made at the first start. */
  async secret(): Promise<Uint8Array> {
    const stored = await this.storedSecret();
    if (stored !== undefined) return stored;
    const made = randomBytes(SECRET_BYTES);
    await this.write("secret", made.toString("base64"));
    return made;
  }

  /** The installation's key, if it was ever started. */
  async storedSecret(): Promise<Uint8Array | undefined> {
    const stored = await this.read("secret");
    if (stored === undefined) return undefined;
    const secret = Buffer.from(stored, "base64");
    if (secret.length >= SECRET_BYTES) return secret;
    throw new StartError(`${this.file("secret")} is damaged: it holds ${secret.length} bytes.`);
  }

  /** The file's only line, or undefined if there is no such file. */
  async read(name: string): Promise<string | undefined> {
    try {
      return (await readFile(this.file(name), "utf8")).trim() || undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Readable by its owner alone, and whole or not there at all, whatever happens meanwhile. */
  async write(name: string, line: string): Promise<void> {
    const path = this.file(name);
    const draft = `${path}.${process.pid}.new`;
    const handle = await open(draft, "w", 0o600);
    try {
      await handle.writeFile(`${line}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(draft, 0o600);
    await rename(draft, path);
  }

  async remove(name: string): Promise<void> {
    await rm(this.file(name), { force: true });
  }
}
