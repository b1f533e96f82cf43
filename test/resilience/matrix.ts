import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { until } from '../support/private-redis.ts'
import type { Service } from '../support/service.ts'

/** What one cell of the matrix says, word for word as in the document, and the proof of it. */
export type Cell = readonly [says: string, proof: () => Promise<void>]

const DOCUMENT = new URL('../../docs/degradation.md', import.meta.url)

/** One section of `docs/degradation.md`: what fails, what callers get, what operators see. */
export function matrix(section: string) {
  const rows: string[][] = []
  return {
    row(fails: string, callers: Cell, operators: Cell, canHappenHere = true) {
      rows.push([fails, callers[0], operators[0]])
      describe.skipIf(!canHappenHere)(fails, () => {
        test(`callers get: ${callers[0]}`, callers[1])
        test(`operators see: ${operators[0]}`, operators[1])
      })
    },
    /** To be called after the last row. */
    isWhatTheDocumentSays() {
      test(`docs/degradation.md says so under "${section}", and nothing else`, () => {
        expect(rowsOf(section)).toEqual(rows)
      })
    },
  }
}

function rowsOf(section: string): string[][] {
  const [, after = ''] = readFileSync(DOCUMENT, 'utf8').split(`## ${section}\n`)
  const [text = ''] = after.split('\n## ', 1)
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    )
}

/** What `/health` and its kin say. */
export const healthOf = async ({ app }: Service) => {
  const [health, ready, live] = await Promise.all(
    ['', '/ready', '/live'].map((path) => app.ops.inject(`/health${path}`)),
  )
  return {
    status: health?.json().status,
    checks: health?.json().checks,
    ready: ready?.statusCode,
    live: live?.statusCode,
  }
}

/** The value of one series of `/metrics`. */
export async function metric({ app }: Service, series: string): Promise<number> {
  const { body } = await app.ops.inject('/metrics')
  const line = body.split('\n').find((each) => each.startsWith(`token_broker_${series} `))
  return line === undefined ? Number.NaN : Number(line.split(' ')[1])
}

export const linesThatSay = ({ logged }: Service, words: string) =>
  logged().filter(({ msg }) => msg?.includes(words) === true)

export const untilSaid = (service: Service, words: string) =>
  until(() => linesThatSay(service, words).length > 0, `a line with "${words}"`)
