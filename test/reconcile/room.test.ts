import fc from 'fast-check'
import t from 'tap'
import { appSchema, type AppSpec } from '../../src/model/app.ts'
import { createRoom } from '../../src/reconcile/room.ts'

const NODE = { cpus: 1, memMb: 1000, diskMb: 0, gpus: 0 }

function spec(memMb: number, cpus = 0, hostPort = 0): AppSpec {
  const ports = hostPort === 0 ? [] : [{ port: 80, hostPort }]
  return appSchema.parse({ id: '/a', image: 'a', resources: { memMb, cpus }, ports })
}

t.test('createRoom() takes exactly what the node has', async t => {
  const room = createRoom(NODE, [spec(600)])
  t.notOk(room.take(spec(401)))
  t.equal(room.shortage(spec(401)), 'needs 401 memMb, 400 of 1000 are free')
  t.ok(room.take(spec(400)))
  t.notOk(room.fits(spec(1)))
  t.ok(room.fits(spec(0)), 'what needs nothing always fits')
})

t.test('createRoom() counts tenths of a processor without a hair too much', async t => {
  const room = createRoom(NODE, [])
  for (let task = 0; task < 10; task++) t.ok(room.take(spec(0, 0.1)))
  t.notOk(room.take(spec(0, 0.1)))
})

t.test('createRoom() gives a fixed port once', async t => {
  const room = createRoom(NODE, [spec(1, 0, 8080)])
  t.equal(room.shortage(spec(1, 0, 8080)), 'host port tcp 8080 is taken')
  t.ok(room.fits(spec(1, 0, 8081)))
  room.release(spec(1, 0, 8080))
  t.ok(room.fits(spec(1, 0, 8080)))
})

t.test('createRoom() copies are apart from each other', async t => {
  const room = createRoom(NODE, [])
  t.ok(room.copy().take(spec(1000)))
  t.ok(room.fits(spec(1000)))
})

t.test('createRoom() is as before after any takes and their releases', async () => {
  const any = fc.record({ memMb: fc.nat(400), cpus: fc.nat(5), port: fc.nat(3) })
  fc.assert(
    fc.property(fc.array(any, { maxLength: 12 }), wishes => {
      const room = createRoom(NODE, [])
      const specs = wishes.map(({ memMb, cpus, port }) => spec(memMb, cpus / 10, port))
      const taken = specs.filter(one => room.take(one))
      const memMb = taken.reduce((sum, { resources }) => sum + resources.memMb, 0)
      for (const one of taken) room.release(one)
      return memMb <= NODE.memMb && room.fits(spec(1000, 1, 1)) && !room.fits(spec(1001))
    }),
  )
})
