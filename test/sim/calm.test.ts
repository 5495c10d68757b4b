import t from 'tap'
import { CALM_OFFER_INTERVAL_MS, OFFER_INTERVAL_MS } from '../../src/node/machine/offer-pace.ts'
import { appOf } from './apps.ts'
import { rest, settled } from './scene.ts'
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

t.test('what gossip lost is offered soon by who has it, however calm all were', async t => {
  for (const nodes of [2, 5]) {
    for (let seed = 1; seed <= 5; seed++) {
      const world = settled(t, { seed, nodes }, appOf('/web', { instances: 3 }))
      world.run(60_000)
      const publish = world.publish.bind(world)
      world.publish = () => undefined
      const [author] = world.hosts
      author!.take({ kind: 'facts-changed', facts: { dnsPort: 1053 } })
      world.run(100)
      world.publish = publish
      const knowing = (): number =>
        world.hosts.filter(({ machine }) => machine!.book.get(author!.node)?.dnsPort === 1053)
          .length
      t.equal(knowing(), 1, 'nobody was told')
      const firstMs = world.run(60_000, () => knowing() > 1)
      t.ok(firstMs < 1.3 * OFFER_INTERVAL_MS, `one more had it after ${firstMs} ms`)
      const allMs = firstMs + world.run(60_000, () => knowing() === nodes)
      t.ok(allMs < 5 * OFFER_INTERVAL_MS, `all had it after ${allMs} ms`)
      rest(t, world)
    }
  }
})
