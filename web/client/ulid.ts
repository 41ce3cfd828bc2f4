const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32. */
export function ulid(unixMs: number = Date.now()): string {
  let time = "";
  for (let at = 0, rest = unixMs; at < 10; at++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time;
  }
  const random = crypto.getRandomValues(new Uint8Array(16));
  return time + Array.from(random, (byte) => ALPHABET.charAt(byte % 32)).join("");
}
