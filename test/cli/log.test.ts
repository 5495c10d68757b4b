import t from 'tap'
import { formatLogLine } from '../../src/cli/log.ts'

t.test('formatLogLine() says what happened first, and the details after it', async t => {
  const line = {
    level: 40,
    time: '2026-01-02T20:33:21.295Z',
    port: 7453,
    name: 'a',
    err: { message: 'taken' },
    msg: 'cannot bind',
  }
  t.equal(
    formatLogLine(JSON.stringify(line)),
    '20:33:21 warning cannot bind: taken port=7453 name=a',
  )
  const info = { level: 30, time: '2026-01-02T20:33:21.295Z', msg: 'up' }
  t.equal(formatLogLine(JSON.stringify(info)), '20:33:21 up')
})
