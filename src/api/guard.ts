import { isIPv4 } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { sendError } from './errors.ts'

const LOCAL_NAMES = new Set(['localhost', '[::1]'])

/**
 * Refuses requests that a web page in a local browser could have sent: those with
 * another site's `Origin`, and those whose `Host` is no name of this machine's
 * loopback (DNS rebinding).
 */
export function guardBrowser(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    const { host, origin } = request.headers
    if (host !== undefined && !isLocalHost(host)) {
      await sendError(reply, 403, `this API answers to localhost only, not to the host ${host}`)
    } else if (origin !== undefined && !isLocalOrigin(origin, host)) {
      await sendError(reply, 403, `requests of the web page ${origin} are refused`)
    }
  })
}

function isLocalHost(host: string): boolean {
  // A name may end with a dot, which makes it absolute.
  const name = host
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase()
  return LOCAL_NAMES.has(name) || (isIPv4(name) && name.startsWith('127.'))
}

/** Only a page that this very API served may call it. */
function isLocalOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && origin === `http://${host}`
}
