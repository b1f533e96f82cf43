import { expect, test } from 'vitest'
import { createRequestIds } from '../../src/http/request-ids.ts'

test('ids are of 96 bits each, and no two are the same, however many are drawn at once', () => {
  const requestId = createRequestIds()
  const ids = Array.from({ length: 5000 }, () => requestId(undefined))

  expect(new Set(ids).size).toBe(5000)
  expect(ids.filter((id) => !/^[A-Za-z0-9_-]{16}$/.test(id))).toEqual([])
  // Were a part of the bytes never written, some character would be the same in all.
  for (let at = 0; at < 16; at++)
    expect(new Set(ids.map((id) => id[at])).size, `character ${at}`).toBeGreaterThan(50)
})

test.each(['a', '~._-', 'x'.repeat(64), '9'])('%s is kept', (own) => {
  expect(createRequestIds()(own)).toBe(own)
})

test.each(['', 'two words', 'x'.repeat(65), 'a"b', 'a\nb', 'ü', ['a', 'b'], undefined])(
  '%j is replaced',
  (own) => {
    expect(createRequestIds()(own)).toMatch(/^[\w-]{16}$/)
  },
)
