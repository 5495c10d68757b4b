import t from 'tap'
import { createSipHash } from '../../src/dns/siphash.ts'

const key = Uint8Array.from({ length: 16 }, (_, index) => index)

// The reference implementation's vectors: the hash of 00 01 02 …, by length.
const vectors: readonly (readonly [length: number, hash: string])[] = [
  [0, '310e0edd47db6f72'],
  [1, 'fd67dc93c539f874'],
  [2, '5a4fa9d909806c0d'],
  [3, '2d7efbd796666785'],
  [4, 'b7877127e09427cf'],
  [5, '8da699cd64557618'],
  // Appendix A of the paper.
  [15, 'e545be4961ca29a1'],
  [63, '724506eb4c328a95'],
]

t.test('SipHash-2-4 gives the hashes of the reference', async t => {
  const sipHash = createSipHash(key)
  for (const [length, hash] of vectors) {
    const out = Buffer.alloc(12, 0xee)
    sipHash(
      Uint8Array.from({ length }, (_, index) => index),
      out,
      2,
    )
    t.equal(out.toString('hex'), `eeee${hash}eeee`, `${length} bytes`)
  }
})

t.test('another key gives another hash', async t => {
  const [one, other] = [Buffer.alloc(8), Buffer.alloc(8)]
  createSipHash(key)(Buffer.from('shoal'), one, 0)
  createSipHash(key.with(15, 0))(Buffer.from('shoal'), other, 0)
  t.notOk(one.equals(other))
})
