/** What the Docker engine sends, and what is made of it: log frames, pull progress, errors. */

import fc from 'fast-check'
import t from 'tap'
import { createDemux } from '../../src/runtime/demux.ts'
import { dockerError } from '../../src/runtime/docker-error.ts'
import { createProgressReader } from '../../src/runtime/pull-image.ts'

function frame(stream: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

const line = (id: string, status: string, current: number, total: number): string =>
  `${JSON.stringify({ id, status, progressDetail: { current, total } })}\r\n`

const http = (statusCode: number, message: string): Error =>
  Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), { statusCode })

const system = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code })

t.test('createDemux() takes frames apart, however they are cut into pieces', async t => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ unit: 'binary' })))
  const verdict = fc.check(
    fc.property(frames, fc.array(fc.nat({ max: 40 })), (sent, sizes) => {
      let bytes = Buffer.concat(sent.map(([stream, text]) => frame(stream, text)))
      const demux = createDemux({ tty: false })
      const got = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
      for (const size of [...sizes, bytes.length]) {
        for (const { stream, data } of demux(bytes.subarray(0, size))) {
          got[stream] = Buffer.concat([got[stream], data])
        }
        bytes = bytes.subarray(size)
      }
      const all = (wanted: number): string =>
        sent
          .filter(([stream]) => stream === wanted)
          .map(([, text]) => Buffer.from(text).toString())
          .join('')
      return got.stdout.toString() === all(1) && got.stderr.toString() === all(2)
    }),
  )
  t.notOk(verdict.failed, fc.defaultReportMessage(verdict) ?? '')
})

t.test('createDemux() leaves what a terminal sends as it is', async t => {
  const bytes = frame(2, 'x')
  t.strictSame(createDemux({ tty: true })(bytes), [{ stream: 'stdout', data: bytes }])
})

t.test('createProgressReader() sums the layers up', async t => {
  const read = createProgressReader('web:7')
  t.equal(read('{"status":"Pulling from web","id":"7"}\r\n'), undefined)
  t.equal(read(line('a', 'Downloading', 2e6, 10e6)), 'pulling web:7, 2 of 10 MB')
  const two = line('b', 'Downloading', 5e6, 30e6)
  t.equal(read(two.slice(0, 20)), 'pulling web:7, 2 of 10 MB', 'half a line waits for its rest')
  t.equal(read(two.slice(20)), 'pulling web:7, 7 of 40 MB')
  t.equal(read(line('a', 'Extracting', 1, 10e6)), 'pulling web:7, 7 of 40 MB')
  t.throws(() => read('{"error":"manifest unknown"}\n'), { message: 'manifest unknown' })
})

t.test('dockerError() says what it means, and whether to try again', async t => {
  const cases: [Error, string, boolean][] = [
    [http(500, 'Bind for 0.0.0.0:80 failed: port is already allocated'), 'port-taken', true],
    [http(500, 'listen tcp4 0.0.0.0:80: bind: address already in use'), 'port-taken', true],
    [http(404, 'No such image: web:7'), 'image-missing', false],
    [http(404, 'manifest for web:7 not found'), 'image-missing', false],
    [http(404, 'No such container: abc'), 'no-such-task', false],
    [http(400, 'OCI: exec: "x": executable file not found in $PATH'), 'bad-spec', false],
    [http(400, 'something about the request'), 'bad-spec', false],
    [http(400, 'invalid mount config: bind source path does not exist: /x'), 'bad-spec', false],
    [http(500, 'no space left on device'), 'failed', true],
    [http(409, 'name is in use'), 'failed', false],
    [system('ECONNREFUSED'), 'unreachable', true],
    [system('ENOENT'), 'unreachable', true],
    [new Error('socket hang up'), 'unreachable', true],
    [new Error('what is this'), 'failed', true],
  ]
  for (const [error, code, temporary] of cases) {
    t.match(dockerError(error, 'start x'), { code, temporary, cause: error }, error.message)
  }
  t.equal(
    dockerError(http(404, 'No such image:\n web:7'), 'start x').message,
    'Cannot start x: No such image: web:7',
    'on one line, without the words of the client',
  )
  t.ok(dockerError(new Error('x'.repeat(9999)), 'start x').message.length < 600)
})
