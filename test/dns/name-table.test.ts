import fc from 'fast-check'
import t from 'tap'
import { createZone } from '../../src/dns/zone.ts'
import { appId, makeApp, makeView } from './make-view.ts'

const ids = [
  '/web',
  '/web/0',
  '/web/all',
  '/shop/web',
  '/web-shop',
  '/node',
  '/node/n1',
  '/svc/a/b',
  '/0',
  `/${'x'.repeat(70)}`,
  `/${'x'.repeat(71)}`,
]
const named = fc.record({
  id: fc.constantFrom(...ids),
  aliases: fc.uniqueArray(fc.constantFrom('web', 'front', 'shop'), { maxLength: 2 }),
})
const apps = fc.uniqueArray(named, { selector: ({ id }) => id })
const mesos = { domain: 'mesos', rule: 'rfc952', apiPort: 0 } as const

t.test('conflictsWith() tells before what conflicts() tells after', async t => {
  fc.assert(
    fc.property(apps, apps, (there, more) => {
      const zone = createZone(
        makeView(
          there.map(({ id, aliases }) => makeApp(id, 0, aliases)),
          { mesos },
        ),
      )
      const before = zone.conflictsWith(more.map(({ id, aliases }) => ({ id: appId(id), aliases })))
      for (const { id, aliases } of more) zone.update(makeApp(id, 0, aliases))
      const involved = new Set(more.map(({ id }) => id))
      const after = zone.conflicts()
      // Those that are told are true, and whole.
      const all = new Set(after.map(conflict => JSON.stringify(conflict)))
      for (const conflict of before) t.ok(all.has(JSON.stringify(conflict)), conflict.name)
      // And none is missing that an app of the edit is in.
      const told = new Set(before.map(({ name }) => name))
      return after
        .filter(({ kept, lost }) => involved.has(kept) || lost.some(app => involved.has(app)))
        .every(({ name }) => told.has(name))
    }),
    {
      numRuns: 500,
      examples: [
        // The owner of `web` gives it up in the very edit that brings a name below it.
        [
          [
            { id: '/node', aliases: ['web'] },
            { id: '/shop/web', aliases: ['web'] },
          ],
          [
            { id: '/web/all', aliases: [] },
            { id: '/node', aliases: [] },
          ],
        ],
      ],
    },
  )
})

t.test('conflictsWith() tells of a slot that hides an app that is there', async t => {
  const zone = createZone(makeView([makeApp('/web/2', 1)]))
  t.strictSame(zone.conflictsWith([{ id: appId('/web'), aliases: [] }]), [
    { name: '2.web.shoal', kept: 'slot 2 of /web', lost: ['/web/2'] },
  ])
  t.strictSame(zone.conflictsWith([{ id: appId('/api'), aliases: [] }]), [])
  t.strictSame(zone.conflicts(), [], 'asking changes nothing')
})

t.test('namesOf() has the names that an app got', async t => {
  const zone = createZone(
    makeView([makeApp('/shop/web', 1, ['front']), makeApp('/web-shop', 1), makeApp('/node', 1)], {
      mesos: { ...mesos, rule: 'rfc1123' },
    }),
  )
  t.strictSame(zone.namesOf(appId('/shop/web')), [
    'web.shop.shoal',
    'front.shoal',
    'web.shop.svc.shoal',
    'front.shop.svc.shoal',
    'web.shop.marathon.mesos',
    'front.marathon.mesos',
  ])
  t.strictSame(zone.namesOf(appId('/node')), [
    'node-app.shoal',
    'node.default.svc.shoal',
    'node.marathon.mesos',
  ])
  t.strictSame(zone.namesOf(appId('/nobody')), [])
})
