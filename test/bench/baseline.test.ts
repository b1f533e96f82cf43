import { expect, test } from 'vitest'
import { losses, readBaseline } from './baseline.ts'

const before = { 'Fastify, ready reply': 1, 'broker, memory': 0.8, 'broker, Redis': 0.7 }

test.each([
  ['as it was', before, []],
  ['a little less than a fifth less', { ...before, 'broker, memory': 0.65 }, []],
  [
    'more than a fifth less',
    { ...before, 'broker, memory': 0.63 },
    ['broker, memory: 0.63 of bare Fastify, where it was 0.8'],
  ],
  [
    'one is not there any more',
    { 'broker, memory': 0.9 },
    ['broker, Redis: 0 of bare Fastify, where it was 0.7'],
  ],
  ['others have lost', { ...before, 'Fastify, ready reply': 0.1 }, []],
])('%s', (_what, now, found) => {
  expect(losses(before, now)).toEqual(found)
})

test('there is one to compare with, of every way that the broker is measured in', async () => {
  const stored = await readBaseline()
  expect(Object.keys(stored ?? {}).filter((name) => name.startsWith('broker'))).toHaveLength(4)
  expect(losses(stored ?? {}, stored ?? {})).toEqual([])
})
