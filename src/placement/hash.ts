/**
 * Mixes 32 bits so that each bit of the input sways each bit of the output (the
 * finaliser of MurmurHash3). Integers only: the same on every machine.
 */
export function mix32(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** Hashes text to 32 bits (FNV-1a over UTF-16 code units, then mixed). Another `seed` is another, independent hash. */
export function hashText(text: string, seed = 0): number {
  let bits = 0x811c9dc5 ^ mix32(seed)
  for (let index = 0; index < text.length; index++) {
    bits = Math.imul(bits ^ text.charCodeAt(index), 0x01000193)
  }
  return mix32(bits)
}
