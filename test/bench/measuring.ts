import type { Contestant } from './contestants.ts'
import type { Job, LoadResult } from './load/load.ts'
import type { Processes } from './processes.ts'

const CONNECTIONS = 64
/** A measurement during which others had more than this of the server's core is made again, a few times. */
const MOST_DISTURBED = 0.03
const TRIES = 3

/** How much of this is measured, and how often. */
export type Extent = {
  readonly rounds: number
  readonly warmUpMs: number
  readonly measureMs: number
}

export const putLoad = (
  processes: Processes,
  { server: { port, pid, core }, ...callers }: Omit<Contestant, 'name'>,
  pattern: Job['pattern'],
  connections = CONNECTIONS,
): Promise<LoadResult> => processes.load({ port, pid, core, ...callers, connections, pattern })

/** The least disturbed of a few. */
async function undisturbed(
  processes: Processes,
  contestant: Contestant,
  pattern: Job['pattern'],
): Promise<LoadResult> {
  let best = await putLoad(processes, contestant, pattern)
  for (let more = TRIES; best.disturbed > MOST_DISTURBED && more > 1; more--) {
    const again = await putLoad(processes, contestant, pattern)
    if (again.disturbed < best.disturbed) best = again
  }
  return best
}

/** All in turn, several times over: what disturbs the machine for a while disturbs all of them. */
export async function inTurn(
  processes: Processes,
  contestants: readonly Contestant[],
  rounds: number,
  patternOf: (index: number) => Job['pattern'],
): Promise<LoadResult[][]> {
  const results: LoadResult[][] = contestants.map(() => [])
  for (let round = 1; round <= rounds; round++)
    for (const [index, contestant] of contestants.entries()) {
      process.stderr.write(`round ${round} of ${rounds}: ${contestant.name}\n`)
      results[index]?.push(await undisturbed(processes, contestant, patternOf(index)))
    }
  return results
}
