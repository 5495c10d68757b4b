import { decode, encode } from 'cborg'

/**
 * Encodes plain data as deterministic CBOR (RFC 8949, section 4.2.1): equal data
 * gives equal bytes on every machine, so the bytes can be hashed and signed.
 * Keys whose value is undefined are left out, at any depth.
 */
export function toBytes(value: unknown): Uint8Array {
  return encode(value, { ignoreUndefinedProperties: true })
}

/**
 * Decodes what {@link toBytes} encoded. The result is untrusted: parse it.
 *
 * @throws {Error} When the bytes are not one whole CBOR value.
 */
export function fromBytes(bytes: Uint8Array): unknown {
  return decode(bytes)
}
