import { CLASS_CH, TYPE } from './records.ts'

/**
 * What a server says of itself in the class CH, by name, each as a TXT record
 * whose owner is the question's name: who it is (RFC 4892), and the version as
 * BIND began to tell it.
 *
 * @param identity Nothing: nothing is told.
 */
export function chaosTexts(
  identity: { readonly name: string; readonly version: string } | undefined,
): ReadonlyMap<string, Buffer> {
  if (identity === undefined) return new Map()
  const [name, version] = [textRecord(identity.name), textRecord(identity.version)]
  return new Map([
    ['id.server', name],
    ['hostname.bind', name],
    ['version.server', version],
    ['version.bind', version],
  ])
}

function textRecord(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1').subarray(0, 255)
  const fixed = Buffer.alloc(13)
  fixed.writeUInt16BE(0xc00c, 0) // Points at the question's name.
  fixed.writeUInt16BE(TYPE.TXT, 2)
  fixed.writeUInt16BE(CLASS_CH, 4)
  fixed.writeUInt16BE(bytes.length + 1, 10) // Behind a TTL of zero.
  fixed[12] = bytes.length
  return Buffer.concat([fixed, bytes])
}
