/** The labels by which a container is known to be a task of ours, whoever asks. */
export const LABELS = {
  cluster: 'shoal.cluster',
  node: 'shoal.node',
  app: 'shoal.app',
  slot: 'shoal.slot',
  revision: 'shoal.revision',
  work: 'shoal.work',
  task: 'shoal.task',
  ports: 'shoal.ports',
} as const
