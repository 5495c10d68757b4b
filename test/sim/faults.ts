import { pick, shuffle, type Random } from '../../src/util/random.ts'
import type { SimHost } from './host.ts'
import { CALM } from './network.ts'
import type { World } from './world.ts'

/** A wall clock is set wrong by up to so much. */
const DAY_MS = 86_400_000

/** Draws faults, one after another, and takes back what is still amiss in the end. */
export class Faults {
  readonly #world: World
  readonly #random: Random
  readonly #sick = new Set<SimHost>()
  #isOver = false
  /** Chance that a start fails, while there are faults. */
  startFailure = 0

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  /** True when no task of the host answers its checks. */
  isSick(host: SimHost): boolean {
    return this.#sick.has(host)
  }

  /** Lets something go wrong, with a daemon that runs if there is one. */
  strike(): void {
    const random = this.#random
    const victim = pick(this.#world.up, random)
    if (victim === undefined) return
    const faults: readonly (readonly [weight: number, fault: (victim: SimHost) => void])[] = [
      [14, host => this.#kill(host)],
      [8, host => this.#cutPower(host)],
      [5, host => this.#terminate(host)],
      [13, () => this.#split()],
      [7, host => this.#cutOneWay(host)],
      [7, host => this.#flipFlop(host)],
      [6, host => this.#spoilLink(host)],
      [9, () => this.#storm()],
      [9, host => host.freeze(random() < 0.7 ? 1_000 + 7_000 * random() : 30_000 * random())],
      [6, host => host.stall(5_000 * random())],
      [4, host => host.stallLiveness(3_000 * random())],
      [4, host => this.#setClock(host)],
      [5, host => this.#fillDisk(host)],
      [5, () => this.#failStarts()],
      [6, host => this.#sicken(host)],
      [4, host => this.#failStops(host)],
      [5, host => this.#crashTask(host)],
      [3, host => this.#replace(host)],
    ]
    let dice = random() * faults.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, fault] of faults) {
      dice -= weight
      if (dice >= 0) continue
      fault(victim)
      return
    }
  }

  /** Takes back every fault; only what was destroyed stays so. */
  end(): void {
    const world = this.#world
    this.#isOver = true
    this.startFailure = 0
    this.#sick.clear()
    world.story.add(world.nowMs, 'world', '== all faults end')
    world.network.heal()
    world.network.clear()
    for (const host of world.hosts) {
      host.disk.isFull = false
      host.tasks.stopFailure = 0
      host.thaw()
      if (host.state === 'stopped' || host.state === 'off') world.restart(host)
    }
  }

  // --- Machines -----------------------------------------------------------

  #kill(host: SimHost): void {
    host.crash()
    this.#restartAfter(host, pick([200, 2_000, 12_000], this.#random)!)
  }

  #cutPower(host: SimHost): void {
    host.powerOff()
    this.#restartAfter(host, 1_000 + 15_000 * this.#random())
  }

  #terminate(host: SimHost): void {
    host.terminate()
    this.#restartAfter(host, 1_000 + 12_000 * this.#random())
  }

  /** One machine at most is lost for good in a life; after that others join. */
  #replace(host: SimHost): void {
    const { hosts } = this.#world
    if (hosts.every(({ state }) => state !== 'gone')) host.powerOff(true)
    else if (hosts.length < 9) this.#world.join(host)
  }

  #setClock(host: SimHost): void {
    const byMs = (this.#random() < 0.5 ? 10_000 : DAY_MS) * 2 * (this.#random() - 0.5)
    host.clock.jump(byMs)
    this.#note(host, `its wall clock is set by ${Math.round(byMs / 1000)} s`)
    // A daemon looks at it when it starts.
    if (this.#random() < 0.5) this.#kill(host)
  }

  #fillDisk(host: SimHost): void {
    host.disk.isFull = true
    this.#note(host, 'the disk is full')
    this.#after(6_000, () => (host.disk.isFull = false))
  }

  #failStarts(): void {
    this.startFailure = 0.5
    this.#after(8_000, () => (this.startFailure = 0))
  }

  #failStops(host: SimHost): void {
    host.tasks.stopFailure = 0.5
    this.#after(8_000, () => (host.tasks.stopFailure = 0))
  }

  #sicken(host: SimHost): void {
    this.#sick.add(host)
    this.#note(host, 'its tasks answer no checks')
    this.#after(8_000, () => void this.#sick.delete(host))
  }

  #crashTask(host: SimHost): void {
    const task = pick([...host.tasks.live.keys()], this.#random)
    if (task !== undefined && !host.isFrozen) host.tasks.crash(task, 1)
  }

  #restartAfter(host: SimHost, ms: number): void {
    this.#world.after(ms, () => {
      if (host.state === 'stopped' || host.state === 'off') this.#world.restart(host)
      // It still says good-bye, which takes as long as it stands still.
      else if (host.isLeaving) this.#restartAfter(host, 1_000)
    })
  }

  // --- Links --------------------------------------------------------------

  #split(): void {
    const hosts = shuffle(this.#world.hosts, this.#random)
    const at = 1 + Math.floor(this.#random() * (hosts.length - 1))
    const [here, there] = [hosts.slice(0, at), hosts.slice(at)]
    this.#world.network.split(linksOf(here), linksOf(there))
    this.#tell(`== split: ${namesOf(here)} from ${namesOf(there)}`)
    this.#healAfter(12_000)
  }

  #cutOneWay(from: SimHost): void {
    const to = pick(this.#world.hosts, this.#random)!
    if (to === from) return
    this.#world.network.cut(from.link, to.link)
    this.#note(from, `nothing passes from here to ${to.name}`)
    this.#healAfter(10_000)
  }

  /** A link, or all of a machine's, that comes and goes. */
  #flipFlop(one: SimHost): void {
    const { network, nowMs } = this.#world
    const random = this.#random
    const others = this.#world.hosts.filter(host => host !== one)
    const far = random() < 0.5 ? others : others.slice(0, 1)
    const untilMs = nowMs + 3_000 + 12_000 * random()
    const [upMs, downMs] = [200 + 3_000 * random(), 200 + 3_000 * random()]
    this.#note(one, `its links to ${namesOf(far)} come and go`)
    const flip = (isUp: boolean): void => {
      const isLast = this.#isOver || this.#world.nowMs >= untilMs
      for (const other of far) {
        for (const [from, to] of bothWays(one, other)) {
          if (isUp || isLast) network.mend(from.link, to.link)
          else network.cut(from.link, to.link)
        }
      }
      if (!isLast) this.#world.after((isUp ? upMs : downMs) * (0.5 + random()), () => flip(!isUp))
    }
    flip(false)
  }

  /** A link that loses much, or is slow: both ways, or one way only. */
  #spoilLink(one: SimHost): void {
    const other = pick(this.#world.hosts, this.#random)!
    if (other === one) return
    const ways = this.#random() < 0.5 ? bothWays(one, other) : [[one, other] as const]
    const loss = this.#random()
    const slowMs = 300 * this.#random() * this.#random()
    for (const [from, to] of ways) {
      this.#world.network.setLink(from.link, to.link, { loss, delayMs: [slowMs / 2, slowMs + 2] })
    }
    const text = `loses ${Math.round(100 * loss)} % and takes ${Math.round(slowMs)} ms`
    this.#note(one, `the link to ${other.name} ${text}${ways.length === 1 ? ', one way' : ''}`)
    this.#after(12_000, () => {
      for (const [from, to] of ways) this.#world.network.setLink(from.link, to.link, undefined)
    })
  }

  #storm(): void {
    const { network } = this.#world
    const isSlow = this.#random() < 0.3
    const { weather } = network
    network.weather = {
      loss: 0.3 * this.#random(),
      duplicate: 0.2 * this.#random(),
      delayMs: isSlow ? [20, 400] : [0.5, 40],
    }
    this.#tell('== a storm begins')
    this.#after(8_000, () => (network.weather = this.#isOver ? CALM : weather))
  }

  #healAfter(mostMs: number): void {
    this.#after(mostMs, () => {
      this.#world.network.heal()
      this.#tell('== links heal')
    })
  }

  // --- Words --------------------------------------------------------------

  #after(mostMs: number, act: () => void): void {
    this.#world.after(mostMs * this.#random(), act)
  }

  #note({ name }: SimHost, text: string): void {
    this.#world.story.add(this.#world.nowMs, name, `== ${text}`)
  }

  #tell(text: string): void {
    this.#world.story.add(this.#world.nowMs, 'world', text)
  }
}

function bothWays(one: SimHost, other: SimHost): (readonly [SimHost, SimHost])[] {
  return [
    [one, other],
    [other, one],
  ]
}

function linksOf(hosts: readonly SimHost[]): SimHost['link'][] {
  return hosts.map(({ link }) => link)
}

function namesOf(hosts: readonly SimHost[]): string {
  return hosts.map(({ name }) => name).join()
}
