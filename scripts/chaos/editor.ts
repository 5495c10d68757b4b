import type { EditAnswer } from '../../src/api/shapes.ts'
import { createRandom, pick, type Random } from '../../src/util/random.ts'
import { askEngine } from '../testbed/engine-api.ts'
import { daemonSocket, tryApply } from '../testbed/host-daemon.ts'
import type { TestHost } from '../testbed/test-host.ts'
import { sideApp } from './apps.ts'
import { Ledger } from './ledger.ts'

/** An edit every so often, whoever may be asked: some are asked of hosts that cannot answer. */
const EDIT_MS = 250
/** An answer takes 2 s where no second disk is in reach. */
const ANSWER_MS = 6_000
/** Edits that wait for their answer; meanwhile no more are asked. */
const UNANSWERED_MAX = 12
/** Revisions that one app gets: fewer than a history keeps, so that none of them may be missing. */
const REVISIONS_PER_APP = 8

/**
 * Edits through random hosts without end: makes apps of no instances, removes some, gives others new
 * revisions, and scales an app that runs. Writes all down in a {@link Ledger}.
 */
export class Editor {
  readonly ledger = new Ledger()
  /** How long each acknowledged edit took, in milliseconds. */
  readonly tookMs: number[] = []
  readonly #hosts: readonly TestHost[]
  readonly #random: Random
  readonly #under = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #count = 0
  #revisions = 0

  constructor(hosts: readonly TestHost[], seed: number) {
    this.#hosts = hosts
    this.#random = createRandom(seed)
    this.#timer = setInterval(() => this.#edit(), EDIT_MS)
  }

  /** Asks for no more, and waits for the answers that are to come. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#under)
  }

  #edit(): void {
    if (this.#under.size >= UNANSWERED_MAX) return
    const host = pick(this.#hosts, this.#random)!
    const dice = this.#random()
    const edit = (): Promise<void> => {
      if (dice < 0.15) return this.#remove(host)
      if (dice < 0.4) return this.#revise(host)
      if (dice < 0.45) return this.#scaleSide(host)
      return this.#make(host)
    }
    const under = edit().finally(() => this.#under.delete(under))
    this.#under.add(under)
  }

  async #make(host: TestHost): Promise<void> {
    await this.#apply(host, `/ledger/entry-${this.#count++}`, {})
  }

  async #revise(host: TestHost): Promise<void> {
    const id = `/ledger/revised-${Math.floor(this.#revisions / REVISIONS_PER_APP)}`
    await this.#apply(host, id, { env: { EDIT: String(this.#revisions++) } })
  }

  async #apply(host: TestHost, id: string, fields: object): Promise<void> {
    const startedMs = performance.now()
    this.ledger.ask(id)
    // Apps of no instances: what is written is to survive, and no container is moved by it.
    const app = { id, image: 'hello_world:latest', instances: 0, ...fields }
    const answer = await tryApply(host, [app], { timeoutMs: ANSWER_MS })
    if (answer?.stored === undefined) return
    this.tookMs.push(performance.now() - startedMs)
    const revision = answer.apps[0]?.revision
    const isRevised = revision !== undefined && 'env' in fields
    const { onlyHere } = answer.stored
    this.ledger.acknowledge(id, { onlyHere, ...(isRevised && { revision }) })
  }

  async #remove(host: TestHost): Promise<void> {
    const entries = this.ledger.removable().filter(id => id.startsWith('/ledger/entry-'))
    const id = pick(entries, this.#random)
    if (id === undefined) return await this.#make(host)
    const startedMs = performance.now()
    this.ledger.askRemoval(id)
    const path = `/v1/app?app=${encodeURIComponent(id)}`
    const asked = { method: 'DELETE', path, timeoutMs: ANSWER_MS } as const
    // A host that has not heard of it yet says 404; one that is down says nothing.
    const answer = await askEngine(daemonSocket(host), asked).catch(() => undefined)
    if (answer?.status !== 200) return
    this.tookMs.push(performance.now() - startedMs)
    const { stored } = JSON.parse(answer.body) as EditAnswer
    this.ledger.acknowledgeRemoval(id, { onlyHere: stored.onlyHere })
  }

  async #scaleSide(host: TestHost): Promise<void> {
    const body = JSON.stringify({ app: sideApp.id, instances: 1 + Math.floor(this.#random() * 4) })
    const asked = { method: 'POST', path: '/v1/scale', body, timeoutMs: ANSWER_MS } as const
    // What becomes of it does not matter: at the end as many run as the document says.
    await askEngine(daemonSocket(host), asked).catch(() => undefined)
  }
}
