/** The app whose clients are watched: six slots on five hosts, with a check such as anybody would give it. */
export const probedApp = {
  id: '/hello',
  image: 'hello_world:latest',
  instances: 6,
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.1, memMb: 16 },
  health: [{ kind: 'http', port: 'http', interval: '1s', timeout: '1s', grace: '10s' }],
  stopGrace: '1s',
} as const

/** An app that is scaled all the time. */
export const sideApp = {
  id: '/side',
  image: 'hello_world:latest',
  instances: 2,
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.1, memMb: 16 },
  stopGrace: '1s',
} as const

/** An app that must never run twice, whatever happens. */
export const onceApp = {
  id: '/once',
  image: 'hello_world:latest',
  instances: 1,
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.1, memMb: 16 },
  onPartition: { isolated: 'stop' },
  stopGrace: '1s',
} as const
