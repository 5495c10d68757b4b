import { setImmediate as turn } from 'node:timers/promises'

/** A piece has so many characters, or comes from so many parts: some milliseconds of work. */
const PIECE_CHARACTERS = 64 * 1024
const PIECE_PARTS = 500

/**
 * Joins the parts of a long text to pieces, with a turn of the loop for everybody else after each: whoever reads all names of
 * a large cluster must not delay its node. What changes meanwhile may be in the text or not.
 */
export async function* printInTurns(parts: Iterable<string>): AsyncGenerator<string> {
  let piece = ''
  let count = 0
  for (const part of parts) {
    piece += part
    if (piece.length < PIECE_CHARACTERS && ++count < PIECE_PARTS) continue
    if (piece !== '') yield piece
    ;[piece, count] = ['', 0]
    // oxlint-disable-next-line no-await-in-loop -- the turn is the point
    await turn()
  }
  if (piece !== '') yield piece
}

/** JSON of a list, in parts. */
export function* printList(items: Iterable<unknown>): Generator<string> {
  let separator = '['
  for (const item of items) {
    yield separator + JSON.stringify(item)
    separator = ','
  }
  yield separator === '[' ? '[]' : ']'
}
