// Ids that depend on the call that draws them, and on nothing that ran before the call.
import { type IdSource, uuidV7 } from "@muster/core";

/** Where the three numbers stand in an id's random part. */
const TAIL_BYTES = 10;
const SOURCE_AT = 3;
const CALL_AT = 4;
const COUNT_AT = 6;
/** Bytes of an instant before the random part. */
const INSTANT_BYTES = 6;

/** UUIDv7 whose random part holds the number of the source, of the call and of the id within the call. */
export class ScriptedIds implements IdSource {
  readonly #source: number;
  #call = 0;
  #count = 0;

  constructor(source: number) {
    this.#source = source;
  }

  beginCall(call: number): void {
    this.#call = call;
    this.#count = 0;
  }

  next<Id extends string>(nowMs: number): Id {
    this.#count += 1;
    const tail = Buffer.alloc(TAIL_BYTES);
    tail.writeUInt8(this.#source, SOURCE_AT);
    tail.writeUInt16BE(this.#call, CALL_AT);
    tail.writeUInt32BE(this.#count, COUNT_AT);
    return uuidV7(nowMs, tail) as Id;
  }
}

/** The numbers in an id, given as 32 hexadecimal digits; any numbers if the id comes from elsewhere. */
export function numbersOf(hex: string): { source: number; call: number; count: number } {
  const tail = Buffer.from(hex, "hex").subarray(INSTANT_BYTES);
  return {
    source: tail.readUInt8(SOURCE_AT),
    call: tail.readUInt16BE(CALL_AT),
    count: tail.readUInt32BE(COUNT_AT),
  };
}
