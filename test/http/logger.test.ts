import { expect, test } from 'vitest'
import { createLogger } from '../../src/logger.ts'

function logTo(level: string) {
  const lines: string[] = []
  return { lines, log: createLogger(level, { write: (line: string) => void lines.push(line) }) }
}

const withoutTime = (line: string | undefined) => {
  const { time, ...rest } = JSON.parse(line ?? '') as Record<string, unknown>
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  return rest
}

test('a line that is written by hand is the line that pino writes', () => {
  const { lines, log } = logTo('info')
  const fields = { request_id: 'a"b\n\u2028', status: 200, ms: 0.3, trace_id: undefined }

  log.info(fields, 'request')
  log.line(JSON.stringify({ ...fields, msg: 'request' }).slice(1, -1))

  expect(lines).toHaveLength(2)
  expect(lines[1]?.indexOf('\n')).toBe((lines[1]?.length ?? 0) - 1)
  expect(withoutTime(lines[1])).toEqual(withoutTime(lines[0]))
  expect(Object.keys(JSON.parse(lines[1] ?? ''))).toEqual(Object.keys(JSON.parse(lines[0] ?? '')))
})

test.each(['warn', 'error', 'silent'])('at the level %s there is none', (level) => {
  const { lines, log } = logTo(level)
  log.line('"status":200,"msg":"request"')
  expect(lines).toEqual([])
})
