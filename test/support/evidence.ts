import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { inject } from 'vitest'

/** What a run said (logs, metrics, errors) and what it must not have said, kept until the end of the run. */
export type Evidence = { readonly secrets: readonly string[]; readonly texts: readonly string[] }

const fileOf = (folder: string, what: 'secrets' | 'texts') =>
  `${folder}/${what}-${process.pid}.ndjson`

/** Called by tests' support as services end. */
export function keepEvidence(evidence: Evidence): void {
  const folder = inject('evidenceFolder')
  for (const what of ['secrets', 'texts'] as const)
    for (const item of evidence[what])
      appendFileSync(fileOf(folder, what), `${JSON.stringify(item)}\n`)
}

/** Every secret of the run that stands in anything the run said; empty, if all is well. */
export function leaksIn(
  folder: string,
  others: readonly string[] = [],
): { secret: string; text: string }[] {
  const read = (what: string) =>
    readdirSync(folder)
      .filter((name) => name.startsWith(`${what}-`))
      .flatMap((name) => readFileSync(`${folder}/${name}`, 'utf8').split('\n'))
      .filter((line) => line !== '')
      .map((line): string => JSON.parse(line))
  const audits = readdirSync(folder)
    .filter((name) => name.startsWith('audit-'))
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
  const texts = [...read('texts'), ...audits, ...others].join('\n')
  return [...new Set(read('secrets'))]
    .filter((secret) => texts.includes(secret))
    .map((secret) => {
      const at = texts.indexOf(secret)
      return { secret: `${secret.slice(0, 4)}…`, text: texts.slice(Math.max(0, at - 200), at) }
    })
}
