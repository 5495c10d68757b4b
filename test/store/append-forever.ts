/**
 * A daemon's disk work without the daemon: appends update after update and prints the
 * number of each that was acknowledged, until it is killed. Started by sqlite-store.test.ts.
 */

import { openStore } from '../../src/store/sqlite-store.ts'

const [dir = '', first = '0'] = process.argv.slice(2)
const store = await openStore({ dir })

process.stdout.write('open\n')
for (let next = Number(first); ; next += 3) {
  // Three at once, so that transactions of several updates are cut too.
  const numbers = [next, next + 1, next + 2]
  // oxlint-disable-next-line eslint/no-await-in-loop -- one after another is what is tested
  await Promise.all(numbers.map(number => store.appendUpdate(updateOf(number))))
  process.stdout.write(numbers.map(number => `${number}\n`).join(''))
  // oxlint-disable-next-line eslint/no-await-in-loop -- one after another is what is tested
  if (next % 20 === 0) await store.compact(Buffer.concat(store.readUpdates()))
}

/** Four bytes of number, and some weight, so that the log wraps around within a test. */
function updateOf(number: number): Uint8Array {
  const update = new Uint8Array(512)
  new DataView(update.buffer).setUint32(0, number)
  return update
}
