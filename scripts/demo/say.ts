/** Prints text for the person who watches. */
export function say(text: string): void {
  if (text.trim() !== '') process.stdout.write(`${text.trimEnd()}\n`)
}

let steps = 0

/** Prints what comes next. */
export function step(text: string): void {
  steps++
  process.stdout.write(`\n${steps}. ${text}\n`)
}
