import t from 'tap'
import { CALM_OFFER_INTERVAL_MS, OFFER_INTERVAL_MS } from '../../src/node/machine/node-machine.ts'
import { appOf } from './apps.ts'
import { applyNow, rest, settled } from './scene.ts'
import type { World } from './world.ts'

/** Counts the comparisons that are offered from now on. */
function countOffers(world: World): { count: number } {
  const seen = { count: 0 }
  const handled = world.handled.bind(world)
  world.handled = (host, event, effects) => {
    for (const effect of effects) {
      if (effect.kind === 'send' && effect.message.kind === 'offer') seen.count++
    }
    handled(host, event, effects)
  }
  return seen
}

t.test('nodes that have no news compare rarely', async t => {
  const world = settled(t, { seed: 1, nodes: 5 }, appOf('/web', { instances: 3 }))
  world.run(60_000)
  const seen = countOffers(world)
  world.run(60_000)
  const usual = (5 * 60_000) / CALM_OFFER_INTERVAL_MS
  t.ok(seen.count > 0 && seen.count <= usual / 0.75 + 5, `${seen.count} offers in a minute`)
})

t.test('what gossip lost is found soon by who has it, however calm all were', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = settled(t, { seed, nodes: 5 }, appOf('/web', { instances: 3 }))
    world.run(60_000)
    const publish = world.publish.bind(world)
    world.publish = () => undefined
    applyNow(world, world.hosts[0]!, appOf('/other', { instances: 1 }))
    world.publish = publish
    const knowsIt = (): boolean =>
      world.hosts.every(({ machine }) => machine!.doc.read().apps.size === 2)
    t.notOk(knowsIt(), 'nobody was told')
    const tookMs = world.run(60_000, knowsIt)
    t.ok(tookMs < 5 * OFFER_INTERVAL_MS, `all had it after ${tookMs} ms`)
    rest(t, world)
  }
})
