/** Knobs of failure detection. Every duration is in milliseconds. */
export interface SwimOptions {
  /**
   * A node probes one other each such period, and accuses it when the period ends without an answer.
   * First suspicion of a crash comes after about 1.6 periods, at any size; traffic is 4 datagrams a period.
   * Shorter finds crashes sooner and sends more.
   *
   * @default 300
   */
  readonly probeIntervalMs: number
  /**
   * Wait for a direct answer before helpers are asked. At least the slowest healthy round trip, and at most
   * about 0.4 × `probeIntervalMs`: the helpers' round trips must fit in the rest.
   *
   * @default 120
   */
  readonly probeTimeoutMs: number
  /**
   * How many helpers are asked to probe a node that did not answer. More survive more loss, and send more
   * only when a probe fails.
   *
   * @default 3
   */
  readonly helpers: number
  /**
   * Shortest suspicion = `suspicionMult` × max(1, log10(nodes)) × `probeIntervalMs`. Higher gives
   * the accused longer to refute, so fewer false deaths and later true ones; a node that stops for less
   * than this is never declared dead.
   *
   * @default 4
   */
  readonly suspicionMult: number
  /**
   * Longest suspicion = `suspicionMaxMult` × the shortest; it holds while nobody else accuses, and shrinks
   * with log(1 + confirmations). Higher forgives a single confused accuser longer.
   *
   * @default 6
   */
  readonly suspicionMaxMult: number
  /**
   * How many other accusers bring suspicion down to the shortest. Fewer when fewer nodes could confirm.
   *
   * @default 2
   */
  readonly confirmations: number
  /**
   * So long before a suspicion ends the accused is probed once more, and `helpers` others are asked what they know. At least
   * one round trip; longer survives more loss, and at most the shortest suspicion makes sense.
   *
   * @default 200
   */
  readonly lastCallMs: number
  /**
   * So much longer lasts the suspicion of a node that only streams reach. These wait for the main threads at both
   * ends, so it should be the longest stall of one that is no death; longer finds the death of such nodes later.
   *
   * @default 2500
   */
  readonly streamGraceMs: number
  /**
   * How many of the nodes that hear of an accusation look for themselves at once, on average. More gives
   * confirmations (and the accused its notice) sooner, for one extra probe each; 0 leaves it to the rotation.
   *
   * @default 3
   */
  readonly verifiers: number
  /**
   * Pause between rounds of gossip, which only happen when there is news. News reaches all in about
   * log(nodes) / log(1 + fanout) rounds.
   *
   * @default 100
   */
  readonly gossipIntervalMs: number
  /**
   * How many nodes are told in a round of gossip.
   *
   * @default 3
   */
  readonly gossipFanout: number
  /**
   * Each node passes a piece of news on `retransmitMult` × ceil(log10(nodes + 1)) times. Higher survives
   * more loss and costs proportionally more while there is news.
   *
   * @default 4
   */
  readonly retransmitMult: number
  /**
   * A node that doubts itself stretches its probe period and timeout by up to this factor (Lifeguard's local health).
   * Higher makes a slow node quieter, and slower to see real deaths.
   *
   * @default 4
   */
  readonly healthMax: number
  /**
   * Running this much later than asked is a stall: what was in flight is forgotten and suspicions are
   * prolonged by the time that was slept, because answers may lie unread. Below the jitter of a busy
   * host it makes the node doubt itself needlessly.
   *
   * @default 60
   */
  readonly stallMs: number
  /**
   * Having heard from nobody at all for `silencePeriods` × `probeIntervalMs` means that this node is cut off: it
   * suspects everybody, and tells nobody so. Lower shows a minority sooner that it is one.
   *
   * @default 5
   */
  readonly silencePeriods: number
  /**
   * How often one node that counts as dead is probed, in turn, so that the two sides of a healed
   * partition find each other. Shorter finds them sooner, at one datagram each.
   *
   * @default 1000
   */
  readonly lostProbeIntervalMs: number
  /**
   * How many dead or never seen nodes are probed in each `gossipIntervalMs` once one of them came back, or when
   * new members were announced, until each had its turn.
   *
   * @default 10
   */
  readonly lostBurst: number
}

/** Kinds of network that there are ready numbers for. */
export type SwimPreset = 'lan' | 'wan' | 'local'

const LAN: SwimOptions = {
  probeIntervalMs: 300,
  probeTimeoutMs: 120,
  helpers: 3,
  suspicionMult: 4,
  suspicionMaxMult: 6,
  confirmations: 2,
  lastCallMs: 200,
  streamGraceMs: 2500,
  verifiers: 3,
  gossipIntervalMs: 100,
  gossipFanout: 3,
  retransmitMult: 4,
  healthMax: 4,
  stallMs: 60,
  silencePeriods: 5,
  lostProbeIntervalMs: 1000,
  lostBurst: 10,
}

const DIFFS: Readonly<Record<SwimPreset, Partial<SwimOptions>>> = {
  lan: {},
  // Round trips up to 400 ms, and more loss: about four times slower than `lan`.
  wan: {
    probeIntervalMs: 1200,
    probeTimeoutMs: 480,
    suspicionMult: 5,
    lastCallMs: 800,
    gossipIntervalMs: 250,
    gossipFanout: 4,
    healthMax: 8,
    stallMs: 200,
    lostProbeIntervalMs: 2000,
  },
  // Daemons on one machine: no wire to wait for, but they starve each other of the processor.
  local: {
    probeIntervalMs: 250,
    probeTimeoutMs: 100,
    retransmitMult: 2,
    lostProbeIntervalMs: 500,
  },
}

/** The options of a preset (a diff from `lan`), with `changes` on top. */
export function swimOptions(
  preset: SwimPreset = 'lan',
  changes: Partial<SwimOptions> = {},
): SwimOptions {
  return { ...LAN, ...DIFFS[preset], ...changes }
}
