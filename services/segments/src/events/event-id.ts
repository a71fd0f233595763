// Converts event ids.

/** The engine's id of an event: the UUID in base64url. */
export function eventIdText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("base64url");
}
