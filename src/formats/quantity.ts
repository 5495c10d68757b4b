const SCALE: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

const QUANTITY =
  /^\+?(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})(?:(n|u|m|k|[MGTPE]i?|Ki)|[eE]([+-]?\d{1,2}))?$/

/** What a quantity must look like, for messages to people. */
export const QUANTITY_RULE = 'a quantity such as 100m, 0.5, 128Mi or 1G'

/** Reads a Kubernetes resource quantity (`100m` is 0.1, `1Ki` is 1024); nothing for what is none, or is below 0. */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value === 'number') return value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const [, digits, suffix = '', exponent] = QUANTITY.exec(value) ?? []
  if (digits === undefined) return undefined
  return Number(digits) * (exponent === undefined ? SCALE[suffix]! : 10 ** Number(exponent))
}
