/** What wanted to listen, and where. */
export interface Listening {
  /** What could not listen, for people: `gossip`. */
  readonly what: string
  readonly address: string
  readonly port: number
  /** The flag that chooses another port. */
  readonly flag: string
}

/**
 * Runs what listens, and turns the system's refusal into one line that says what to do.
 *
 * @throws {Error} With that line; any other error as it is.
 */
export async function explainListen<T>(listening: Listening, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const line = explain(listening, error instanceof Error ? error.message : String(error))
    throw line === undefined ? error : new Error(line, { cause: error })
  }
}

/** Libraries wrap the system's error in text of their own, so its code is looked for in that. */
function explain({ what, address, port, flag }: Listening, text: string): string | undefined {
  if (text.includes('EADDRINUSE')) {
    return `port ${port} of ${address} is taken, so ${what} cannot listen: choose another with ${flag}, or end what uses it`
  }
  if (text.includes('EADDRNOTAVAIL')) {
    return `this machine does not have the address ${address}: choose one that it has with --advertise`
  }
  if (text.includes('EACCES')) {
    return `port ${port} needs rights that this user does not have: choose one above 1023 with ${flag}`
  }
  return undefined
}
