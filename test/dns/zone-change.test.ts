import t from 'tap'
import { applyChange, createZoneLog, type ZoneChange } from '../../src/dns/zone-change.ts'
import { createZone, type Zone } from '../../src/dns/zone.ts'
import { appId, makeApp, makeNode, makeView } from './make-view.ts'

const node = makeNode('n3', '10.0.0.3')
const changes: readonly ZoneChange[] = [
  { kind: 'app', app: makeApp('/web', 1) },
  { kind: 'nodes', nodes: [] },
  { kind: 'app', app: makeApp('/gone', 1) },
  { kind: 'app', app: makeApp('/web', 2) },
  { kind: 'app-removed', app: appId('/gone') },
  { kind: 'nodes', nodes: [node] },
]

function zoneAfter(list: readonly ZoneChange[]): Zone {
  const zone = createZone(makeView([], { nodes: [] }))
  for (const change of list) applyChange(zone, structuredClone(change))
  return zone
}

t.test('a change that went through a message is made', async t => {
  const zone = zoneAfter(changes)
  t.equal(zone.find('web.shoal')!.records.length, 2)
  t.equal(zone.find('gone.shoal')!.exists, false)
  t.match(zone.find('n3.node.shoal')!.records, [{ address: '10.0.0.3' }])
  t.equal(zone.soa().serial, 7 + changes.length, 'each adds one to the serial')
})

t.test('the log makes a zone equal to one that had every change, with fewer', async t => {
  const log = createZoneLog()
  t.strictSame(log.changes(), [])
  for (const change of changes) log.add(change)
  t.equal(log.changes().length, 2)
  const [all, short] = [zoneAfter(changes), zoneAfter(log.changes())]
  for (const name of ['web', '1.web', '_web._tcp', 'gone', 'n3.node', 'n1.node']) {
    t.strictSame(short.find(`${name}.shoal`)!.records, all.find(`${name}.shoal`)!.records, name)
  }
})
