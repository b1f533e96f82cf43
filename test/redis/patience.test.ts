import { expect, test } from 'vitest'
import { createPatience, NoAnswerError } from '../../src/redis/patience.ts'

function blockFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

const never = new Promise<never>(() => {})

test('what does not answer is given up after the limit', async () => {
  const within = createPatience(100)
  const startedAt = performance.now()

  await expect(within(never)).rejects.toBeInstanceOf(NoAnswerError)

  const waitedMs = performance.now() - startedAt
  expect(waitedMs).toBeGreaterThan(80)
  expect(waitedMs).toBeLessThan(400)
})

test('an answer that was there while the event loop was busy is not late', async () => {
  const within = createPatience(100)
  const answer = new Promise((resolve) => setTimeout(() => setImmediate(resolve, 'answer'), 1))

  const waiting = within(answer)
  blockFor(500)

  expect(await waiting).toBe('answer')
})

test('nor one that comes after several long turns', async () => {
  const within = createPatience(100)
  let turns = 0
  const answer = new Promise((resolve) => {
    const turn = () => {
      blockFor(60)
      turns++
      if (turns === 4) resolve('answer')
      else setImmediate(turn)
    }
    setImmediate(turn)
  })

  expect(await within(answer)).toBe('answer')
})

test('every call has its own deadline, and answers and failures pass through', async () => {
  const within = createPatience(60)
  const first = within(never)
  const failure = new Error('no')

  await expect(within(Promise.resolve(1))).resolves.toBe(1)
  await expect(within(Promise.reject(failure))).rejects.toBe(failure)
  await expect(first).rejects.toBeInstanceOf(NoAnswerError)
  await expect(within(never)).rejects.toBeInstanceOf(NoAnswerError)
})
