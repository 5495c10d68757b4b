/** Bytes of a key. */
export const SIPHASH_KEY_BYTES = 16

/**
 * Makes SipHash-2-4 under one key (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012), which the cookies of RFC 9018 are made of: a keyed
 * hash that is cheap for short input, and that nobody without the key can
 * predict. Node's crypto has none. It works on halves of 32 bits, because 64-bit
 * integers of JavaScript cost an allocation for each step.
 *
 * @param key 16 bytes.
 * @returns What writes the hash of `data`, 8 bytes, least significant first, into `out` at `at`.
 */
export function createSipHash(
  key: Uint8Array,
): (data: Uint8Array, out: Uint8Array, at: number) => void {
  const [k0Low, k0High, k1Low, k1High] = [0, 4, 8, 12].map(at => littleWord(key, at))
  // The four 64-bit words of the state, low half first.
  const state = new Int32Array(8)

  return (data, out, at) => {
    state[0] = k0Low! ^ 0x70736575
    state[1] = k0High! ^ 0x736f6d65
    state[2] = k1Low! ^ 0x6e646f6d
    state[3] = k1High! ^ 0x646f7261
    state[4] = k0Low! ^ 0x6e657261
    state[5] = k0High! ^ 0x6c796765
    state[6] = k1Low! ^ 0x79746573
    state[7] = k1High! ^ 0x74656462

    const whole = data.length & ~7
    for (let offset = 0; offset < whole; offset += 8) {
      absorb(state, littleWord(data, offset), littleWord(data, offset + 4))
    }
    // The last word: what is left over, and the length in its highest byte.
    let [low, high] = [0, data.length << 24]
    for (let index = whole; index < data.length; index++) {
      const shift = 8 * (index & 3)
      if (index - whole < 4) low |= data[index]! << shift
      else high |= data[index]! << shift
    }
    absorb(state, low, high)

    state[4] ^= 0xff
    for (let count = 0; count < 4; count++) round(state)
    low = state[0] ^ state[2] ^ state[4] ^ state[6]
    high = state[1] ^ state[3] ^ state[5] ^ state[7]
    for (let index = 0; index < 4; index++) {
      out[at + index] = (low >>> (8 * index)) & 0xff
      out[at + 4 + index] = (high >>> (8 * index)) & 0xff
    }
  }
}

function absorb(state: Int32Array, low: number, high: number): void {
  state[6]! ^= low
  state[7]! ^= high
  round(state)
  round(state)
  state[0]! ^= low
  state[1]! ^= high
}

/** SipRound: figure 2.1 of the paper. */
function round(state: Int32Array): void {
  add(state, 0, 2)
  rotateLeft(state, 2, 13)
  xor(state, 2, 0)
  rotateLeft(state, 0, 32)
  add(state, 4, 6)
  rotateLeft(state, 6, 16)
  xor(state, 6, 4)
  add(state, 0, 6)
  rotateLeft(state, 6, 21)
  xor(state, 6, 0)
  add(state, 4, 2)
  rotateLeft(state, 2, 17)
  xor(state, 2, 4)
  rotateLeft(state, 4, 32)
}

function add(state: Int32Array, to: number, from: number): void {
  const low = (state[to]! >>> 0) + (state[from]! >>> 0)
  state[to] = low
  state[to + 1] = state[to + 1]! + state[from + 1]! + (low > 0xffffffff ? 1 : 0)
}

function xor(state: Int32Array, to: number, from: number): void {
  state[to]! ^= state[from]!
  state[to + 1]! ^= state[from + 1]!
}

/** By 1 to 32 bits. */
function rotateLeft(state: Int32Array, at: number, bits: number): void {
  const [low, high] = [state[at]!, state[at + 1]!]
  state[at] = bits === 32 ? high : (low << bits) | (high >>> (32 - bits))
  state[at + 1] = bits === 32 ? low : (high << bits) | (low >>> (32 - bits))
}

function littleWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}
