import { InvalidArgumentError } from 'commander'

/** Reads a whole number that is not negative. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** Reads a port, or `none`, which is 0. */
export function parsePortOrNone(text: string): number {
  return text === 'none' ? 0 : parseCount(text)
}

/** Gathers `k=v` options into a map. */
export function parsePair(
  text: string,
  before: Record<string, string> = {},
): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === undefined || value === undefined)
    throw new InvalidArgumentError('It must be key=value.')
  return { ...before, [key]: value }
}

/** Gathers what is given several times into a list. */
export function gather(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}
