import type { LogChunk } from './runtime.ts'

/** Takes bytes of the engine's stream as they come, and gives what they hold. */
export type Demux = (bytes: Uint8Array) => LogChunk[]

/** Bytes of a frame's header: the stream (0–2), three zeros, the length of the payload as big-endian. */
const HEADER_BYTES = 8

/**
 * Takes apart the stream in which the Docker engine sends stdout and stderr as frames
 * (Engine API, "ContainerAttach: Stream format"). A payload is passed on as it comes,
 * however long its frame is, so no frame needs room. A terminal (`tty`) has no frames:
 * all of it is stdout.
 */
export function createDemux({ tty }: { readonly tty: boolean }): Demux {
  if (tty) return data => (data.length === 0 ? [] : [{ stream: 'stdout', data }])
  const header = new Uint8Array(HEADER_BYTES)
  let headerFilled = 0
  let payloadLeft = 0

  return bytes => {
    const chunks: LogChunk[] = []
    let at = 0
    while (at < bytes.length) {
      if (payloadLeft === 0) {
        const part = bytes.subarray(at, at + HEADER_BYTES - headerFilled)
        header.set(part, headerFilled)
        headerFilled += part.length
        at += part.length
        if (headerFilled < HEADER_BYTES) break
        headerFilled = 0
        payloadLeft = new DataView(header.buffer).getUint32(4)
        continue
      }
      const data = bytes.subarray(at, at + payloadLeft)
      at += data.length
      payloadLeft -= data.length
      chunks.push({ stream: header[0] === 2 ? 'stderr' : 'stdout', data })
    }
    return chunks
  }
}
